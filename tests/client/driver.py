"""Both clients behind one face, so that each test runs on either."""

import asyncio
from collections.abc import Iterator
from typing import Any

from forebay.client import AsyncClient, Client, RetryPolicy

TOKEN = "secret"
QUICK = RetryPolicy(first_delay=0.005, longest_delay=0.05, patience=5)


class AsyncDriver:
    """The asyncio client, as the tests use it."""

    def __init__(self, target: str, token: Any = TOKEN, **options: Any) -> None:
        options.setdefault("retry", QUICK)
        self.client = AsyncClient(target, token, **options)

    async def call(self, method: str, *args: Any, **options: Any) -> Any:
        return await getattr(self.client, method)(*args, **options)

    async def collect(self, method: str, *args: Any, **options: Any) -> list[Any]:
        return [item async for item in getattr(self.client, method)(*args, **options)]

    async def first(self, method: str, *args: Any, **options: Any) -> Any:
        items = getattr(self.client, method)(*args, **options)
        item = await anext(items)
        await items.aclose()
        return item

    async def answer(self, *args: Any, **options: Any) -> Any:
        return await self.client.ask(*args, **options).answer()

    async def close(self) -> None:
        await self.client.close()


class SyncDriver:
    """The client without asyncio; in a thread, for the peer needs the test's loop."""

    def __init__(self, target: str, token: Any = TOKEN, **options: Any) -> None:
        options.setdefault("retry", QUICK)
        self.client = Client(target, token, **options)

    async def call(self, method: str, *args: Any, **options: Any) -> Any:
        return await asyncio.to_thread(getattr(self.client, method), *args, **options)

    async def collect(self, method: str, *args: Any, **options: Any) -> list[Any]:
        return await asyncio.to_thread(lambda: list(getattr(self.client, method)(*args, **options)))

    async def first(self, method: str, *args: Any, **options: Any) -> Any:
        def read() -> Any:
            items: Iterator[Any] = getattr(self.client, method)(*args, **options)
            item = next(items)
            items.close()  # type: ignore[attr-defined]
            return item

        return await asyncio.to_thread(read)

    async def answer(self, *args: Any, **options: Any) -> Any:
        return await asyncio.to_thread(lambda: self.client.ask(*args, **options).answer())

    async def close(self) -> None:
        await asyncio.to_thread(self.client.close)


Driver = AsyncDriver | SyncDriver
