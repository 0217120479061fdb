"""The same log on a real broker; offsets count from where a test began."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Self, TypeVar

import confluent_kafka
from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient, NewTopic
from google.protobuf.message import Message

from forebay.records.v1 import DeadLetter
from forebay_kafka.group_consumer import GroupConsumer
from forebay_kafka.group_membership import GroupOptions, TopicPartition
from forebay_kafka.publisher import Publisher
from forebay_kafka.settings import MAX_RECORD_BYTES, KafkaSettings
from forebay_kafka.topics import TOPICS, topic_of
from forebay_standalone.broker import KafkaBroker

from .minting import Minted
from .scripted_stage import PATIENCE

T = TypeVar("T")


class KafkaLog:
    """A broker's topics, as a test sees them."""

    def __init__(
        self, broker: KafkaBroker, settings: KafkaSettings, partitions: int, options: GroupOptions
    ) -> None:
        self.partitions = partitions
        self.settings = settings
        self._broker = broker
        self._options = options
        native = {"bootstrap.servers": settings.bootstrap_servers}
        self._admin = AdminClient(native)
        self._producer = confluent_kafka.Producer(
            {**native, "message.max.bytes": MAX_RECORD_BYTES, "linger.ms": 1}
        )
        self._consumer_settings = {**native, "group.id": "tests", "auto.offset.reset": "earliest"}
        self._base: dict[TopicPartition, int] = {}
        self._groups: set[str] = set()
        self._publisher = Publisher(settings)

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._remember_ends)
        await self._publisher.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._publisher.__aexit__(None, None, None)

    async def append(self, topic: str, partition: int, records: Sequence[Minted]) -> None:
        for each in records:
            self._producer.produce(
                topic, each.value, each.key, partition, headers=list(each.headers)
            )
        await asyncio.to_thread(self._producer.flush, PATIENCE)

    def member(self, group: str, topics: Sequence[str]) -> GroupConsumer:
        self._begin_here(group, topics)
        return GroupConsumer(self.settings, group, topics, self._options)

    async def committed(self, group: str) -> dict[TopicPartition, int]:
        offsets = await asyncio.to_thread(self.offsets, group)
        return {n: o - self._base[n] for n, o in offsets.items() if o > self._base[n]}

    async def until_committed(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        async with asyncio.timeout(PATIENCE):
            topics = {name.topic for name in offsets}
            while True:
                found = (await self.committed(group)).items()
                if {name: offset for name, offset in found if name.topic in topics} == offsets:
                    return

    async def dead_letters(self, group: str) -> list[DeadLetter]:
        letters = await asyncio.to_thread(self._letters)
        found = [letter for letter in letters if letter.group == group]
        for letter in found:
            letter.offset -= self._base[TopicPartition(letter.topic, letter.partition)]
        return found

    async def publish(self, message: Message, **arguments: Any) -> object:
        return await self._publisher.publish(message, **arguments)

    def create_topics(self) -> None:
        config = {"max.message.bytes": str(MAX_RECORD_BYTES)}
        topics = [NewTopic(t.name, self.partitions, 1, config=config) for t in TOPICS]
        for future in self._admin.create_topics(topics).values():
            future.result(PATIENCE)

    def create_topic(self, name: str, partitions: int) -> None:
        for future in self._admin.create_topics([NewTopic(name, partitions, 1)]).values():
            future.result(PATIENCE)

    def members(self, group: str) -> int:
        described = self._admin.describe_consumer_groups([group])
        return len(_patiently(lambda: _only(described)).members)

    def _remember_ends(self) -> None:
        with self._consumer() as consumer:
            for topic in TOPICS:
                for number in range(self.partitions):
                    name = TopicPartition(topic.name, number)
                    self._base[name] = _end(consumer, name)

    def _begin_here(self, group: str, topics: Sequence[str]) -> None:
        if group in self._groups:
            return
        self._groups.add(group)
        begin = [
            confluent_kafka.TopicPartition(name.topic, name.partition, offset)
            for name, offset in self._base.items()
            if name.topic in topics
        ]
        wanted = [ConsumerGroupTopicPartitions(group, begin)]
        _patiently(lambda: _only(self._admin.alter_consumer_group_offsets(wanted)))

    def offsets(self, group: str) -> dict[TopicPartition, int]:
        asked = [ConsumerGroupTopicPartitions(group)]
        answer = _patiently(lambda: _only(self._admin.list_consumer_group_offsets(asked)))
        return {
            TopicPartition(each.topic, each.partition): each.offset
            for each in answer.topic_partitions
        }

    def _letters(self) -> list[DeadLetter]:
        topic = topic_of(DeadLetter).name
        letters: list[DeadLetter] = []
        with self._consumer() as consumer:
            for number in range(self.partitions):
                name = TopicPartition(topic, number)
                count = _end(consumer, name) - self._base[name]
                if count == 0:
                    continue
                consumer.assign([confluent_kafka.TopicPartition(topic, number, self._base[name])])
                found = consumer.consume(count, PATIENCE)
                letters += [DeadLetter.FromString(each.value()) for each in found]
        return letters

    def _consumer(self) -> contextlib.closing[confluent_kafka.Consumer]:
        return contextlib.closing(confluent_kafka.Consumer(self._consumer_settings))


def _only(futures: Mapping[Any, Future[T]]) -> T:
    return next(iter(futures.values())).result(PATIENCE)


def _end(consumer: confluent_kafka.Consumer, name: TopicPartition) -> int:
    native = confluent_kafka.TopicPartition(name.topic, name.partition)

    def asked() -> int:
        # Without it a client may believe for minutes that a fresh partition is unknown.
        consumer.list_topics(name.topic, PATIENCE)
        return int(consumer.get_watermark_offsets(native, PATIENCE)[1])

    return _patiently(asked)


def _patiently(call: Callable[[], T]) -> T:
    """A fresh broker refuses for a second, until its leaders and coordinators are loaded."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return call()
        except confluent_kafka.KafkaException:
            if time.monotonic() > deadline:
                raise
