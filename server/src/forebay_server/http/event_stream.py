"""One stream of events to one client: bounded, kept alive, and gone when the client is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from google.protobuf.message import Message

from forebay_server.answers.errors import ReaderTooSlow
from forebay_server.failures import failure_of
from forebay_server.http.event_lines import EventLines
from forebay_server.http.handoff import Handoff
from forebay_server.http.replies import Reply
from forebay_server.http.requests import ClientGone, Receive, Send, encoded

HEARTBEAT_SECONDS = 15.0  # below the minute after which common proxies drop a silent stream
SEND_SECONDS = 30.0  # a client that takes nothing for so long has stopped reading
# A stream whose first event takes longer begins without it; by then the log is known to be slow.
FIRST_SECONDS = 1.0
MAX_QUEUED = 16  # events ahead of the socket; what follows waits in the follower's bounded queue


class EventsEnded(Exception):
    """The method has no more events."""


Outcome = Message | Exception
"""An event, or what ended the stream."""


class EventStream:
    """Sends what a method yields; `begun` says whether the client has its HTTP status."""

    def __init__(self, lines: EventLines, receive: Receive, send: Send) -> None:
        self.begun = False
        self._lines = lines
        self._receive = receive
        self._send = send
        self._outcomes: Handoff[Outcome] = Handoff(MAX_QUEUED)

    async def run(self, events: AsyncGenerator[Message]) -> None:
        """Send all events, or 204 where there is none left to send.

        Raises what the method raises, ClientGone and SendTimeout.
        """
        pumping = asyncio.create_task(self._pump(events))
        watching: asyncio.Task[None] | None = None
        try:
            # As in Drain: the one way to interrupt a body and to tell it from a cancelled call.
            async with asyncio.timeout(None) as gone:
                watching = asyncio.create_task(self._watch(gone))
                await self._write()
        except TimeoutError as error:
            if gone.expired():
                raise ClientGone from error
            raise
        finally:
            await _stopped([pumping, watching] if watching else [pumping])

    async def end(self, error: Exception) -> None:
        """Say in the stream why it ends. Raises SendTimeout."""
        await self._send_timely(self._lines.status(failure_of(error)))
        await self._send_timely(b"", more=False)

    async def _pump(self, events: AsyncGenerator[Message]) -> None:
        outcome: Exception = EventsEnded()
        async with aclosing(events):
            try:
                async for event in events:
                    await self._outcomes.put(event)
            # Whatever ends the method ends its stream; the client is told which it was.
            except Exception as error:  # noqa: BLE001
                outcome = error
        await self._outcomes.put(outcome)

    async def _watch(self, gone: asyncio.Timeout) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        gone.reschedule(asyncio.get_running_loop().time())

    async def _write(self) -> None:
        batch = await self._ready(FIRST_SECONDS)
        try:
            if batch and isinstance(batch[0], Exception):
                raise batch[0]
            await self._begin()
            while True:
                await self._send_batch(batch)
                batch = await self._ready(HEARTBEAT_SECONDS)
        except EventsEnded:
            await self._finish()

    async def _ready(self, seconds: float) -> Sequence[Outcome]:
        """What waits to be sent, once there is something; nothing after that time."""
        try:
            async with asyncio.timeout(seconds):
                return await self._outcomes.take()
        except TimeoutError:
            return ()

    async def _begin(self) -> None:
        headers = {
            "Content-Type": self._lines.media_type,
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
        }
        self.begun = True
        await self._send(
            {"type": "http.response.start", "status": 200, "headers": encoded(headers)}
        )
        await self._send_timely(self._lines.opening)

    async def _send_batch(self, batch: Sequence[Outcome]) -> None:
        events = [self._lines.event(each) for each in batch if isinstance(each, Message)]
        await self._send_timely(b"".join(events) if batch else self._lines.idle)
        if batch and isinstance(batch[-1], Exception):
            raise batch[-1]

    async def _finish(self) -> None:
        if self.begun:
            await self._send_timely(b"", more=False)
        else:
            # The one answer that tells readers of event streams not to come back.
            await Reply(204, headers={"Cache-Control": "no-store"}).send(self._send)

    async def _send_timely(self, data: bytes, *, more: bool = True) -> None:
        if not data and more:
            return
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._send({"type": "http.response.body", "body": data, "more_body": more})
        except TimeoutError as error:
            raise SendTimeout from error


class SendTimeout(ReaderTooSlow):
    """The client has stopped reading; its connection is of no use."""


async def _stopped(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
