"""The embedding model whose weights come with a package: no network, no key, no GPU."""

import asyncio
import importlib
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DIMENSIONS = 256  # the only width whose weights are in the wheel
_WINDOW_TOKENS = 512  # it averages word vectors: no hard window, but longer texts blur


class WordllamaEmbedding:
    """Averaged word vectors of `wordllama` (l2_supercat), computed in one thread of its own."""

    name = "wordllama/l2_supercat-256"
    dimensions = _DIMENSIONS
    window_tokens = _WINDOW_TOKENS

    def __init__(self) -> None:
        """Load the weights (16 MB of file, about 0.5 s)."""
        self._model = _load()
        # One thread: the work holds a core anyway, and queries wait behind one batch at most.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="wordllama")

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `EmbeddingModel.embed`."""
        if not texts:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._embed, list(texts))

    def _embed(self, texts: list[str]) -> NDArray[np.float32]:
        if not all(text.strip() for text in texts):
            message = "a text without any visible character has no embedding"
            raise ValueError(message)
        # Batches of one: a batch is padded to its longest text, which costs memory and makes the
        # last bits of a row depend on its neighbours.
        rows: NDArray[np.float32] = self._model.embed(texts, norm=False, batch_size=1)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        # Texts made of nothing but unknown symbols average to zero: zero is similar to nothing.
        return np.asarray(rows / np.where(lengths > 0, lengths, 1), dtype=np.float32)

    async def close(self) -> None:
        """See `EmbeddingModel.close`."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _load() -> Any:  # noqa: ANN401 - the package has no types
    package = _import_without_its_logging()
    folder = Path(package.__file__).parent
    # The loader looks beside the wrong module and would download: both are said here.
    return package.WordLlama.load(cache_dir=folder, disable_download=True, dim=_DIMENSIONS)


def _import_without_its_logging() -> Any:  # noqa: ANN401 - the package has no types
    """Import the package; it configures the root logger on import, which is the program's job."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    package = importlib.import_module("wordllama")
    root.handlers[:] = handlers
    root.setLevel(level)
    return package
