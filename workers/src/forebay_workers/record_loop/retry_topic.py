"""The retry topic: records that one group tries again later."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

from forebay.records.v1 import RetryRecord, Stage
from forebay_kafka.errors import RecordInvalid
from forebay_kafka.failure import status_of
from forebay_kafka.partitioning import source_key
from forebay_kafka.records import Received
from forebay_kafka.topics import IDENTITY_HEADER, TRACE_PARENT_HEADER, topic_of
from forebay_workers.record_loop.dead_letters import RecordPublisher, header_of

RETRIES = topic_of(RetryRecord).name
# In seconds. Who writes retries stays below half of it, so that no clock makes one late.
LONGEST_WAIT = (topic_of(RetryRecord).retention or timedelta(days=7)).total_seconds()
MOST_ATTEMPTS = 1_000_000  # years of them; the letter counts on in 32 bits


@dataclass(frozen=True, slots=True)
class PutOff:
    """A record that was put off, as it stood in its topic.

    `not_before` is in seconds since 1970; `round` counts how often it was put off.
    """

    source: Received
    attempts: int
    round: int
    not_before: float


class RetryTopic:
    """Writes and reads the retries of one consumer group."""

    def __init__(
        self, publisher: RecordPublisher, stage: int, group: str, wall_time: Callable[[], float]
    ) -> None:
        self._publisher = publisher
        self._stage = Stage.ValueType(stage)
        self._group = group
        self._wall_time = wall_time

    def concerns(self, taken: Received) -> bool:
        """Whether a record of the retry topic is this group's, by its key."""
        return (taken.key or b"").startswith(f"{self._group}/".encode())

    def read(self, taken: Received) -> PutOff:
        """Read a retry; what it holds is still to be verified. Raises RecordInvalid."""
        try:
            retry = RetryRecord.FromString(taken.value or b"")
            not_before = retry.not_before.ToMilliseconds() / 1000
        except (DecodeError, ValueError) as error:
            raise RecordInvalid("the retry cannot be parsed") from error
        source = _received(retry.source)
        key = source_key(self._group, source.topic, source.partition, source.offset)
        if retry.group != self._group or taken.key != key.encode():
            raise RecordInvalid("the retry's key belongs to another record")
        if not_before - self._wall_time() > LONGEST_WAIT:
            raise RecordInvalid("the retry is due after the log has forgotten it")
        attempts = min(max(0, retry.attempts), MOST_ATTEMPTS)
        return PutOff(source, attempts, max(0, retry.round), not_before)

    async def write(
        self, source: Received, error: Exception, *, attempts: int, round_: int, delay: float
    ) -> None:
        """Put a record off by `delay` seconds; returns once that is acknowledged.

        Raises RecordTooLarge where it does not fit together with its reason.
        """
        not_before = Timestamp()
        not_before.FromMilliseconds(int((self._wall_time() + delay) * 1000))
        retry = RetryRecord(
            stage=self._stage,
            group=self._group,
            source=_source(source),
            not_before=not_before,
            attempts=attempts,
            round=round_,
            error=status_of(error),
        )
        await self._publisher.publish(
            retry,
            key=source_key(self._group, source.topic, source.partition, source.offset),
            identity_token=header_of(source, IDENTITY_HEADER) or b"",
            trace_parent=header_of(source, TRACE_PARENT_HEADER),
        )


def _source(record: Received) -> RetryRecord.Source:
    return RetryRecord.Source(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp_ms,
        key=record.key,
        value=record.value,
        headers=[RetryRecord.Source.Header(name=name, value=v) for name, v in record.headers],
    )


def _received(source: RetryRecord.Source) -> Received:
    return Received(
        topic=source.topic,
        partition=source.partition,
        offset=source.offset,
        timestamp_ms=source.timestamp_ms,
        key=source.key if source.HasField("key") else None,
        value=source.value if source.HasField("value") else None,
        headers=tuple((header.name, header.value) for header in source.headers),
    )
