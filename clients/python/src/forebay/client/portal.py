"""Runs coroutines on an event loop of its own, for code that has none."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Generator
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

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
        """Runs a coroutine to its end; an interrupt such as Ctrl-C cancels it.

        Raises:
            RuntimeError: the portal is closed, or was while the coroutine ran.
        """
        loop, _ = self._running.result()
        if loop.is_closed():
            coroutine.close()
            raise RuntimeError(_CLOSED)
        call = _Call(coroutine)
        try:
            loop.call_soon_threadsafe(call.begin)
            call.ended.result()
        except BaseException:
            # A generator that is being cancelled cannot be closed before it has ended.
            loop.call_soon_threadsafe(call.stop)
            call.ended.result()
            raise
        return call.result()

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


class _Call(Generic[_Result]):
    """A coroutine in the loop, and its end for the thread that waits for it."""

    def __init__(self, coroutine: Coroutine[Any, Any, _Result]) -> None:
        self.ended: Future[None] = Future()
        self._coroutine = coroutine
        self._task: asyncio.Task[_Result] | None = None

    def begin(self) -> None:
        """In the loop: runs the coroutine."""
        self._task = asyncio.get_running_loop().create_task(self._coroutine)
        self._task.add_done_callback(self._end)

    def stop(self) -> None:
        """In the loop: cancels it; an interrupt may have come before it began."""
        if self._task is not None:
            self._task.cancel()
        elif not self.ended.done():
            self._coroutine.close()
            self.ended.set_result(None)

    def result(self) -> _Result:
        """Once it has ended.

        Raises:
            RuntimeError: the loop's end cancelled it.
        """
        if self._task is None or self._task.cancelled():
            raise RuntimeError(_CLOSED)
        return self._task.result()

    def _end(self, task: "asyncio.Task[_Result]") -> None:
        if not task.cancelled():
            task.exception()  # seen, also when an interrupt has left nobody to raise it to
        self.ended.set_result(None)


async def _next(items: AsyncGenerator[_Result]) -> _Result:
    return await anext(items)
