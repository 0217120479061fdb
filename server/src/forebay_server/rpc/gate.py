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
        with self._meter.running(path) as outcome, self._following(path, context) as activity:
            try:
                async with self._drain.running():
                    caller = await self._chain.admit(activity, _headers(context, "authorization"))
                    require_unreserved(name for name, _ in context.invocation_metadata() or ())
                    yield Call(caller, _deadline(context), activity.trace_parent, activity)
            # Cancellation is no Exception and goes through: swallowed, it leaks the call's memory.
            except Exception as error:
                if context.cancelled():
                    activity.hung_up = True
                    outcome.code = grpc.StatusCode.CANCELLED.name
                    raise
                activity.error = error
                await self._end(error, context, outcome)

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
            self._following("", context).refuse(error)
            await self._end(error, context, outcome)

    def _following(self, path: str, context: Context) -> Activity:
        return self._chain.following(path, AuditRecord.TRANSPORT_GRPC, _trace_parent(context))

    async def _end(self, error: Exception, context: Context, outcome: Outcome) -> None:
        trace = TRACE_PARENT.fullmatch((_trace_parent(context) or b"").decode())
        status = failure_of(error, trace.group(1) if trace else "")
        outcome.code = grpc_code(status).name
        await context.abort(grpc_code(status), status.message, trailers(status))


def _headers(context: Context, name: str) -> list[str]:
    return [
        value if isinstance(value, str) else value.decode(errors="replace")
        for key, value in context.invocation_metadata() or ()
        if key == name
    ]


def _trace_parent(context: Context) -> bytes | None:
    """The one thing of the client's metadata that goes on, if it is what W3C says it is."""
    values = _headers(context, "traceparent")
    if len(values) != 1 or not TRACE_PARENT.fullmatch(values[0]):
        return None
    return values[0].encode()


def _deadline(context: Context) -> float | None:
    remaining = context.time_remaining()
    if remaining is None:
        return None
    return asyncio.get_running_loop().time() + remaining
