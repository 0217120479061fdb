"""Drives calls: a token for each attempt, the same request id for all, patience between."""

import asyncio
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import grpc.aio
from google.protobuf.timestamp_pb2 import Timestamp

from forebay.client.credentials import TokenSource
from forebay.client.errors import ForebayError
from forebay.client.failure import failure_of_call
from forebay.client.request_id import RequestIds
from forebay.client.retry import Retries, RetryPolicy
from forebay.errors.v1 import ErrorReason
from forebay.ingest.v1 import (
    DeleteDocumentRequest,
    IngestDocumentRequest,
    UpdateDocumentRequest,
)
from forebay.query.v1 import SubmitQueryRequest

Identified: TypeAlias = (
    SubmitQueryRequest | IngestDocumentRequest | UpdateDocumentRequest | DeleteDocumentRequest
)
Metadata: TypeAlias = grpc.aio.Metadata

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


@dataclass(frozen=True)
class Calls:
    """What every call of a client shares."""

    tokens: TokenSource
    ids: RequestIds
    policy: RetryPolicy
    timeout: float

    def identify(self, request: Identified) -> Identified | None:
        """Gives a request its id. Returns it if the id is ours to renew, None if the caller's."""
        if request.request_id:
            return None
        request.request_id = self.ids.new()
        return request

    def retries(self, timeout: float | None) -> Retries:
        """The attempts of a call that begins now."""
        return Retries(self.policy, started=now(), timeout=timeout)

    async def metadata(self) -> Metadata:
        """The metadata of one attempt, with the token as it is now."""
        return grpc.aio.Metadata(await self.tokens.authorization())

    async def recover(
        self, error: ForebayError, retries: Retries, *identified: Identified | None
    ) -> None:
        """Waits until the next attempt is due, with a corrected clock if that was refused.

        Raises:
            ForebayError: `error`, when there will be no other attempt.
        """
        refused_clock = error.reason == ErrorReason.ERROR_REASON_REQUEST_ID_OUT_OF_WINDOW
        if refused_clock and None in identified:
            raise error
        delay = retries.wait_after(error, now())
        if refused_clock:
            self.correct_clock(error)
            for request in identified:
                if request is not None:
                    request.request_id = self.ids.new()
        await asyncio.sleep(delay)

    def correct_clock(self, error: ForebayError) -> None:
        """Takes over the server's time from REQUEST_ID_OUT_OF_WINDOW.

        Raises:
            ForebayError: `error`, when it does not tell a time.
        """
        server_time = Timestamp()
        try:
            server_time.FromJsonString(error.metadata.get("server_time", ""))
        except ValueError:
            raise error from None
        self.ids.correct(server_time.ToNanoseconds() / 1e9)

    async def unary(
        self,
        method: "grpc.aio.UnaryUnaryMultiCallable[_Request, _Response]",
        request: _Request,
        *,
        identified: Identified | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - gRPC sends it along
    ) -> _Response:
        """One logical call, in as many attempts as its deadline and its errors allow.

        Raises:
            ForebayError: the last attempt's.
        """
        retries = self.retries(self.timeout if timeout is None else timeout)
        while True:
            metadata = await self.metadata()
            try:
                return await method(request, timeout=retries.remaining(now()), metadata=metadata)
            except grpc.aio.AioRpcError as error:
                failure = failure_of_call(error)
            await self.recover(failure, retries, identified)


def now() -> float:
    """The event loop's time, in seconds."""
    return asyncio.get_running_loop().time()
