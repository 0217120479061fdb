"""Events as text: Server-Sent Events (WHATWG HTML, section 9.2) and newline-delimited JSON."""

from __future__ import annotations

import re
from typing import Protocol

from google.protobuf.descriptor import Descriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status

from forebay_server.http.errors import NotAcceptable
from forebay_server.http.replies import line, message_json
from forebay_server.http.requests import Request

STATUS_EVENT = "status"
HEARTBEAT = "heartbeat"
CURSOR = "cursor"


class EventLines(Protocol):
    """How a stream's messages look on the wire."""

    media_type: str
    opening: bytes
    idle: bytes

    def event(self, message: Message) -> bytes:
        """One message."""

    def status(self, status: Status) -> bytes:
        """Why the stream ends early."""


class ServerSentEvents:
    """`event:` is what happened, `id:` the cursor, `data:` the message; comments keep it alive."""

    media_type = "text/event-stream"
    opening = b":\n"  # the first byte at once, so that proxies and clients see the answer begin
    # One line, and no empty one: some readers take that for the end of an event without data.
    idle = b":\n"

    def __init__(self, message: Descriptor) -> None:
        self._names = EventNames(message)

    def event(self, message: Message) -> bytes:
        """One event; a heartbeat is a comment, which readers pass over."""
        name = self._names.of(message)
        if name == HEARTBEAT:
            return self.idle
        cursor = getattr(message, CURSOR, "")
        identity = f"id: {cursor}\n" if cursor else ""
        return f"event: {name}\n{identity}data: {message_json(message)}\n\n".encode()

    def status(self, status: Status) -> bytes:
        """The event that ends a stream which has no other end."""
        return f"event: {STATUS_EVENT}\ndata: {message_json(status)}\n\n".encode()


class JsonLines:
    """One message per line, heartbeats as well; an early end is a line `{"status": …}`."""

    media_type = "application/x-ndjson"
    opening = b""
    idle = b""  # readers of lines do not expect empty ones

    def __init__(self, _message: Descriptor) -> None:
        """Take the type of the messages, which lines need not know."""

    def event(self, message: Message) -> bytes:
        """One line."""
        return f"{message_json(message)}\n".encode()

    def status(self, status: Status) -> bytes:
        """The last line of a stream which has no other end."""
        return f"{line({STATUS_EVENT: MessageToDict(status)})}\n".encode()


class EventNames:
    """Names of events: that of the set member of the message's oneof, or of the message itself."""

    def __init__(self, message: Descriptor) -> None:
        self._oneof = message.oneofs[0].name if message.oneofs else None
        self._own = re.sub(r"(?<!^)(?=[A-Z])", "_", message.name).lower()

    def of(self, message: Message) -> str:
        """The name of one message's event."""
        return self._own if self._oneof is None else message.WhichOneof(self._oneof) or self._own


FORMS = (ServerSentEvents, JsonLines)


def wanted_lines(request: Request, message: Descriptor) -> EventLines:
    """The form that the client accepts, Server-Sent Events first. Raises NotAcceptable."""
    accepted = {each.split(";")[0].strip().lower() for each in _accepted(request)}
    if accepted & {"", "*/*", "text/*", ServerSentEvents.media_type}:
        return ServerSentEvents(message)
    if accepted & {JsonLines.media_type, "application/*"}:
        return JsonLines(message)
    raise NotAcceptable(form.media_type for form in FORMS)


def _accepted(request: Request) -> list[str]:
    return ",".join(request.headers("accept")).split(",")
