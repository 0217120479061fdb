"""What axe-core finds wrong with the page, in its states, schemes and widths: nothing."""

from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, ViewportSize

from forebay.client import Client
from forebay_benchmarks.model_server.process import ModelServer

from ..typescript.node_project import node_project  # noqa: TID252 tests are no package
from .looking import NARROW, WIDE, Look, ask, choose
from .test_asking import QUESTION, WATERS, bring


@pytest.fixture(scope="session")
def axe() -> str:
    return (node_project() / "node_modules/axe-core/axe.min.js").read_text()


def violations(page: Page, axe: str) -> list[str]:
    # Evaluated from without: the page's own policy lets no other script in.
    page.evaluate(axe)
    found: dict[str, Any] = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{each['id']}: {[node['target'] for node in each['nodes']]}"
        for each in found["violations"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_axe_finds_nothing_wrong(
    look: Look,
    author: Client,
    models: ModelServer,
    axe: str,
    tmp_path: Path,
    scheme: Literal["light", "dark"],
    viewport: ViewportSize,
) -> None:
    bring(author, WATERS, "weir")
    page = look(color_scheme=scheme, viewport=viewport, reduced_motion="reduce")
    choose(page, "enterprise")
    found = {"idle": violations(page, axe)}
    ask(page, QUESTION)
    page.locator(".mark").first.click()
    found["answered"] = violations(page, axe)
    page.get_by_label("Own token").check()
    page.get_by_label("Your question").fill("Who am I?")
    page.keyboard.press("Enter")
    page.locator("#ask-status.failed").wait_for()
    found["failed"] = violations(page, axe)
    choose(page, "enterprise")
    page.get_by_role("link", name="Documents").click()
    file = tmp_path / f"{scheme}-{viewport['width']}.txt"
    file.write_text("Boats wait below the lock.")
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="Bring it in").click()
    page.locator("#uploads .badge", has_text="indexed").wait_for()
    found["documents"] = violations(page, axe)
    page.get_by_role("link", name="Pipeline").click()
    page.locator(".stage dd").first.wait_for()
    found["pipeline"] = violations(page, axe)
    assert found == {state: [] for state in found}
    wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert not wide, "the page scrolls sideways"
