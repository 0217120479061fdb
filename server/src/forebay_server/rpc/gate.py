"""Where gRPC calls meet the chain, and where errors become statuses."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from forebay.records.v1 import AuditRecord
from forebay_server.audit.activity import Activity
from forebay_server.failures import failure_of
from forebay_server.governance.caller import Call
from forebay_server.governance.chain import Chain
from forebay_server.governance.reserved_metadata import require_unreserved
from forebay_server.metrics.calls import UNKNOWN, CallMeter, Outcome
from forebay_server.rpc.drain import Drain
from forebay_server.rpc.status import grpc_code, trailers

Context: TypeAlias = grpc.aio.ServicerContext[bytes, bytes]
Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]
MessageT = TypeVar("MessageT", bound=Message)

TRACE_PARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


class Gate:
    """Lets calls through the chain and maps what they raise; nobody else touches gRPC statuses."""

    def __init__(self, chain: Chain, drain: Drain, meter: CallMeter) -> None:
        self._chain = chain
        self._drain = drain
        self._meter = meter

    @asynccontextmanager
    async def admitted(self, path: str, context: Context) -> AsyncIterator[Call]:
        """Admit the caller of `/package.Service/Method`; errors of the body end the call."""
        metadata = _metadata(context)
        with self._meter.running(path) as outcome, self._following(path, metadata) as activity:
            try:
                async with self._drain.running():
                    caller = await self._chain.admit(activity, _values(metadata, "authorization"))
                    require_unreserved(name for name, _ in metadata)
                    yield Call(caller, _deadline(context), activity.trace_parent, activity)
            # Cancellation is no Exception and goes through: swallowed, it leaks the call's memory.
            except Exception as error:
                if context.cancelled():
                    activity.hung_up = True
                    outcome.code = grpc.StatusCode.CANCELLED.name
                    raise
                activity.error = error
                await self._end(error, activity.trace_parent, context, outcome)

    def request(self, call: Call, message: MessageT) -> MessageT:
        """The call's one request itself when it keeps the rules; FieldInvalid otherwise."""
        checked = self.checked(message)
        call.activity.concern(checked)
        return checked

    def checked(self, message: MessageT) -> MessageT:
        """The message itself when it keeps the contract's rules; FieldInvalid otherwise."""
        self._chain.validate(message)
        return message

    async def refuse(self, error: Exception, context: Context) -> None:
        """End a call to a method that nobody has with the status of an error."""
        with self._meter.running(UNKNOWN) as outcome:
            activity = self._following("", _metadata(context))
            activity.refuse(error)
            await self._end(error, activity.trace_parent, context, outcome)

    def _following(self, path: str, metadata: Metadata) -> Activity:
        return self._chain.following(path, AuditRecord.TRANSPORT_GRPC, _trace_parent(metadata))

    async def _end(
        self, error: Exception, trace_parent: bytes | None, context: Context, outcome: Outcome
    ) -> None:
        trace = TRACE_PARENT.fullmatch((trace_parent or b"").decode())
        status = failure_of(error, trace.group(1) if trace else "")
        outcome.code = grpc_code(status).name
        await context.abort(grpc_code(status), status.message, trailers(status))


def _metadata(context: Context) -> Metadata:
    # gRPC makes it anew each time that it is asked.
    return tuple(context.invocation_metadata() or ())


def _values(metadata: Metadata, name: str) -> list[str]:
    return [
        value if isinstance(value, str) else value.decode(errors="replace")
        for key, value in metadata
        if key == name
    ]


def _trace_parent(metadata: Metadata) -> bytes | None:
    """The one thing of the client's metadata that goes on, if it is what W3C says it is."""
    values = _values(metadata, "traceparent")
    if len(values) != 1 or not TRACE_PARENT.fullmatch(values[0]):
        return None
    return values[0].encode()


def _deadline(context: Context) -> float | None:
    remaining = context.time_remaining()
    if remaining is None:
        return None
    return asyncio.get_running_loop().time() + remaining
