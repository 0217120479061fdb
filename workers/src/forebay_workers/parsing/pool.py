"""The way in: parses documents in child processes that can be killed."""

import asyncio
import json
import os
import sys
from dataclasses import asdict
from typing import Self

from forebay_workers.parsing.errors import (
    DocumentEmpty,
    DocumentParserTimeout,
    DocumentTextTooLarge,
    DocumentUnparseable,
    ParsingError,
)
from forebay_workers.parsing.limits import ParserLimits
from forebay_workers.parsing.messages import LENGTHS, READY, Message, document_of
from forebay_workers.parsing.parsed_document import ParsedDocument

_DEFAULT_LIMITS = ParserLimits()
_START_SECONDS = 60.0  # 0.5 s alone; a machine that starts everything at once is slower
_HEAD_BYTES = 64 * 1024 * 1024  # a document of 4 MiB with a heading per line stays below
# Secrets stand in the environment, and the child reads hostile files: it gets these alone.
_CHILD_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ")


class ParserDied(Exception):
    """The child process went away in the middle of a document."""


class _Child:
    """One child process. It serves one document at a time."""

    def __init__(self, process: asyncio.subprocess.Process, limits: ParserLimits) -> None:
        self._process = process
        self._limits = limits
        self.served = 0

    @classmethod
    async def start(cls, limits: ParserLimits) -> Self:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "forebay_workers.parsing.child",
            json.dumps(asdict(limits)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # parsers quote documents in their warnings
            env={name: os.environ[name] for name in _CHILD_ENVIRONMENT if name in os.environ},
            # Ctrl-C is for the worker, which then drains; its parsers must live until it has.
            start_new_session=True,
        )
        child = cls(process, limits)
        try:
            async with asyncio.timeout(_START_SECONDS):
                await child._read(len(READY))
        except ParserDied:
            # No document is to blame, so this is none of their errors.
            raise RuntimeError("the parser process does not start") from None
        except BaseException:
            await child.kill()
            raise
        return child

    async def parse(self, mime_type: str, content: bytes) -> Message:
        self.served += 1
        assert self._process.stdin is not None  # noqa: S101 - it was opened as a pipe
        try:
            self._process.stdin.write(Message({"mime_type": mime_type}, content).packed())
            await self._process.stdin.drain()
        except ConnectionError:
            raise ParserDied from None
        head_bytes, body_bytes = LENGTHS.unpack(await self._read(LENGTHS.size))
        if head_bytes > _HEAD_BYTES or body_bytes > self._limits.text_bytes:
            raise ParserDied
        return Message.of(await self._read(head_bytes), await self._read(body_bytes))

    async def _read(self, size: int) -> bytes:
        assert self._process.stdout is not None  # noqa: S101 - it was opened as a pipe
        try:
            return await self._process.stdout.readexactly(size)
        except asyncio.IncompleteReadError:
            raise ParserDied from None

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


class ParserPool:
    """Parses up to `workers` documents at a time; the others wait their turn."""

    def __init__(
        self,
        workers: int = 1,
        timeout_seconds: float = 60.0,
        limits: ParserLimits = _DEFAULT_LIMITS,
    ) -> None:
        """Start no process yet; each is started by its first document."""
        self._timeout = timeout_seconds
        self._limits = limits
        self._turns = asyncio.Semaphore(workers)
        self._idle: list[_Child] = []
        self._successor: asyncio.Task[_Child] | None = None

    async def parse(self, mime_type: str, content: bytes) -> ParsedDocument:
        """Return the text of a document; raises the tree of `ParsingError`.

        A child that hangs, crashes or runs out of memory is replaced. One that had served others
        before is not taken for proof: the document gets one more try in a fresh process.
        """
        async with self._turns:
            fresh = not self._idle
            try:
                return await self._attempt(mime_type, content)
            except (ParserDied, MemoryError):
                if fresh:
                    raise DocumentParserTimeout from None
            try:
                await self.close()
                return await self._attempt(mime_type, content)
            except (ParserDied, MemoryError):
                raise DocumentParserTimeout from None

    async def _attempt(self, mime_type: str, content: bytes) -> ParsedDocument:
        child = self._idle.pop() if self._idle else await _Child.start(self._limits)
        try:
            async with asyncio.timeout(self._timeout):
                reply = await child.parse(mime_type, content)
            parsed = self._read(reply, mime_type)
        except ParsingError:
            await self._put_back(child)
            raise
        except TimeoutError:
            await child.kill()
            raise DocumentParserTimeout from None
        except BaseException:
            # Also on cancellation: the child is in the middle of a document nobody waits for.
            await child.kill()
            raise
        await self._put_back(child)
        return parsed

    def _read(self, reply: Message, mime_type: str) -> ParsedDocument:
        match reply.head.get("error"):
            case None:
                return document_of(reply)
            case "empty":
                raise DocumentEmpty
            case "too-large":
                raise DocumentTextTooLarge(self._limits.text_bytes)
            case "memory":
                raise MemoryError
            case _:
                detail = reply.head.get("detail", "the content is damaged")
                raise DocumentUnparseable(mime_type, str(detail))

    async def _put_back(self, child: _Child) -> None:
        if child.served < self._limits.documents_per_child:
            self._idle.append(child)
        else:
            await self._replace(child)

    async def _replace(self, child: _Child) -> None:
        """End a child that served its time once another is there: starting one takes a second."""
        if self._successor is None:
            self._successor = asyncio.create_task(_Child.start(self._limits))
        if not self._successor.done():
            self._idle.append(child)
            return
        successor, self._successor = self._successor, None
        self._idle.append(child if successor.exception() else successor.result())
        if not successor.exception():
            await child.kill()

    async def close(self) -> None:
        """End the idle children; the pool can be used again."""
        if self._successor is not None:
            successor, self._successor = self._successor, None
            successor.cancel()
            started = (await asyncio.gather(successor, return_exceptions=True))[0]
            if isinstance(started, _Child):
                self._idle.append(started)
        while self._idle:
            await self._idle.pop().kill()
