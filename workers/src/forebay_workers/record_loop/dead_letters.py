"""Where a stage puts what it gave up."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from forebay.records.v1 import DeadLetter, Stage
from forebay_kafka.envelope import Envelope
from forebay_kafka.errors import RecordTooLarge
from forebay_kafka.failure import status_of
from forebay_kafka.partitioning import source_key
from forebay_kafka.records import Received
from forebay_kafka.topics import IDENTITY_HEADER, TRACE_PARENT_HEADER


class RecordPublisher(Protocol):
    """Writes records to the log."""

    def publish(
        self,
        message: Message,
        *,
        key: str,
        partition_key: str | None = None,
        identity_token: bytes,
        trace_parent: bytes | None = None,
    ) -> Awaitable[object]:
        """Write a record to the topic of its type; done once it is acknowledged."""


class DeadLetters:
    """Writes the dead letters of one consumer group."""

    def __init__(
        self,
        publisher: RecordPublisher,
        stage: int,
        group: str,
        wall_time: Callable[[], float],
    ) -> None:
        self.group = group
        self._publisher = publisher
        self._stage = Stage.ValueType(stage)
        self._wall_time = wall_time

    async def write(
        self, source: Received, error: Exception, *, attempts: int, envelope: Envelope | None
    ) -> None:
        """Write a record with the reason it was given up; returns once that is acknowledged.

        `envelope` is the record's, where one was verified.

        A record that does not fit together with its reason leaves without content: its position
        still tells where it stands.
        """
        letter = self._letter(source, error, attempts)
        if envelope is not None:
            letter.tenant, letter.resource = envelope.identity.tenant, envelope.name
        try:
            await self._publish(letter, source, header_of(source, IDENTITY_HEADER) or b"")
        except RecordTooLarge:
            letter.ClearField("value")
            letter.ClearField("headers")
            await self._publish(letter, source, b"")

    async def _publish(self, letter: DeadLetter, source: Received, token: bytes) -> None:
        await self._publisher.publish(
            letter,
            key=source_key(self.group, source.topic, source.partition, source.offset),
            identity_token=token,
            trace_parent=header_of(source, TRACE_PARENT_HEADER),
        )

    def _letter(self, source: Received, error: Exception, attempts: int) -> DeadLetter:
        time = Timestamp()
        time.FromMilliseconds(int(self._wall_time() * 1000))
        return DeadLetter(
            stage=self._stage,
            group=self.group,
            topic=source.topic,
            partition=source.partition,
            offset=source.offset,
            key=source.key,
            value=source.value,
            headers=[
                DeadLetter.RecordHeader(name=name, value=value) for name, value in source.headers
            ],
            error=status_of(error),
            attempts=attempts,
            give_up_time=time,
            timestamp_ms=source.timestamp_ms,
        )


def header_of(source: Received, name: str) -> bytes | None:
    """The value of a header, as far as it is there."""
    return next((value for header, value in source.headers if header == name), None)
