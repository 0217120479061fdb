"""The baseline of delivery: a bare ASGI application that hands records of one topic to readers."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToDict

from forebay.records.v1 import AnswerRecord
from forebay_benchmarks.bare_kafka import Tail
from forebay_benchmarks.bare_server import served
from forebay_benchmarks.child import AsyncMeasure

_POLL_SECONDS = 0.1  # only how soon the thread notices that it is to leave
_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream")],
}


@dataclass(frozen=True)
class BareEvents:
    """Where it serves, and the topic that it reads."""

    address: str
    kafka: Mapping[str, str]
    topic: str


@asynccontextmanager
async def bare_events(config: BareEvents) -> AsyncIterator[AsyncMeasure | None]:
    """Serve until the parent closes; measures nothing."""
    readers: dict[bytes, asyncio.Queue[bytes]] = {}
    loop, leaving, tail = (
        asyncio.get_running_loop(),
        threading.Event(),
        Tail(config.kafka, config.topic),
    )

    def hand_out(records: list[tuple[bytes, bytes]]) -> None:
        for key, value in records:
            if key in readers:
                readers[key].put_nowait(value)

    def read() -> None:
        while not leaving.is_set():
            if records := tail.read(_POLL_SECONDS):
                loop.call_soon_threadsafe(hand_out, records)

    async def app(scope: Any, _receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        key = scope["path"].removeprefix("/v1/").removesuffix(":stream").encode()
        queue = readers[key] = asyncio.Queue[bytes]()
        await send(_START)
        while True:
            batch = [await queue.get(), *(queue.get_nowait() for _ in range(queue.qsize()))]
            body = b"".join(map(_event, batch))
            await send({"type": "http.response.body", "body": body, "more_body": True})

    reading = asyncio.create_task(asyncio.to_thread(read))
    async with served(app, config.address):
        try:
            yield None
        finally:
            leaving.set()
            await reading
            tail.close()


def _event(value: bytes) -> bytes:
    event = AnswerRecord.FromString(value).event
    return f"event: delta\ndata: {json.dumps(MessageToDict(event))}\n\n".encode()
