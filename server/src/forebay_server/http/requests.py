"""One HTTP request as the transcoder needs it: headers, path, query and a bounded body."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, ClassVar, TypeAlias

from google.rpc import code_pb2

from forebay.errors.v1 import ErrorReason
from forebay_server.errors import FieldInvalid, Violation
from forebay_server.http.errors import BodyTooLarge, BodyTooSlow, MediaTypeUnknown

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON = "application/json"
ANSWER_HEADERS = "forebay.headers"
"""The scope's extension with the headers that its answer gets, whatever the answer is."""
GZIP_WINDOW = 31  # zlib's way to say: with gzip's header and checksum
# Whoever sends too much should be able to read why: what is sent is thrown away for so long.
LINGER_SECONDS = 5.0
LINGER_FACTOR = 4


class ClientGone(Exception):
    """The client hung up before it had its answer; there is nobody to tell why."""

    code: ClassVar[int] = code_pb2.CANCELLED
    reason: ClassVar[ErrorReason.ValueType] = ErrorReason.ERROR_REASON_UNSPECIFIED


class Request:
    """The parts of an ASGI HTTP scope that count; everything else a client sends means nothing."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self._receive = receive
        self._complete = False
        self._headers: dict[bytes, list[str]] | None = None

    @property
    def header_names(self) -> list[str]:
        """The names of all headers, in lower case."""
        return [name.decode("latin-1") for name, _ in self.scope["headers"]]

    def headers(self, name: str) -> list[str]:
        """The values of all headers of that lower-case name."""
        if self._headers is None:
            self._headers = {}
            for key, value in self.scope["headers"]:
                self._headers.setdefault(key, []).append(value.decode("latin-1"))
        return self._headers.get(name.encode(), [])

    def header(self, name: str) -> str:
        """The one value of a header, empty without one. Raises FieldInvalid for several."""
        values = self.headers(name)
        if len(values) > 1:
            raise FieldInvalid(Violation(_title(name), "header.single", "must be sent once"))
        return values[0] if values else ""

    def answer_with(self, headers: Mapping[str, str]) -> None:
        """Add headers to the answer, be it good or a refusal."""
        self.scope["extensions"][ANSWER_HEADERS].extend(encoded(headers))

    @property
    def has_body(self) -> bool:
        """Whether a body was announced."""
        length = self.header("content-length")
        return bool(self.headers("transfer-encoding")) or length not in ("", "0")

    async def body(self, limit: int, seconds: float) -> bytes:
        """The whole JSON body, unpacked, of at most `limit` bytes.

        Raises BodyTooLarge, BodyTooSlow, MediaTypeUnknown, FieldInvalid and ClientGone.
        """
        unpack = _unpacker(self.header("content-encoding"), limit)
        try:
            async with asyncio.timeout(seconds):
                content = unpack(await self._read(limit))
        except TimeoutError as error:
            raise BodyTooSlow(seconds) from error
        if content:
            self._require_json()
        return content

    async def _read(self, limit: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in self._parts():
            size += len(part)
            if size > limit:
                await self._discard(limit)
                raise BodyTooLarge(limit)
            parts.append(part)
        return b"".join(parts)

    async def _parts(self) -> Any:  # noqa: ANN401 an asynchronous generator of bytes
        while not self._complete:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            self._complete = not message.get("more_body", False)
            yield message.get("body", b"")

    async def _discard(self, limit: int) -> None:
        left = limit * LINGER_FACTOR
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                async for part in self._parts():
                    left -= len(part)
                    if left < 0:
                        return
        except TimeoutError:
            return

    def _require_json(self) -> None:
        kind, *options = self.header("content-type").lower().split(";")
        charsets = [option.strip() for option in options if "charset" in option]
        if kind.strip() != JSON or charsets not in ([], ["charset=utf-8"], ['charset="utf-8"']):
            raise MediaTypeUnknown("Content-Type", JSON)


def encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI takes them."""
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]


def _unpacker(encoding: str, limit: int) -> Callable[[bytes], bytes]:
    if encoding.strip().lower() in ("", "identity"):
        return bytes
    if encoding.strip().lower() not in ("gzip", "x-gzip"):
        raise MediaTypeUnknown("Content-Encoding", "gzip")

    def unpack(packed: bytes) -> bytes:
        inflater = zlib.decompressobj(wbits=GZIP_WINDOW)
        try:
            content = inflater.decompress(packed, limit + 1)
        except zlib.error as error:
            raise _not_gzip() from error
        if len(content) > limit:
            raise BodyTooLarge(limit)
        if not inflater.eof or inflater.unused_data:
            raise _not_gzip()
        return content

    return unpack


def _not_gzip() -> FieldInvalid:
    return FieldInvalid(Violation("", "body.gzip", "the body is not one gzip member (RFC 1952)"))


def _title(name: str) -> str:
    return "-".join(word.capitalize() for word in name.split("-"))
