"""Keys, and that every librdkafka client finds a key's partition by itself."""

import confluent_kafka
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.records.v1 import AnswerRecord
from forebay_kafka.partitioning import (
    chunk_set_key,
    document_key,
    document_partition_key,
    partition_for,
    source_key,
)
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.topics import topic_of

NAME = "collections/manuals/documents/pump-7"


def test_a_key_says_tenant_collection_document_version_and_chunking() -> None:
    assert document_partition_key("acme", NAME) == "acme/manuals/pump-7"
    assert document_key("acme", NAME, "v") == "acme/manuals/pump-7@v"
    assert chunk_set_key("acme", NAME, "v", "2") == "acme/manuals/pump-7@v/2"
    assert source_key("g", "t", 3, 14) == "g/t/3/14"


@pytest.mark.parametrize(
    "name", ["queries/abc", "collections/a", "", "collections/a/documents/b/c"]
)
def test_what_is_no_documents_name_has_no_key(name: str) -> None:
    with pytest.raises(ValueError, match="unpack"):
        document_partition_key("acme", name)


@given(st.text(), st.integers(1, 10_000))
def test_every_key_has_a_partition(key: str, count: int) -> None:
    assert 0 <= partition_for(key, count) < count


def test_it_is_librdkafkas_consistent_partitioner(settings: KafkaSettings) -> None:
    producer = confluent_kafka.Producer(
        {"bootstrap.servers": settings.bootstrap_servers, "partitioner": "consistent"}
    )
    keys = [f"queries/{number}" for number in range(200)] + ["ü", "深い", "a" * 500]
    landed: dict[str, int | None] = {}

    def note(error: confluent_kafka.KafkaError | None, message: confluent_kafka.Message) -> None:
        assert error is None
        key = message.key()
        assert isinstance(key, bytes)
        landed[key.decode()] = message.partition()

    for key in keys:
        producer.produce(topic_of(AnswerRecord).name, key=key.encode(), on_delivery=note)
    assert producer.flush(20) == 0
    assert landed == {key: partition_for(key, 4) for key in keys}
    assert len(set(landed.values())) == 4
