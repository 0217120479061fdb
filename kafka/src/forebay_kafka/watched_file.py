"""A configuration file that is read again whenever it changes."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

from forebay_kafka.bounded_file import read_bounded

MAX_BYTES = 1024 * 1024  # rules for some ten thousand tenants; parsed in less than a second
INTERVAL_SECONDS = 1.0  # two looks and some work stay far below the 5 s that a rule may take

ValueT = TypeVar("ValueT")
_log = logging.getLogger(__name__)


class ConfigurationInvalid(Exception):
    """A configuration file, or a variable, breaks a rule; the text names both."""


def read_content(path: Path) -> bytes:
    """The bytes of a configuration file; ConfigurationInvalid when they cannot be had."""
    try:
        return read_bounded(path, MAX_BYTES)
    except OSError as error:
        raise ConfigurationInvalid(f"{path}: {error.strerror}") from error


class WatchedFile(Generic[ValueT]):
    """What a file says; when it turns bad, what it said last while it was good.

    The content is compared, not the time stamp, so a file may be edited, renamed over or switched
    by a symbolic link. New content counts once two looks in a row have found it: a file that is
    being written may be valid, and say too little, up to any of its lines.
    """

    def __init__(
        self,
        path: Path,
        parse: Callable[[bytes, Path], ValueT],
        interval_seconds: float = INTERVAL_SECONDS,
    ) -> None:
        """Read the file once; ConfigurationInvalid, since there is nothing to fall back to."""
        content = read_content(path)
        self._path = path
        self._parse = parse
        self._interval_seconds = interval_seconds
        self._value = parse(content, path)
        self._adopted = self._seen = _digest(content)
        self._refused: tuple[bytes, str] | None = None
        self._problem: str | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def current(self) -> ValueT:
        """What counts now."""
        return self._value

    @property
    def problem(self) -> str | None:
        """Why the file as it is now does not count: line, field and rule; None when it does."""
        return self._problem

    async def __aenter__(self) -> Self:
        """Watch from now on."""
        self._watch = asyncio.create_task(self._keep_looking())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Watch no longer."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)

    async def look(self) -> None:
        """Look at the file once; disk and parser work beside the event loop."""
        try:
            content = await asyncio.to_thread(read_content, self._path)
        except ConfigurationInvalid as error:
            self._seen = b""
            self._report(str(error))
            return
        digest, before = _digest(content), self._seen
        self._seen = digest
        if digest == self._adopted:
            self._report(None)
        elif digest == before:
            await self._judge(content, digest)

    def look_at_once(self) -> None:
        """Adopt what the file says now, if it is good; for who cannot wait for the next look.

        The file must be one of which no part is valid, since a second look may never come.
        """
        with suppress(ConfigurationInvalid):
            content = read_content(self._path)
            if (digest := _digest(content)) != self._adopted:
                self._adopt(self._parse(content, self._path), digest)

    def adopted(self, value: ValueT) -> None:
        """Called with what counts from now on."""
        del value
        _log.info("a changed file is in force", extra={"file": str(self._path)})

    async def _judge(self, content: bytes, digest: bytes) -> None:
        if self._refused is None or self._refused[0] != digest:
            try:
                value = await asyncio.to_thread(self._parse, content, self._path)
            except ConfigurationInvalid as error:
                self._refused = digest, str(error)
            else:
                self._adopt(value, digest)
                return
        self._report(self._refused[1])

    def _adopt(self, value: ValueT, digest: bytes) -> None:
        self._value, self._adopted = value, digest
        self._report(None)
        self.adopted(value)

    def _report(self, problem: str | None) -> None:
        if problem is not None and problem != self._problem:
            _log.warning(
                "a file does not count; what it said before stays in force",
                extra={"file": str(self._path), "problem": problem},
            )
        if problem is None and self._problem is not None:
            _log.info("a file counts again", extra={"file": str(self._path)})
        self._problem = problem

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(self._interval_seconds)
            try:
                await self.look()
            # A defect must not end the watch: the next change would go unseen for ever.
            except Exception:  # noqa: BLE001 it is logged, and shown as the problem
                _log.exception("a file could not be looked at", extra={"file": str(self._path)})
                self._problem = f"{self._path}: could not be judged"


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
