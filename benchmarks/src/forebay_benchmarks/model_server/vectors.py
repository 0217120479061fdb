"""Vectors without a model: words hashed into dimensions, so that like texts lie close together.

Feature hashing after Weinberger et al. (2009): the same text gives the same vector on any machine.
"""

import hashlib
import math
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

_WORD = re.compile(r"\w+")
_KNOWN_WORDS = 65_536  # a vocabulary; 10 MB at most


class VectorMaker(Protocol):
    """Turns texts into vectors."""

    async def vectors(self, texts: Sequence[str]) -> list[list[float]]:
        """Return one vector of length 1 per text."""


class HashedVectors:
    """The default: no weights, microseconds a text."""

    def __init__(self, dimensions: int) -> None:
        """Make vectors of `dimensions` numbers."""
        self._dimensions = dimensions

    async def vectors(self, texts: Sequence[str]) -> list[list[float]]:
        """See `VectorMaker.vectors`."""
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> list[float]:
        vector = [0.0] * self._dimensions
        for word in _WORD.findall(text.casefold()) or [text]:
            place = _place(word)
            vector[place % self._dimensions] += 1.0 if place >> 63 else -1.0
        length = math.sqrt(sum(number * number for number in vector))
        if length == 0:
            vector[0] = length = 1.0
        return [number / length for number in vector]


@lru_cache(_KNOWN_WORDS)
def _place(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest())


class WordllamaVectors:
    """The bundled model of the workers, for runs whose retrieval quality matters."""

    def __init__(self) -> None:
        """Load the weights."""
        # Only where asked for: the weights take memory that a load test is short of.
        from forebay_workers.models.wordllama_embedding import (  # noqa: PLC0415
            WordllamaEmbedding,
        )

        self._model = WordllamaEmbedding()

    async def vectors(self, texts: Sequence[str]) -> list[list[float]]:
        """See `VectorMaker.vectors`."""
        rows: list[list[float]] = (await self._model.embed(texts)).tolist()
        return rows
