"""Documents that somebody else brings in: from a process of its own, as from a machine of its own.

A client on the event loop of those who wait for an answer would slow them down by itself.
"""

import asyncio
import multiprocessing
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from types import TracebackType
from typing import Self

import uvloop

from forebay.client import AsyncClient, NewDocument, RetryPolicy
from forebay_benchmarks.errors import BenchmarkError

PATIENCE_SECONDS = 240.0
NICENESS = 10  # another machine's processors are not this one's
# A process that is forked from one that used gRPC hangs.
_SPAWN = multiprocessing.get_context("spawn")


class Flood:
    """A client in another process. `with Flood(target) as flood`."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._pool = ProcessPoolExecutor(1, _SPAWN, os.nice, (NICENESS,))

    def __enter__(self) -> Self:
        """Begin; the process starts with the first documents."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the process, behind what it does just now."""
        self._pool.shutdown(cancel_futures=True)

    async def bring(self, documents: Mapping[str, Sequence[NewDocument]]) -> dict[str, str]:
        """Bring the documents of each token in, on a stream for each token; etags by document id.

        Raises BenchmarkError when one is refused.
        """
        running = asyncio.get_running_loop()
        return await running.run_in_executor(self._pool, _bring, self._target, documents)


def _bring(target: str, documents: Mapping[str, Sequence[NewDocument]]) -> dict[str, str]:
    return uvloop.run(_all(target, documents))


async def _all(target: str, documents: Mapping[str, Sequence[NewDocument]]) -> dict[str, str]:
    streams = (_stream(target, token, own) for token, own in documents.items())
    return {name: etag for own in await asyncio.gather(*streams) for name, etag in own.items()}


async def _stream(target: str, token: str, documents: Sequence[NewDocument]) -> dict[str, str]:
    etags = {}
    patient = RetryPolicy(patience=PATIENCE_SECONDS)
    async with AsyncClient(target, token, timeout=PATIENCE_SECONDS, retry=patient) as client:
        async for outcome in client.ingest_many(documents):
            if outcome.document is None:
                raise BenchmarkError(f"a document was refused: {outcome.error}")
            etags[outcome.source.document_id] = outcome.document.etag
    return etags
