"""The port of embedding models."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class EmbeddingModel(Protocol):
    """Turns texts into vectors of one space; two models never share an index."""

    @property
    def name(self) -> str:
        """Name of the vector space, as it stands in an index."""

    @property
    def dimensions(self) -> int:
        """Length of every vector."""

    @property
    def window_tokens(self) -> int:
        """Tokens of a text that reach the vector; what is behind them is lost."""

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one row per text: shape (len(texts), dimensions), float32, rows of length 1.

        The row of a text depends on that text alone, not on its neighbours in the call.
        Raises the tree of `ModelError`; ValueError for a text without any visible character.
        """

    async def close(self) -> None:
        """Give connections and threads back; the model is of no use afterwards."""
