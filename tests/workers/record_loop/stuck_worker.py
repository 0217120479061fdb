"""`forebay-worker chunking` whose calls never end, whatever they are told."""

import asyncio
import sys
from contextlib import suppress

from forebay.records.v1 import DocumentRecord, Stage
from forebay_workers import command, composition


class Stubborn:
    stage = Stage.STAGE_CHUNKING
    reads = (DocumentRecord,)

    async def process(self, _: object) -> None:
        print("began", flush=True)
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    async def give_up(self, _: object, error: Exception) -> None: ...

    async def take_over(self, partitions: frozenset[int]) -> None: ...

    async def release(self, partitions: frozenset[int]) -> None: ...


async def stubborn(_: composition.Parts) -> Stubborn:
    return Stubborn()


composition.STAGES = {"chunking": stubborn}
sys.exit(command.main(["chunking"]))
