"""One write to the disk for all lines that come while the last one is under way."""

from __future__ import annotations

import asyncio

from forebay_workers.auditing.day_files import Sink
from forebay_workers.auditing.line import AuditLine


class GroupCommit:
    """Gives a sink, in a thread, all lines at once that wait for it."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._waiting: list[tuple[AuditLine, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def write(self, line: AuditLine) -> None:
        """Return once the sink has the line. Raises what the sink raises."""
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((line, written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())
        await written

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                error = await self._write([line for line, _ in batch])
                for _, written in batch:
                    if written.done():  # its writer has gone; the line stays
                        continue
                    if error is None:
                        written.set_result(None)
                    else:
                        written.set_exception(error)
        finally:
            self._writing = None

    async def _write(self, lines: list[AuditLine]) -> Exception | None:
        try:
            await asyncio.to_thread(self._sink, lines)
        except Exception as error:  # noqa: BLE001 whoever waits for a line hears of it
            return error
        return None
