"""Runs `forebay` without a terminal."""

import asyncio

from click.testing import CliRunner, Result

from forebay.client.command.root import root

from .driver import TOKEN

HOSTILE = "safe \x1b]0;owned\x07\x1b[2J\x9b31m\u202etext\r"


class Command:
    """Runs `forebay` in a thread, for the peer needs the test's loop."""

    def __init__(self, target: str) -> None:
        self.target = target

    async def __call__(self, *arguments: str, token: str | None = TOKEN) -> Result:
        options = ["--server", self.target, *(["--token", token] if token else [])]
        run = CliRunner().invoke
        return await asyncio.to_thread(run, root, [*options, *arguments], prog_name="forebay")
