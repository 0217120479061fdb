"""The files that the audit stage writes: one line for each thing that somebody did."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from forebay_standalone.system import System

WAIT_SECONDS = 30.0
LOOK_SECONDS = 0.05
Line = dict[str, Any]


class AuditFiles:
    """The lines of a system's files."""

    def __init__(self, system: System) -> None:
        self._folder = system.state.audit

    async def until(self, met: Callable[[list[Line]], bool]) -> list[Line]:
        """All lines, once they are as a test wants them."""
        async with asyncio.timeout(WAIT_SECONDS):
            while not met(lines := self.lines()):  # noqa: ASYNC110 another process writes them
                await asyncio.sleep(LOOK_SECONDS)
        return lines

    def lines(self) -> list[Line]:
        return [json.loads(line) for line in self.text().splitlines() if line]

    def text(self) -> str:
        """Whole lines of all files."""
        texts = [path.read_text() for path in sorted(self._folder.glob("audit-*.jsonl"))]
        return "".join(text[: text.rfind("\n") + 1] for text in texts)


def of(tenant: str, lines: list[Line]) -> list[Line]:
    return [each for each in lines if org(each) == tenant]


def org(line: Line) -> str:
    return str(line.get("actor", {}).get("user", {}).get("org", {}).get("uid", ""))
