"""Edits of the running system's policy, each for tenants of the test's own."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from forebay.client import AsyncClient
from forebay.query.v1 import Caller

HOLDS_SECONDS = 5.0  # how soon a rule that was edited has to hold


class PolicyEdits:
    """Writes the policy file and waits until the edge judges by it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._original = path.read_text()

    def write(self, **rules: Any) -> float:
        """Put rules (`tenants`, `shared`) beside the tiers; returns when."""
        content = yaml.safe_load(self._original) | rules
        self._path.write_text(yaml.safe_dump(content))
        return time.monotonic()

    def restore(self) -> None:
        self._path.write_text(self._original)


async def until_caller(client: AsyncClient, holds: Callable[[Caller], bool]) -> float:
    """Wait until the edge says so of the caller, for as long as a rule may take; returns when."""
    async with asyncio.timeout(HOLDS_SECONDS):
        while not holds(await client.caller()):
            continue
    return time.monotonic()
