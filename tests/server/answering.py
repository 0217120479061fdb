"""An edge on a port of its own, and a worker's part of the log, written by hand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from forebay.query.v1 import AnswerEvent
from forebay.records.v1 import AnswerRecord, QueryRecord
from forebay_kafka.publisher import Position, Publisher
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.topics import IDENTITY_HEADER
from forebay_postgres import PostgresSettings
from forebay_server.composition import Configuration, edge

from .conftest import Installation
from .log import LogReader


@asynccontextmanager
async def edge_address(
    installation: Installation, kafka: KafkaSettings, postgres: PostgresSettings
) -> AsyncIterator[str]:
    configuration = Configuration(installation.settings, kafka, postgres)
    async with edge(configuration, share_port=False) as built:
        port = await built.server.start(built.services, "127.0.0.1:0", None)
        yield f"127.0.0.1:{port}"
        await built.server.drain(0)


@dataclass
class Attempt:
    """One attempt at a query's answer, on behalf of its asker."""

    publisher: Publisher
    name: str
    token: bytes
    attempt: str = field(default_factory=lambda: uuid4().hex)
    sequence: int = 0

    def write(self, event: AnswerEvent) -> asyncio.Future[Position]:
        self.sequence += 1
        event.query, event.attempt, event.sequence = self.name, self.attempt, self.sequence
        return self.publisher.publish(
            AnswerRecord(event=event), key=self.name, identity_token=self.token
        )

    async def open(self) -> None:
        await self.write(AnswerEvent(restarted=AnswerEvent.Restarted()))

    def delta(self, text: str) -> asyncio.Future[Position]:
        return self.write(AnswerEvent(delta=AnswerEvent.Delta(text=text)))

    def complete(self, answer: str) -> asyncio.Future[Position]:
        return self.write(AnswerEvent(completed=AnswerEvent.Completed(answer=answer)))


def token_of(log: LogReader, name: str) -> bytes:
    """The envelope that the edge wrote for a query."""
    [record] = [each for each in log.read(QueryRecord) if each.key == name.encode()]
    return record.only_header(IDENTITY_HEADER)
