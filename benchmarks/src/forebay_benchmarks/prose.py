"""Documents that nobody has seen before, so that no stage can reuse its work on another."""

import functools
import random

_VOCABULARY = """
the water of gate turbine level a north spillway operator inspection concrete and season valve
pressure reading engineer crane bearing oil record night shift repair drawing steel
"""
_SENTENCE_WORDS = 14
_SENTENCES = 500


def document_text(number: int, size: int) -> str:
    """About `size` bytes (ASCII) of English-looking sentences; the same for the same number."""
    known = _sentences()
    count = max(1, size // len(known[0]))
    dice = random.Random(number)  # noqa: S311 - prose, not secrets
    return f"Record {number} begins. " + " ".join(dice.choices(known, k=count))


@functools.cache
def _sentences() -> tuple[str, ...]:
    dice = random.Random(0)  # noqa: S311 - prose, not secrets
    words = _VOCABULARY.split()
    return tuple(
        " ".join(dice.choices(words, k=_SENTENCE_WORDS)).capitalize() + "."
        for _ in range(_SENTENCES)
    )
