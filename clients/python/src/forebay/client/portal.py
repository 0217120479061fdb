"""Runs coroutines on an event loop of its own, for code that has none."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Generator
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

_CLOSED = "the client is closed"

_Result = TypeVar("_Result")


class Portal:
    """An event loop in a daemon thread."""

    def __init__(self) -> None:
        self._running: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._thread = threading.Thread(target=self._run, name="forebay-client", daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether the loop has ended."""
        return not self._thread.is_alive()

    def call(self, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
        """Runs a coroutine to its end; an interrupt such as Ctrl-C cancels it."""
        loop, _ = self._running.result()
        if loop.is_closed():
            coroutine.close()
            raise RuntimeError(_CLOSED)
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        try:
            return future.result()
        except CancelledError:
            raise RuntimeError(_CLOSED) from None
        except BaseException:
            future.cancel()
            raise

    def iterate(self, items: AsyncGenerator[_Result]) -> Generator[_Result]:
        """Iterates; leaving early closes the generator there."""
        try:
            while True:
                try:
                    item = self.call(_next(items))
                except StopAsyncIteration:
                    return
                yield item
        finally:
            if not self.closed:
                self.call(items.aclose())

    def close(self) -> None:
        """Cancels what runs, ends the loop and its thread."""
        loop, stop = self._running.result()
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)
        self._thread.join()

    def _run(self) -> None:
        # Leaving the runner cancels every task and closes the generators that were left open.
        with asyncio.Runner() as runner:
            runner.run(self._wait())

    async def _wait(self) -> None:
        stop = asyncio.Event()
        self._running.set_result((asyncio.get_running_loop(), stop))
        await stop.wait()


async def _next(items: AsyncGenerator[_Result]) -> _Result:
    return await anext(items)
