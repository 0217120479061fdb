"""What the server answers: a quote of the first passages in the prompt, the same every time."""

import re
from collections.abc import Sequence
from typing import Any

_CANARY = re.compile(r"canary-[A-Za-z0-9-]+")
_PASSAGE = re.compile(
    r"^\[(?P<number>\d+)\] begin passage (?P<fence>\S+)\n"
    r"(?P<body>.*?)\n\[\d+\] end passage (?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
_QUESTION = "Question: "
_QUOTED_PASSAGES = 2
_QUOTE_CHARACTERS = 240
_FILLER = ("and", "so", "it", "goes", "on")
_TOKEN = re.compile(r"\s*\S{1,12}")


def question_of(messages: Sequence[dict[str, Any]]) -> str:
    """Return what stands behind the last `Question: ` of the last user message, or all of it.

    A prompt differs from call to call by its fence; the question does not.
    """
    texts = [str(message.get("content", "")) for message in messages if message["role"] == "user"]
    last = texts[-1] if texts else ""
    return last.rpartition(_QUESTION)[2]


def answer_to(messages: Sequence[dict[str, Any]]) -> str:
    """Quote the first passages with their numbers, and repeat the question's canary if any."""
    prompt = "\n".join(str(message.get("content", "")) for message in messages)
    quotes = [_quote(match) for match in _PASSAGE.finditer(prompt)][:_QUOTED_PASSAGES]
    canary = _CANARY.search(question_of(messages))
    if canary:
        quotes.insert(0, f"{canary.group()}.")
    return " ".join(quotes) or "There is nothing to quote."


def tokens_of(text: str, wanted: int) -> list[str]:
    """Cut an answer into tokens (a word of up to 12 characters), repeated or cut to `wanted`."""
    tokens = _TOKEN.findall(text)
    if not wanted:
        return tokens
    while len(tokens) < wanted:
        tokens.append(f" {_FILLER[len(tokens) % len(_FILLER)]}")
    return tokens[:wanted]


def _quote(passage: re.Match[str]) -> str:
    body = passage["body"].partition("\n")[2] or passage["body"]
    words = " ".join(body.split())[:_QUOTE_CHARACTERS].rstrip(".")
    return f"{words} [{passage['number']}]."
