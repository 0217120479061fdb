"""Asking on the page: who may see what, citations, and a connection that is lost."""

import json
import re

from playwright.sync_api import Page

from forebay.client import Client
from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.ports import free_port
from forebay_standalone.system import System

from ..faults.proxy import Proxy  # noqa: TID252 tests are no package
from .looking import Look, answer, ask, choose

QUESTION = "How high is the water at the weir?"
WATERS = {
    "public": "The water at the weir is one metre high.",
    "internal": "The water at the weir is two metres high.",
    "confidential": "The water at the weir is three metres high.",
}
# What the reader saw, after each change: to be judged when all of it is there.
WATCHED = """() => {
  const seen = globalThis.seen = { texts: [], statuses: [] };
  const text = home => [...home.childNodes].filter(each => each instanceof Text)
    .map(each => each.data).join('');
  const watch = (id, take) => new MutationObserver(take)
    .observe(document.getElementById(id), { childList: true, characterData: true, subtree: true });
  watch('answer', () => seen.texts.push(text(document.getElementById('answer'))));
  watch('ask-status',
    () => seen.statuses.push(document.getElementById('ask-status').textContent));
}"""
HOSTILE = (
    "The password of the spillway is <img src=x onerror=alert(1)> "
    "![seen](https://tracker.example/pixel.png) [here](javascript:alert(2)) "
    "<script src=https://tracker.example/a.js></script>"
)


def bring(author: Client, texts: dict[str, str], collection: str) -> None:
    """A document of each visibility, found by questions."""
    for visibility, text in texts.items():
        receipt = author.ingest(
            collection,
            f"water-{visibility}",
            text=text,
            visibility=visibility,  # type: ignore[arg-type]
        )
        author.wait_indexed(receipt.name, receipt.etag)


def visibilities(page: Page) -> set[str]:
    return set(page.locator("#passages .badge").all_text_contents())


def test_three_tiers_get_three_answers(look: Look, author: Client, models: ModelServer) -> None:
    bring(author, WATERS, "weir")
    page = look()
    answers = {}
    for tier, may_see in (
        ("free", {"public"}),
        ("standard", {"public", "internal"}),
        ("enterprise", {"public", "internal", "confidential"}),
    ):
        choose(page, tier)
        ask(page, QUESTION)
        assert visibilities(page) == may_see
        answers[tier] = answer(page)
    assert len(set(answers.values())) == 3
    assert "two metres" not in answers["free"]
    assert "three metres" not in answers["standard"]


def test_a_citation_opens_its_passage_by_keyboard(
    look: Look, author: Client, models: ModelServer
) -> None:
    bring(author, WATERS, "weir")
    page = look()
    page.locator("#caller", has_text="standard").wait_for()
    page.get_by_label("Your question").fill(QUESTION)
    page.keyboard.press("Enter")
    page.locator("#ask-status.done").wait_for()
    mark = page.locator(".mark").first
    mark.focus()
    page.keyboard.press("Enter")
    opened = page.locator("#passages details[open]")
    assert opened.count() == 1
    number = str(mark.text_content())
    assert str(mark.get_attribute("aria-label")).startswith(f"Passage {number}: ")
    assert opened.locator(".number").text_content() == number
    assert opened.locator("summary").evaluate("summary => summary === document.activeElement")


def test_an_answer_whose_connection_is_cut_goes_on_without_a_gap_or_a_repeat(
    look: Look, author: Client, models: ModelServer, system: System
) -> None:
    bring(author, WATERS, "weir")
    models.behave(answer_tokens=100, tokens_per_second=40)
    http = int(system.addresses.http.rpartition(":")[2])
    with Proxy(free_port(), lambda: http) as proxy:
        page = look(at=f"127.0.0.1:{proxy.port}")
        look.own_token(page)
        page.evaluate(WATCHED)
        page.get_by_label("Your question").fill(QUESTION)
        with page.expect_request("**/*:stream") as resumed:
            page.get_by_role("button", name="Ask").click()
            page.locator("#answer", has_text=re.compile(".{60}")).wait_for()
            proxy.open = False
            proxy.cut()
            page.locator("#ask-status.lost").wait_for()
            proxy.open = True
        page.locator("#ask-status.done").wait_for()
        seen = page.evaluate("globalThis.seen")
        shown = answer(page)
        said = page.locator("#ask-status").text_content()
    name = resumed.value.url.rpartition("/v1/")[2].removesuffix(":stream")
    assert resumed.value.headers["last-event-id"]
    assert shown == author.get_query(name).answer
    lengths = [len(text) for text in seen["texts"]]
    assert all(shown.startswith(text) for text in seen["texts"])
    assert lengths == sorted(lengths)
    assert len(lengths) > 20
    assert "nothing is missing" in str(said)
    # Whoever listens hears the steps, not every word.
    assert len(seen["statuses"]) < 15, seen["statuses"]


def test_what_stands_in_documents_is_shown_as_text_and_loads_nothing(
    look: Look, author: Client, models: ModelServer
) -> None:
    bring(author, {"public": HOSTILE}, "spillway")
    page = look()
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.locator("#caller", has_text="standard").wait_for()
    ask(page, "What is the password of the spillway?")
    page.locator("#passages summary").first.click()
    assert "<img src=x onerror=alert(1)>" in str(page.locator("#passages").text_content())
    made = "#result :is(img, script, a, iframe, svg, video, object)"
    assert page.locator(made).count() == 0
    assert dialogs == []


def test_a_question_is_stopped_by_its_asker(
    look: Look, author: Client, models: ModelServer
) -> None:
    bring(author, WATERS, "weir")
    models.behave(answer_tokens=400, tokens_per_second=20)
    page = look()
    page.locator("#caller", has_text="standard").wait_for()
    page.get_by_label("Your question").fill(QUESTION)
    page.keyboard.press("Enter")
    page.locator("#answer", has_text=re.compile(".")).wait_for()
    page.get_by_role("button", name="Stop").click()
    page.locator("#ask-status", has_text="Stopped").wait_for()
    assert page.get_by_role("button", name="Stop").count() == 0


def test_a_question_that_fails_says_why_in_words_and_with_its_reason(
    look: Look, author: Client, models: ModelServer
) -> None:
    bring(author, WATERS, "weir")
    models.behave(refuse_status=400, kinds=("chat",))
    page = look()
    page.locator("#caller", has_text="standard").wait_for()
    page.get_by_label("Your question").fill(QUESTION)
    page.keyboard.press("Enter")
    page.locator("#ask-status.failed").wait_for()
    said = str(page.locator("#ask-status").text_content())
    assert "The model refuses this request." in said
    assert "MODEL_REFUSED" in said


def test_without_a_token_nobody_is_asked(look: Look) -> None:
    page = look()
    page.get_by_label("Own token").check()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(json.dumps(request.headers)))
    page.get_by_label("Your question").fill(QUESTION)
    page.keyboard.press("Enter")
    page.locator("#ask-status", has_text="Say who you are first").wait_for()
    assert asked == []
