"""Answers without a model: quoted, cited, and silent where there is no evidence."""

from forebay_workers.models.extractive_generation import ExtractiveGeneration
from forebay_workers.models.generation_model import (
    AnswerPart,
    CitationMark,
    Finished,
    FinishReason,
    GenerationRequest,
    PromptPassage,
    TextDelta,
    TokenUsage,
)

TEXTS = (
    "The reservoir was built in 1961. Its dam is 85 metres high. Fish pass it by a ladder.",
    "Visitors may walk on the dam from May to October. Dogs must be kept on a lead.",
    "The power plant has three turbines. Each turbine yields 12 megawatts.",
)


def request_for(question: str, *texts: str, limit: int = 300) -> GenerationRequest:
    passages = tuple(PromptPassage(f"documents/{n}", "", "", text) for n, text in enumerate(texts))
    return GenerationRequest(question, passages, "", limit, 8000)


async def answer(request: GenerationRequest) -> tuple[str, list[tuple[int, str]], list[AnswerPart]]:
    parts = [part async for part in ExtractiveGeneration().generate(request)]
    text = "".join(part.text for part in parts if isinstance(part, TextDelta))
    raw = text.encode()
    cited = [
        (part.passage, raw[part.start : part.end].decode())
        for part in parts
        if isinstance(part, CitationMark)
    ]
    return text, cited, parts


async def test_the_sentence_that_answers_comes_first_with_its_passage() -> None:
    text, cited, parts = await answer(request_for("How high is the dam?", *TEXTS))
    assert cited[0] == (0, "Its dam is 85 metres high.")
    assert text.startswith("Its dam is 85 metres high.")
    assert isinstance(parts[-2], TokenUsage)
    assert parts[-1] == Finished(FinishReason.STOP)


async def test_every_byte_is_quoted_and_cited_to_the_passage_it_stands_in() -> None:
    request = request_for("What does the turbine of the power plant yield?", *TEXTS)
    text, cited, _ = await answer(request)
    assert cited
    assert " ".join(quote for _, quote in cited) == text
    assert all(quote in TEXTS[passage] for passage, quote in cited)


async def test_facts_from_several_documents_appear_side_by_side() -> None:
    texts = (
        "The quota of the free tier is 10 calls a minute.",
        "The quota of the standard tier is 100 calls a minute.",
        "The quota of the enterprise tier is 1000 calls a minute.",
    )
    _, cited, _ = await answer(request_for("What is the quota of each tier?", *texts))
    assert {passage for passage, _ in cited} == {0, 1, 2}


async def test_copies_of_one_sentence_are_said_once() -> None:
    copy = "The quota is 10 calls a minute."
    _, cited, _ = await answer(request_for("What is the quota?", copy, copy, copy))
    assert [quote for _, quote in cited] == [copy]


async def test_without_support_it_says_so_and_cites_nothing() -> None:
    for question in ("Who won the chess championship?", "What is it?", "???"):
        text, cited, parts = await answer(request_for(question, *TEXTS))
        assert "no answer" in text
        assert cited == []
        assert parts[-1] == Finished(FinishReason.NO_EVIDENCE)


async def test_without_passages_it_says_so() -> None:
    assert (await answer(request_for("How high is the dam?")))[2][-1] == Finished(
        FinishReason.NO_EVIDENCE
    )


async def test_headings_help_a_sentence_that_does_not_repeat_them() -> None:
    passage = PromptPassage("d", "Refunds", "Deadline", "Ask within 30 days of buying. Be kind.")
    request = GenerationRequest("What is the deadline for buying refunds?", (passage,), "", 99, 999)
    assert (await answer(request))[0].startswith("Ask within 30 days of buying.")


async def test_word_forms_and_scripts_without_spaces_meet() -> None:
    assert (await answer(request_for("What limits apply?", "One limit applies to calls.")))[1]
    assert (await answer(request_for("ダムの高さは？", "ダムの高さは85メートルです。")))[1]  # noqa: RUF001
    assert (
        await answer(request_for("Wie hoch ist die Staumauer?", "Die Staumauer ist 85 m hoch."))
    )[1]


async def test_the_output_limit_ends_the_answer_between_sentences() -> None:
    texts = [f"Turbine {n} of the plant yields {n} megawatts at full load today." for n in range(9)]
    text, cited, parts = await answer(request_for("What yields a turbine?", *texts, limit=30))
    assert parts[-1] == Finished(FinishReason.LENGTH)
    assert text.endswith("today.")
    assert cited


async def test_the_same_passages_give_the_same_answer() -> None:
    request = request_for("dam turbine reservoir visitors", *TEXTS)
    assert await answer(request) == await answer(request)
