"""Bringing documents in on the page, and watching the pipeline."""

from pathlib import Path

from playwright.sync_api import Page

from forebay_benchmarks.model_server.process import ModelServer

from .looking import Look, answer, ask, choose


def bring_in(page: Page, file: Path, visibility: str) -> None:
    page.get_by_label("File").set_input_files(file)
    page.get_by_label("Who may read it").select_option(visibility)
    page.get_by_role("button", name="Bring it in").click()


def test_a_file_is_brought_in_watched_and_found(
    look: Look, models: ModelServer, tmp_path: Path
) -> None:
    file = tmp_path / "Lift manual (2).md"
    file.write_text("# Lift\n\nThe ship lift of Tollan carries barges of ninety tonnes.\n")
    page = look()
    choose(page, "standard")
    page.get_by_role("link", name="Documents").click()
    bring_in(page, file, "VISIBILITY_INTERNAL")
    page.locator("#uploads .badge", has_text="indexed").wait_for()
    assert page.locator("#uploads .title").all_text_contents() == ["lift-manual-2"]
    assert "questions find it" in str(page.locator("#upload-status").text_content())
    page.get_by_role("link", name="Ask").click()
    ask(page, "What does the ship lift of Tollan carry?")
    assert "ninety tonnes" in answer(page)


def test_a_file_that_is_not_what_it_says_fails_with_words(
    look: Look, models: ModelServer, tmp_path: Path
) -> None:
    file = tmp_path / "scan.pdf"
    file.write_bytes(b"no PDF at all")
    page = look()
    choose(page, "standard")
    page.get_by_role("link", name="Documents").click()
    bring_in(page, file, "VISIBILITY_INTERNAL")
    failed = page.locator("#uploads li", has=page.locator(".badge", has_text="failed"))
    failed.wait_for()
    said = str(failed.text_content())
    assert "nothing can be read from it" in said
    assert "DOCUMENT_UNPARSEABLE" in said


def test_a_document_above_the_tier_is_refused_with_words(
    look: Look, models: ModelServer, tmp_path: Path
) -> None:
    file = tmp_path / "secret.txt"
    file.write_text("The vault is behind the third turbine.")
    page = look()
    choose(page, "free")
    page.get_by_role("link", name="Documents").click()
    bring_in(page, file, "VISIBILITY_CONFIDENTIAL")
    page.locator("#uploads li", has_text="You are cleared for public").wait_for()


def test_the_pipeline_is_shown_live_until_it_is_paused(look: Look, models: ModelServer) -> None:
    page = look()
    choose(page, "standard")
    with page.expect_request("**/v1/pipeline:watch*"):
        page.get_by_role("link", name="Pipeline").click()
    page.locator(".stage dd").first.wait_for()
    names = page.locator(".stage h3").all_text_contents()
    assert names[:5] == ["cataloguing", "chunking", "embedding", "retrieval", "generation"]
    assert page.locator(".lane h2").all_text_contents()[:2] == ["Documents", "Questions"]
    assert set(page.locator(".stage .badge").all_text_contents()) == {"running"}
    page.get_by_role("button", name="Pause").click()
    page.locator("#pipeline-status", has_text="Paused").wait_for()


def test_a_token_without_operate_is_told_that_it_lacks_it(look: Look) -> None:
    page = look()
    look.own_token(page, "standard", "ask")
    page.get_by_role("link", name="Pipeline").click()
    page.locator("#pipeline-status", has_text="lacks the scope “operate”").wait_for()
    assert page.locator(".stage").count() == 0
