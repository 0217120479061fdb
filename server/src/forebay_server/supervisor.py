"""Keeps N processes serving one port, and takes them along when it leaves.

Children are spawned, never forked: gRPC's threads do not survive a fork. Each holds the reading
end of a pipe whose writing end is the supervisor's: when the supervisor is gone, they leave too.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence

INVALID_CONFIGURATION = 2  # a child that says so would say it again
FIRST_DELAY = 0.5
MAX_DELAY = 30.0
HEALTHY_SECONDS = 60.0  # whoever ran that long has its earlier deaths forgiven
KILL_MARGIN = 5.0  # a child drains by itself; one that is stuck gets this much longer

_log = logging.getLogger(__name__)


class Supervisor:
    """Runs `count` processes that serve the addresses, until it is told to stop."""

    def __init__(self, count: int, addresses: Sequence[str], drain_timeout: float) -> None:
        self._count = count
        self._command = [sys.executable, "-m", "forebay_server", "serve-shared", *addresses]
        self._kill_after = drain_timeout + KILL_MARGIN
        self._stop = asyncio.Event()
        self._exit_code = 0

    async def run(self) -> int:
        """Supervise until SIGTERM or SIGINT, or until a child refuses its configuration."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        async with asyncio.TaskGroup() as places:
            for _ in range(self._count):
                places.create_task(self._keep_one())
        return self._exit_code

    async def _keep_one(self) -> None:
        delay = FIRST_DELAY
        while not self._stop.is_set():
            began = time.monotonic()
            child = await asyncio.create_subprocess_exec(*self._command, stdin=PIPE)
            code = await self._until_exit(child)
            if self._stop.is_set():
                return
            if code == INVALID_CONFIGURATION:
                self._exit_code = code
                self._stop.set()
                return
            if time.monotonic() - began > HEALTHY_SECONDS:
                delay = FIRST_DELAY
            _log.error("a serving process ended", extra={"code": code, "restart_in": delay})
            await self._stopped_within(delay)
            delay = min(delay * 2, MAX_DELAY)

    async def _until_exit(self, child: Process) -> int:
        exited = asyncio.create_task(child.wait())
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait({exited, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not exited.done():
            child.terminate()
            await asyncio.wait({exited}, timeout=self._kill_after)
        if not exited.done():
            _log.error("a serving process did not leave in time", extra={"pid": child.pid})
            child.kill()
        return await exited

    async def _stopped_within(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return
