"""From dead letters to the retries that their stages get."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from forebay.records.v1 import DeadLetter, RetryRecord
from forebay_kafka.topics import IDENTITY_HEADER, TRACE_PARENT_HEADER, topic_of
from forebay_server.pipeline.letters import Letter
from forebay_server.pipeline.stages import BY_STAGE

DEFAULT_RATE = 10.0  # records per second
# The log forgets retries by their age, whether or not their time has come.
LONGEST_SPREAD = (topic_of(RetryRecord).retention or timedelta(days=7)) / 2


def can_go_back(letter: Letter) -> bool:
    """Whether a letter's stage takes records back, of that topic, and its content was kept."""
    stage = BY_STAGE.get(letter.stage)
    return (
        stage is not None
        and stage.retries
        and letter.group == stage.group
        and letter.topic in stage.topics
        and letter.has_content
    )


class Spread:
    """When each of some letters comes back: one after the other, `rate` of them per second."""

    def __init__(self, letters: Sequence[Letter], rate: float, now: float) -> None:
        self._turns = {letter.key: turn for turn, letter in enumerate(letters)}
        self._rate = rate or DEFAULT_RATE
        self._now = now

    def retry(self, letter: Letter, record: DeadLetter) -> RetryRecord:
        """What the letter's stage gets."""
        wait = min(self._turns[letter.key] / self._rate, LONGEST_SPREAD.total_seconds())
        retry = RetryRecord(stage=letter.stage, group=letter.group, source=_source(record))
        retry.not_before.FromMilliseconds(int((self._now + wait) * 1000))
        return retry


def identity_token(record: DeadLetter) -> bytes:
    """The token of the record itself, empty where it had none."""
    return _header(record, IDENTITY_HEADER) or b""


def trace_parent(record: DeadLetter) -> bytes | None:
    """The trace that the record belongs to."""
    return _header(record, TRACE_PARENT_HEADER)


def _source(record: DeadLetter) -> RetryRecord.Source:
    return RetryRecord.Source(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp_ms,
        key=record.key if record.HasField("key") else None,
        value=record.value if record.HasField("value") else None,
        headers=[
            RetryRecord.Source.Header(name=each.name, value=each.value) for each in record.headers
        ],
    )


def _header(record: DeadLetter, name: str) -> bytes | None:
    return next((each.value for each in record.headers if each.name == name), None)
