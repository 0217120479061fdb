"""Runs the command on a terminal of its own."""

import asyncio
import os
import pty
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

COMMAND = "from forebay.client.command import main; main()"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class TerminalCommand:
    """`forebay` with a person in front of it."""

    def __init__(self, process: asyncio.subprocess.Process, terminal: int) -> None:
        self.process = process
        self.shown = ""
        self._terminal = terminal

    async def until(self, text: str) -> None:
        """Reads until the terminal has shown so; AssertionError when the command ends before."""
        while text not in ESCAPES.sub("", self.shown):
            assert await self._read(), self.shown

    async def end(self) -> int:
        """Reads what is left and returns the exit code."""
        while await self._read():
            pass
        return await self.process.wait()

    def type(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    async def _read(self) -> bool:
        try:
            data = await asyncio.to_thread(os.read, self._terminal, 65_536)
        except OSError:  # what Linux says when nobody has the terminal open any more
            return False
        self.shown += data.decode()
        return bool(data)


@asynccontextmanager
async def on_terminal(*arguments: str) -> AsyncIterator[TerminalCommand]:
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", COMMAND, *arguments),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "30"},
    )
    os.close(theirs)
    try:
        yield TerminalCommand(process, ours)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(ours)
