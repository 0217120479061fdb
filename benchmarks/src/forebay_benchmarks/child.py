"""Load generators and baselines in processes of their own, measured by request over a pipe."""

import asyncio
import multiprocessing
import signal
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self, TypeVar

import uvloop

from forebay_benchmarks.errors import BenchmarkError
from forebay_benchmarks.samples import Sample

ConfigT = TypeVar("ConfigT")
AsyncMeasure = Callable[[float], Awaitable[Sample]]
Entry = Callable[[ConfigT], AbstractAsyncContextManager[AsyncMeasure | None]]

_START_SECONDS = 30.0  # importing grpc and the models takes two on a busy machine
_SLACK_SECONDS = 60.0  # calls that had begun when a round ended come to their end
_LEAVE_SECONDS = 5.0
# A process that is forked from one that used gRPC hangs.
_SPAWN = multiprocessing.get_context("spawn")


class Child:
    """A process that opens `entry(config)`, a function at module level, on uvloop.

    What the entry yields measures; a server that is only called by others yields None. The child
    leaves when its parent closes the pipe or dies.
    """

    def __init__(self, entry: Entry[ConfigT], config: ConfigT) -> None:
        """Describe the process; `with` starts it."""
        self._name = entry.__name__
        self._pipe, self._theirs = _SPAWN.Pipe()
        arguments = (entry, config, self._theirs)
        self._process = _SPAWN.Process(target=_run, args=arguments, daemon=True)

    def __enter__(self) -> Self:
        """Start and wait until it is ready. Raises BenchmarkError."""
        self._process.start()
        self._theirs.close()
        try:
            self._receive(_START_SECONDS)
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the process."""
        self._leave()

    @property
    def pid(self) -> int | None:
        """The process id, for those who watch what it costs."""
        return self._process.pid

    def measure(self, seconds: float) -> Sample:
        """Run a round of about this length. Raises BenchmarkError."""
        self._pipe.send(seconds)
        sample = self._receive(seconds + _SLACK_SECONDS)
        if not isinstance(sample, Sample):
            raise BenchmarkError(f"{self._name} does not measure")
        return sample

    def _receive(self, patience: float) -> Any:  # noqa: ANN401 - whatever was pickled
        try:
            if self._pipe.poll(patience):
                return self._pipe.recv()
        except EOFError:
            raise BenchmarkError(f"{self._name} ended; its error stands above") from None
        raise BenchmarkError(f"{self._name} is silent")

    def _leave(self) -> None:
        self._pipe.close()
        self._process.join(_LEAVE_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _run(entry: Entry[ConfigT], config: ConfigT, pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its children in order
    with suppress(BrokenPipeError):  # the parent has left: nobody waits for the answer
        uvloop.run(_serve(entry, config, pipe))


async def _serve(entry: Entry[ConfigT], config: ConfigT, pipe: Connection) -> None:
    async with entry(config) as measure:
        pipe.send("ready")
        while (seconds := await asyncio.to_thread(_request, pipe)) is not None:
            pipe.send(await measure(seconds) if measure else None)


def _request(pipe: Connection) -> float | None:
    try:
        return float(pipe.recv())
    except EOFError:
        return None
