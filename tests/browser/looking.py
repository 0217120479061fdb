"""Somebody who looks at the page."""

from contextlib import ExitStack
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page

from forebay_standalone.issuer import SUBJECT, TENANT, every_scope
from forebay_standalone.system import System

WIDE = {"width": 1280, "height": 900}
NARROW = {"width": 390, "height": 844}
PATIENCE = 20_000  # ms; everything here takes less than one second on a machine of its own


class Look:
    """Opens the page, each time in a browser without a past."""

    def __init__(self, chromium: Browser, system: System, stack: ExitStack) -> None:
        self._chromium = chromium
        self._system = system
        self._stack = stack

    def __call__(self, *, at: str = "", **options: Any) -> Page:
        """The page at `host:port`, by default that of the edge; `options` are the browser's."""
        origin = f"http://{at or self._system.addresses.http}"
        context = self._chromium.new_context(viewport=options.pop("viewport", WIDE), **options)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        asked: list[str] = []
        broken: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: broken.append(str(error)))
        self._stack.callback(_judge, origin, asked, broken)
        self._stack.callback(context.close)
        page.goto(origin)
        return page

    def own_token(self, page: Page, tier: str = "enterprise", *scopes: str) -> None:
        """Paste a token of the developer's."""
        token = self._system.issuer.mint(
            TENANT, SUBJECT, tier, scopes or every_scope(), (), timedelta(minutes=10)
        )
        page.get_by_label("Own token").check()
        page.get_by_label("Bearer token").fill(token)
        page.get_by_role("button", name="Use it").click()
        page.locator("#caller", has_text=tier).wait_for()


def _judge(origin: str, asked: list[str], broken: list[str]) -> None:
    assert asked
    assert {f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" for url in asked} == {origin}
    assert broken == []


def choose(page: Page, tier: str) -> None:
    """Take a development token of a tier."""
    page.get_by_label(tier.capitalize()).check()
    page.locator("#caller", has_text=f", {tier}:").wait_for()


def ask(page: Page, question: str) -> None:
    """Ask, and wait until the answer is whole."""
    page.get_by_label("Your question").fill(question)
    page.get_by_role("button", name="Ask").click()
    page.locator("#ask-status.done").wait_for()


def answer(page: Page) -> str:
    """The answer's text, without the marks of its citations."""
    text: str = page.locator("#answer").evaluate(
        "home => [...home.childNodes].filter(each => each instanceof Text)"
        ".map(each => each.data).join('')"
    )
    return text
