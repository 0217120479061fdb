"""Takes documents from whatever iterable they come from."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from concurrent.futures import ThreadPoolExecutor

from forebay.client.document import NewDocument

_END = object()


class DocumentFeed:
    """One document ahead of the stream, kept when a stream breaks."""

    def __init__(self, documents: Iterable[NewDocument] | AsyncIterable[NewDocument]) -> None:
        if isinstance(documents, AsyncIterable):
            self._documents = aiter(documents)
        else:
            self._documents = _in_thread(documents)
        self._upcoming: asyncio.Task[NewDocument | None] | None = None

    def upcoming(self) -> asyncio.Task[NewDocument | None]:
        """The task that fetches the next document; its result is None at the end."""
        if self._upcoming is None:
            self._upcoming = asyncio.create_task(self._fetch())
        return self._upcoming

    def take(self) -> NewDocument | None:
        """The next document, once `upcoming` is done; None, for ever, at the end.

        Raises:
            Exception: what the iterable raised.
        """
        document = self.upcoming().result()
        if document is not None:
            self._upcoming = None
        return document

    async def aclose(self) -> None:
        """Fetches no more."""
        if self._upcoming is not None:
            self._upcoming.cancel()
            await asyncio.wait({self._upcoming})

    async def _fetch(self) -> NewDocument | None:
        return await anext(self._documents, None)


async def _in_thread(documents: Iterable[NewDocument]) -> AsyncIterator[NewDocument]:
    """Iterates in a thread: reading files, or calling this client, must not hold its loop."""
    loop = asyncio.get_running_loop()
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="forebay-documents")
    try:
        iterator = iter(documents)
        while True:
            document = await loop.run_in_executor(executor, next, iterator, _END)
            if not isinstance(document, NewDocument):
                return
            yield document
    finally:
        executor.shutdown(wait=False)
