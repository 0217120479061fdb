"""Generation workers on a real log: what the stages before them write, and what comes of it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from uuid import uuid4

from google.protobuf.message import Message

from forebay.query.v1 import AnswerEvent, Passage, Query
from forebay.records.v1 import AnswerRecord, ContextRecord, QueryRecord
from forebay_benchmarks.model_server import ModelServer
from forebay_kafka.answer_fold import AnswerFold
from forebay_kafka.envelope import EnvelopeVerifier, Statement
from forebay_kafka.envelope_keys import verification_keys
from forebay_kafka.errors import IdentityInvalid
from forebay_kafka.partitioning import partition_for
from forebay_kafka.publisher import Publisher
from forebay_kafka.query_view import query_of
from forebay_kafka.records import Received, RecordReader, record_type
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.tail import LogTail
from forebay_kafka.topics import topic_of

from .record_loop.minting import Mint, identity_of

PARTITIONS = 4
SESSION_SECONDS = 3.0
PASSAGE = Passage(document="collections/c/documents/weir", text="The weir is nine metres deep.")
Asked = Callable[[list[AnswerEvent]], bool]


def query_name(partition: int = 0) -> str:
    """A new query's name, in a partition."""
    while True:
        name = f"queries/{uuid4().hex}"
        if partition_for(name, PARTITIONS) == partition:
            return name


@dataclass
class Place:
    """Where workers run: a log, a model server and somebody who may sign."""

    kafka: KafkaSettings
    models: ModelServer
    mint: Mint
    folder: Path

    def environment(self) -> dict[str, str]:
        jwks = self.folder / "envelope-jwks.json"
        jwks.write_text(self.mint.jwks)
        return {
            **os.environ,
            "FOREBAY_ENVELOPE_JWKS_FILE": str(jwks),
            "FOREBAY_KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "FOREBAY_KAFKA_SESSION_TIMEOUT": str(SESSION_SECONDS),
            "FOREBAY_POSTGRES_RETRIEVE_DSN": "postgresql://nobody@127.0.0.1:1/none",
            "FOREBAY_POSTGRES_WRITE_DSN": "postgresql://nobody@127.0.0.1:1/none",
            "FOREBAY_GENERATION_PROVIDER": "openai",
            "FOREBAY_GENERATION_BASE_URL": self.models.base_url,
            "FOREBAY_GENERATION_MODEL": "test-generation",
        }


@contextmanager
def worker(place: Place) -> Iterator[subprocess.Popen[bytes]]:
    """A generation worker in a process of its own, once it has its partitions."""
    ready = place.folder / f"ready-{uuid4().hex}"
    with ready.with_suffix(".log").open("wb") as told:
        process = subprocess.Popen(
            [sys.executable, "-m", "forebay_workers", "generation"],
            env={**place.environment(), "FOREBAY_READY_FILE": str(ready)},
            stderr=told,
        )
    try:
        deadline = time.monotonic() + 60
        while not ready.exists():
            assert process.poll() is None, ready.with_suffix(".log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait(30)


@dataclass
class Log:
    """Writes what edge and retrieval write, and reads answers as everybody does."""

    place: Place
    publisher: Publisher
    events: dict[str, list[AnswerEvent]] = field(default_factory=dict)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    @asynccontextmanager
    async def opened(cls, place: Place) -> AsyncIterator[Self]:
        async with Publisher(place.kafka) as publisher:
            log = cls(place, publisher)
            async with LogTail(place.kafka, topic_of(AnswerRecord), log._take) as tail:
                for partition in range(PARTITIONS):
                    tail.follow(partition, await tail.end_offset(partition))
                yield log

    def token(self, name: str, *, expires_in: float = 60.0, mint: Mint | None = None) -> bytes:
        kind = record_type(QueryRecord)
        statement = Statement(name, expire_time=int(time.time() + expires_in))
        signer = (mint or self.place.mint).signer
        return signer.seal(identity_of("acme"), kind, b"", statement)

    async def ask(self, name: str, question: str = "How deep?", *, expires_in: float = 60) -> None:
        """Write a context, as retrieval does."""
        record = ContextRecord(name=name, text=question, passages=[PASSAGE])
        await self._write(name, record, self.token(name, expires_in=expires_in))

    async def write(self, name: str, event: AnswerEvent, *, mint: Mint | None = None) -> None:
        """Write an event of a query's answer, whoever may do so."""
        event.query = name
        await self._write(name, AnswerRecord(event=event), self.token(name, mint=mint))

    async def cancel(self, name: str) -> None:
        await self.write(name, AnswerEvent(cancelled=AnswerEvent.Cancelled()))

    def shown(self, name: str) -> list[AnswerEvent]:
        """What readers see of an answer."""
        fold = AnswerFold()
        return [event for event in self.events.get(name, []) if fold.counts(event)]

    def query(self, name: str) -> Query:
        return query_of(name, self.shown(name))

    async def until(self, name: str, asked: Asked, seconds: float = 30.0) -> None:
        """Wait until what readers see is as asked."""
        async with asyncio.timeout(seconds):
            while not asked(self.shown(name)):
                self.arrived.clear()
                await self.arrived.wait()

    async def until_ended(self, name: str, seconds: float = 30.0) -> Query:
        await self.until(name, has_ended, seconds)
        return self.query(name)

    async def _write(self, name: str, record: Message, token: bytes) -> None:
        await self.publisher.publish(record, key=name, identity_token=token)

    def _take(self, records: Sequence[Received]) -> None:
        reader = RecordReader(EnvelopeVerifier(verification_keys(self.place.mint.jwks)))
        for received in records:
            try:
                message = reader.read(received).message
            except IdentityInvalid:
                continue
            assert isinstance(message, AnswerRecord)
            self.events.setdefault(message.event.query, []).append(message.event)
        self.arrived.set()


def has_ended(events: list[AnswerEvent]) -> bool:
    return bool(events) and events[-1].WhichOneof("event") in {"completed", "failed", "cancelled"}


def has_words(events: list[AnswerEvent]) -> bool:
    return any(event.HasField("delta") for event in events)
