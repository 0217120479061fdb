"""How the pipeline keeps up: what the workers say and what the log says, put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from forebay.pipeline.v1 import PipelineStatus, StageStatus
from forebay.records.v1 import StageReport
from forebay_kafka.group_lag import GroupLag, PartitionLag
from forebay_kafka.group_membership import TopicPartition
from forebay_kafka.record_times import RecordPlace, RecordTimes
from forebay_server.clock import Clock, system_clock
from forebay_server.pipeline.letter_index import LetterIndex
from forebay_server.pipeline.letters import milliseconds
from forebay_server.pipeline.members import Member
from forebay_server.pipeline.stage_reports import StageReports
from forebay_server.pipeline.stages import RETRIES_TOPIC, STAGES, PipelineStage

# From the best to the worst; what the contract of the workers calls LEAVING reports no more.
STATES = (
    (StageReport.STATE_RUNNING, StageStatus.STATE_RUNNING),
    (StageReport.STATE_THROTTLED, StageStatus.STATE_THROTTLED),
    (StageReport.STATE_HALTED, StageStatus.STATE_HALTED),
)


@dataclass(frozen=True)
class _Seen:
    """One stage at one moment."""

    stage: PipelineStage
    members: Sequence[Member]
    partitions: Mapping[TopicPartition, PartitionLag]
    reported: Mapping[TopicPartition, StageReport.Partition]


class PipelineStatusReader:
    """Tells how far every stage is behind; every process of the edge sees the same."""

    def __init__(
        self,
        lag: GroupLag,
        reports: StageReports,
        times: RecordTimes,
        letters: LetterIndex,
        clock: Clock = system_clock,
    ) -> None:
        self._lag = lag
        self._reports = reports
        self._times = times
        self._letters = letters
        self._clock = clock

    async def read(self) -> PipelineStatus:
        """The status of this moment. Raises LogUnavailable."""
        snapshot = await self._lag.fresh()
        await self._letters.catch_up()
        seen = [self._seen(stage, snapshot.groups[stage.group]) for stage in STAGES]
        wanted = {place for each in seen for place in _unreported_oldest(each)}
        times = await self._times.of(wanted)
        status = PipelineStatus(stages=[self._status(each, times) for each in seen])
        status.time.FromMilliseconds(int(self._clock() * 1000))
        return status

    def _seen(
        self, stage: PipelineStage, partitions: Mapping[TopicPartition, PartitionLag]
    ) -> _Seen:
        members = self._reports.members(stage.stage)
        return _Seen(stage, members, partitions, reported_partitions(members))

    def _status(self, seen: _Seen, times: Mapping[RecordPlace, int]) -> StageStatus:
        pending = _pending_retries(seen)
        status = StageStatus(
            stage=seen.stage.word,
            state=_state(seen.members),
            workers=len(seen.members),
            lag=pending + sum(lag.records for place, lag in _own(seen)),
            rate=sum(member.rate for member in seen.members),
            in_flight=sum(each.in_flight for each in seen.reported.values()),
            retry_count=sum(member.report.retried for member in seen.members),
            pending_retries=pending,
            dead_letters=self._letters.count(seen.stage.stage),
        )
        oldest_ms = min(_oldest_ms(seen, times), default=None)
        if status.lag and oldest_ms is not None:
            age_ms = max(0, int(self._clock() * 1000) - oldest_ms)
            status.oldest_age.FromMilliseconds(age_ms)
        return status


def reported_partitions(
    members: Iterable[Member],
) -> dict[TopicPartition, StageReport.Partition]:
    """What the newest report says of each partition; in a rebalance two may hold one."""
    return {
        TopicPartition(each.topic, each.partition): each
        for member in sorted(members, key=lambda member: member.heard_at)
        for each in member.report.partitions
    }


def _own(seen: _Seen) -> list[tuple[TopicPartition, PartitionLag]]:
    return [each for each in seen.partitions.items() if each[0].topic != RETRIES_TOPIC]


def _state(members: Sequence[Member]) -> StageStatus.State.ValueType:
    said = {member.report.state for member in members}
    worst = StageStatus.STATE_RUNNING if members else StageStatus.STATE_ABSENT
    for reported, shown in STATES:
        if reported in said:
            worst = shown
    return worst


def _pending_retries(seen: _Seen) -> int:
    """Records that wait to be tried again.

    All stages share one topic. A worker that reports has passed over those of other stages; where
    none does, nobody has looked, and those of the others count as well.
    """
    pending = 0
    for place, lag in seen.partitions.items():
        if place.topic != RETRIES_TOPIC:
            continue
        said = seen.reported.get(place)
        if said is None:
            pending += lag.records
        else:
            ahead = max(0, lag.end - max(said.position, lag.committed))
            pending += ahead + said.waiting + said.in_flight
    return pending


def _is_done(lag: PartitionLag, said: StageReport.Partition | None) -> bool:
    """Whether nothing is left but to commit."""
    if said is None:
        return lag.records == 0
    return said.position >= lag.end and not said.waiting and not said.in_flight


def _unreported_oldest(seen: _Seen) -> Iterable[RecordPlace]:
    """Where the oldest records stand of which no worker tells the time."""
    for place, lag in seen.partitions.items():
        said = seen.reported.get(place)
        told = said is not None and said.HasField("oldest_time")
        if lag.records and not told and not _is_done(lag, said):
            yield RecordPlace(place.topic, place.partition, lag.committed)


def _oldest_ms(seen: _Seen, times: Mapping[RecordPlace, int]) -> Iterable[int]:
    for place in seen.partitions:
        said = seen.reported.get(place)
        if said is not None and said.HasField("oldest_time"):
            yield max(0, milliseconds(said.oldest_time))
    yield from (times[oldest] for oldest in _unreported_oldest(seen) if oldest in times)
