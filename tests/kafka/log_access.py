"""What the broker says to whoever tries: reads, writes, and no way in."""

from collections.abc import Iterable, Mapping

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

SECONDS = 20
Options = Mapping[str, str | int | bool]  # of a client, in librdkafka's words


def written(options: Options, topics: Iterable[str]) -> dict[str, int | None]:
    """The error code of a write by topic; None where it was acknowledged."""
    producer = Producer({**options, "enable.idempotence": True})
    outcomes: dict[str, int | None] = {}

    def landed(error: KafkaError | None, message: Message) -> None:
        outcomes[str(message.topic())] = error.code() if error else None

    for topic in topics:
        producer.produce(topic, b"value", b"key", partition=0, on_delivery=landed)
    assert producer.flush(SECONDS) == 0
    return outcomes


def reads(options: Options, topics: Iterable[str]) -> dict[str, int | None]:
    """The error code of a read by topic; None where records or the end came."""
    consumer = Consumer(
        {
            **options,
            "group.id": "forebay-unused",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,
        }
    )
    try:
        found = {topic: consumer.list_topics(topic, SECONDS).topics[topic] for topic in topics}
        outcomes = {
            topic: int(each.error.code()) for topic, each in found.items() if each.error is not None
        }
        seen = found.keys() - outcomes.keys()
        consumer.assign([TopicPartition(topic, 0, 0) for topic in seen])
        return {**outcomes, **_read(consumer, len(seen))}
    finally:
        consumer.close()


def _read(consumer: Consumer, count: int) -> dict[str, int | None]:
    outcomes: dict[str, int | None] = {}
    while len(outcomes) < count:
        message = consumer.poll(SECONDS)
        assert message is not None
        error = message.error()
        is_end = error is not None and error.code() == KafkaError._PARTITION_EOF
        outcomes[str(message.topic())] = None if error is None or is_end else error.code()
    return outcomes


def refusal(options: Options) -> int:
    """The error code of a client's first trouble."""
    troubles: list[KafkaError] = []
    consumer = Consumer({**options, "group.id": "any", "error_cb": troubles.append, "log_level": 0})
    while not troubles:
        consumer.poll(0.1)
    consumer.close()
    return troubles[0].code()
