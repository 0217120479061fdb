"""A member in a process of its own: prints the name of every record it begins and ends.

Run with the bootstrap servers, the group, the file of the envelope's keys, and a lane whose
records never end.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

from forebay.records.v1 import QueryRecord, Stage
from forebay_kafka.envelope_files import VerificationKeyFile
from forebay_kafka.group_consumer import GroupConsumer
from forebay_kafka.publisher import Publisher
from forebay_kafka.records import RecordReader
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.topics import topic_of
from forebay_workers.record_loop.clock import SystemClock
from forebay_workers.record_loop.dead_letters import DeadLetters
from forebay_workers.record_loop.loop import RecordLoop
from forebay_workers.record_loop.settings import CommitPolicy, LoopSettings
from forebay_workers.record_loop.stage import Work


class Printing:
    stage = Stage.STAGE_RETRIEVAL
    reads = (QueryRecord,)

    def __init__(self, stuck_lane: str) -> None:
        self._stuck_lane = stuck_lane

    async def process(self, work: Work[QueryRecord]) -> None:
        name = work.message.name.removeprefix("queries/")
        print("began", name, flush=True)
        if name.startswith(self._stuck_lane):
            await asyncio.Event().wait()
        await asyncio.sleep(0.002)
        print("ended", name, flush=True)

    async def give_up(self, work: Work[QueryRecord], error: Exception) -> None:
        print("gave-up", work.message.name, type(error).__name__, flush=True)

    async def take_over(self, partitions: frozenset[int]) -> None: ...

    async def release(self, partitions: frozenset[int]) -> None: ...


async def main(servers: str, group: str, jwks: str, stuck_lane: str) -> None:
    settings = KafkaSettings(bootstrap_servers=servers, session_timeout=2)
    stage, clock = Printing(stuck_lane), SystemClock()
    async with Publisher(settings) as publisher:
        loop: RecordLoop = RecordLoop(
            stage,
            GroupConsumer(settings, group, [topic_of(QueryRecord).name]),
            RecordReader(VerificationKeyFile(Path(jwks)).verifier),
            DeadLetters(publisher, stage.stage, group, clock.wall_time),
            LoopSettings(max_in_flight=20, commit=CommitPolicy(records=50, seconds=0.05)),
            clock,
        )
        await loop.run(asyncio.Event())


arguments: Any = sys.argv[1:5]
asyncio.run(main(*arguments))
