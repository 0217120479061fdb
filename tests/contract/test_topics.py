"""Records say where they travel, who writes them and who reads them."""

import pytest
from google.protobuf.descriptor import Descriptor, FileDescriptor

from forebay.records.v1 import (
    AnswerRecord,
    ContextRecord,
    Header,
    QueryRecord,
    Stage,
    StageReport,
    Topic,
    header_name,
    topic,
)
from forebay_kafka.topics import TOPICS


@pytest.fixture(scope="module")
def records(private_files: list[FileDescriptor]) -> list[Descriptor]:
    """Top-level messages of the private contract, but for the option itself."""
    return [
        message
        for file in private_files
        for message in file.message_types_by_name.values()
        if message.full_name != Topic.DESCRIPTOR.full_name
    ]


def declared(record: Descriptor) -> Topic:
    return record.GetOptions().Extensions[topic]


def test_every_record_has_a_topic_of_its_own(records: list[Descriptor]) -> None:
    names = [declared(record).name for record in records]
    assert all(name.startswith("forebay.") and name.endswith(".v1") for name in names)
    assert len(set(names)) == len(names)


def test_the_python_knows_every_topic_of_the_contract(records: list[Descriptor]) -> None:
    assert {spec.record.DESCRIPTOR for spec in TOPICS} == set(records)


def test_every_topic_has_writers_and_readers(records: list[Descriptor]) -> None:
    for record in records:
        assert declared(record).writers, record.full_name
        assert declared(record).readers, record.full_name
        assert Stage.STAGE_UNSPECIFIED not in [*declared(record).writers, *declared(record).readers]


def test_every_topic_is_compacted_or_kept_for_a_time(records: list[Descriptor]) -> None:
    for record in records:
        assert declared(record).cleanup != Topic.CLEANUP_UNSPECIFIED, record.full_name
        kept_by_time = declared(record).cleanup != Topic.CLEANUP_COMPACT
        assert kept_by_time == (declared(record).retention_hours > 0), record.full_name


def test_a_query_its_context_and_its_answer_lie_in_one_partition() -> None:
    families = {
        declared(record.DESCRIPTOR).family for record in (QueryRecord, ContextRecord, AnswerRecord)
    }
    assert families == {Topic.FAMILY_QUERIES}


def test_every_topic_belongs_to_a_family(records: list[Descriptor]) -> None:
    assert Topic.FAMILY_UNSPECIFIED not in {declared(record).family for record in records}


def test_the_broker_dates_answers_and_what_tells_workers_the_time(
    records: list[Descriptor],
) -> None:
    dated = {record.full_name for record in records if declared(record).log_append_time}
    assert dated == {AnswerRecord.DESCRIPTOR.full_name, StageReport.DESCRIPTOR.full_name}


def test_every_header_has_a_name_of_its_own_in_lower_case() -> None:
    names = [
        value.GetOptions().Extensions[header_name]
        for value in Header.DESCRIPTOR.values
        if value.number
    ]
    assert all(name and name == name.lower() for name in names)
    assert len(set(names)) == len(names)
