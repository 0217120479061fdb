"""Where a record loop gets its records from."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from forebay_kafka.group_membership import GroupListener, TopicPartition


class RecordSource(Protocol):
    """A member of a consumer group. Nothing here blocks; errors reach the listener."""

    def start(self, listener: GroupListener) -> None:
        """Join the group; the listener is called in the running event loop from now on."""

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Stop fetching partitions; those that are not assigned are passed over."""

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Fetch partitions again."""

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit the offset of the next record to read, per partition that is still assigned."""

    async def close(self) -> None:
        """Leave the group, revoking what is assigned; returns once the member is gone."""
