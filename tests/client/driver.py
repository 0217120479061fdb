"""Both clients behind one face, so that each test runs on either."""

import asyncio
from collections.abc import Callable, Iterator
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

    async def take(self, number: int, method: str, *args: Any, **options: Any) -> list[Any]:
        items = getattr(self.client, method)(*args, **options)
        taken = [await anext(items) for _ in range(number)]
        await items.aclose()
        return taken

    async def each(
        self, seen: Callable[[Any], None], method: str, *args: Any, **options: Any
    ) -> None:
        async for item in getattr(self.client, method)(*args, **options):
            seen(item)

    async def first(self, method: str, *args: Any, **options: Any) -> Any:
        return (await self.take(1, method, *args, **options))[0]

    async def answer(self, *args: Any, **options: Any) -> Any:
        return await self.client.ask(*args, **options).answer()

    async def followed(self, *args: Any) -> Any:
        return await self.client.follow(*args).answer()

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

    async def take(self, number: int, method: str, *args: Any, **options: Any) -> list[Any]:
        def read() -> list[Any]:
            items: Iterator[Any] = getattr(self.client, method)(*args, **options)
            taken = [next(items) for _ in range(number)]
            items.close()  # type: ignore[attr-defined]
            return taken

        return await asyncio.to_thread(read)

    async def each(
        self, seen: Callable[[Any], None], method: str, *args: Any, **options: Any
    ) -> None:
        loop = asyncio.get_running_loop()

        def read() -> None:
            for item in getattr(self.client, method)(*args, **options):
                loop.call_soon_threadsafe(seen, item)

        await asyncio.to_thread(read)

    async def first(self, method: str, *args: Any, **options: Any) -> Any:
        return (await self.take(1, method, *args, **options))[0]

    async def answer(self, *args: Any, **options: Any) -> Any:
        return await asyncio.to_thread(lambda: self.client.ask(*args, **options).answer())

    async def followed(self, *args: Any) -> Any:
        return await asyncio.to_thread(lambda: self.client.follow(*args).answer())

    async def close(self) -> None:
        await asyncio.to_thread(self.client.close)


Driver = AsyncDriver | SyncDriver
