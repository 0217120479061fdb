"""The labelled set is fit to judge a ranking: its questions paraphrase, they do not copy."""

import json
import re
from pathlib import Path
from typing import TypedDict

import pytest


class Passage(TypedDict):
    id: str
    title: str
    text: str


class Question(TypedDict):
    id: str
    text: str
    passage: str


class LabelledSet(TypedDict):
    passages: list[Passage]
    questions: list[Question]


ENGLISH_STOP_WORDS = """
    a about above after again against all also am an and any are as at be because been before being
    below between both but by can cannot could did do does doing down during each few for from
    further had has have having he her here hers him his how i i'd i'll i'm i've if in into is isn't
    it it's its itself just let me might more most must my myself no nor not of off on once only or
    other ought our ours out over own same shall she should shouldn't so some such than that the
    their theirs them then there these they this those through to too under until up us very was
    we were what when where which while who whom whose why will with won't would you your yours
    yourself
"""
STOP_WORDS = frozenset(ENGLISH_STOP_WORDS.split())
# Longest first, so that "applications" loses "ation" and not just "s".
SUFFIXES = ("ation", "ingly", "edly", "ing", "ers", "er", "ied", "ed", "ly")
SHORTEST_STEM = 3  # a shorter stem joins words that have nothing in common: "red" and "ring"

LABELLED: LabelledSet = json.loads(
    Path(__file__).with_name("labelled_set.json").read_text(encoding="utf-8")
)
PASSAGES = {passage["id"]: passage for passage in LABELLED["passages"]}


def stem(word: str) -> str:
    word = word.removesuffix("'s")
    if word.endswith("s") and not word.endswith("ss") and len(word) > SHORTEST_STEM:
        word = word[:-1]
    for suffix in SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= SHORTEST_STEM:
            word = word.removesuffix(suffix)
            break
    while len(word) > SHORTEST_STEM and word[-1] in "eiy":
        word = word[:-1]
    doubled = len(word) > SHORTEST_STEM and word[-1] == word[-2]
    return word[:-1] if doubled else word


def content_words(text: str) -> frozenset[str]:
    words = re.findall(r"[a-z0-9]+(?:'[a-z]+)?", text.lower())
    return frozenset(stem(word) for word in words if word not in STOP_WORDS)


def shared_share(question: str, passage: Passage) -> float:
    asked = content_words(question)
    return len(asked & content_words(f"{passage['title']} {passage['text']}")) / len(asked)


def test_there_are_at_least_120_passages_and_120_questions() -> None:
    assert len(LABELLED["passages"]) >= 120
    assert len(LABELLED["questions"]) >= 120


@pytest.mark.parametrize("kind", ["passages", "questions"])
def test_no_id_and_no_text_occurs_twice(kind: str) -> None:
    entries = LABELLED["passages"] if kind == "passages" else LABELLED["questions"]
    assert len({entry["id"] for entry in entries}) == len(entries)
    assert len({entry["text"] for entry in entries}) == len(entries)


def test_every_question_names_a_passage_that_exists() -> None:
    assert {question["passage"] for question in LABELLED["questions"]} <= PASSAGES.keys()


def test_every_passage_has_between_60_and_130_words_and_a_title() -> None:
    unfit = {
        passage["id"]: len(passage["text"].split())
        for passage in LABELLED["passages"]
        if not passage["title"] or not 60 <= len(passage["text"].split()) <= 130
    }
    assert unfit == {}


def test_no_question_shares_more_than_half_of_its_content_words_with_its_passage() -> None:
    copied = {
        question["text"]: share
        for question in LABELLED["questions"]
        if (share := shared_share(question["text"], PASSAGES[question["passage"]])) > 1 / 2
    }
    assert copied == {}


def test_every_question_shares_some_content_words_with_its_passage() -> None:
    foreign = [
        question["text"]
        for question in LABELLED["questions"]
        if shared_share(question["text"], PASSAGES[question["passage"]]) == 0
    ]
    assert foreign == []


def test_a_question_copied_from_its_passage_would_be_noticed() -> None:
    passage = LABELLED["passages"][0]
    first_sentence = passage["text"].split(".")[0]
    assert shared_share(first_sentence, passage) == 1


@pytest.mark.parametrize(
    ("word", "kin"),
    [
        ("applications", "application"),
        ("posting", "posted"),
        ("parties", "party"),
        ("employer's", "employers"),
        ("stopped", "stop"),
        ("batteries", "battery"),
        ("erased", "erase"),
    ],
)
def test_forms_of_one_word_have_one_stem(word: str, kin: str) -> None:
    assert stem(word) == stem(kin)
