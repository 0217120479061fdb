"""Lines of the audit: what they say of a call, and that none gets lost on its way to the disk."""

import asyncio
import json
import os
import stat
import threading
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.code_pb2 import Code

from forebay.errors.v1 import ErrorReason
from forebay.ingest.v1 import Document
from forebay.policy.v1 import Visibility
from forebay.query.v1 import SubmitQueryRequest
from forebay.records.v1 import AuditRecord, DocumentRecord, DocumentUpdate, QueryRecord
from forebay_kafka.envelope import Envelope, Statement
from forebay_kafka.identity import GenerationLimits, Identity
from forebay_kafka.records import Received
from forebay_kafka.topics import topic_of
from forebay_workers.auditing.day_files import DayFiles, FolderMissing
from forebay_workers.auditing.group_commit import GroupCommit
from forebay_workers.auditing.line import AuditLine, line_of
from forebay_workers.record_loop.stage import Work

WEIR = "collections/plant/documents/weir"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CANARY = "canary-in-the-content"
AT = Timestamp(seconds=1_800_000_000, nanos=250_000_000)  # 2027-01-15T08:00:00.250Z
DAY = date(2027, 1, 15)


def who(subject: str = "ada", actor: str | None = "a-service") -> Identity:
    tenant = "acme" if subject else ""
    limits = GenerationLimits("", 0, 0)
    issuer = "https://id.example" if subject else ""
    return Identity(issuer, tenant, subject, "standard", 0, (), limits, "p1", actor)


def work(message: Message, identity: Identity | None = None) -> Work[Message]:
    source = Received(topic_of(message).name, 2, 41, 0, b"key", b"", ())
    envelope = Envelope(identity or who(), "", "", Statement("name"), 0)
    trace_parent = f"00-{TRACE}-00f067aa0ba902b7-01".encode()
    return Work(message, envelope, b"", trace_parent, source, 1, None)


def told(message: Message, identity: Identity | None = None) -> dict[str, Any]:
    line = line_of(work(message, identity))
    assert line.day == DAY
    assert "\n" not in line.text
    assert CANARY not in line.text
    found: dict[str, Any] = json.loads(line.text)
    return found


def test_an_accepted_document_says_who_brought_which_version() -> None:
    document = Document(
        name=WEIR,
        title=CANARY,
        text=CANARY,
        labels={"label": CANARY},
        source_uri=CANARY,
        visibility=Visibility.VISIBILITY_INTERNAL,
    )
    record = DocumentRecord(name=WEIR, version="v7", document=document, accept_time=AT)
    assert told(record) == {
        "time": 1_800_000_000_250,
        "time_dt": "2027-01-15T08:00:00.250Z",
        "category_uid": 6,
        "category_name": "Application Activity",
        "class_uid": 6003,
        "class_name": "API Activity",
        "activity_id": 1,
        "activity_name": "Create",
        "type_uid": 600301,
        "severity_id": 1,
        "action_id": 1,
        "action": "Allowed",
        "status_id": 1,
        "status": "Success",
        "status_code": "OK",
        "count": 1,
        "actor": {
            "user": {"uid": "ada", "org": {"uid": "acme"}},
            "session": {"issuer": "https://id.example"},
            "invoked_by": "a-service",
        },
        "api": {
            "operation": "IngestDocument",
            "service": {"name": "forebay.ingest.v1.IngestService"},
        },
        "resources": [
            {
                "type": "document",
                "name": WEIR,
                "version": "v7",
                "data": {"visibility": "INTERNAL"},
            }
        ],
        "metadata": {
            "uid": "forebay.documents.v1/2/41",
            "log_name": "forebay.documents.v1",
            "product": {"name": "Forebay", "vendor_name": "Forebay"},
            "correlation_uid": TRACE,
        },
        "unmapped": {"tier": "standard", "policy_version": "p1"},
    }


def test_an_update_says_what_changes_and_a_deletion_that_it_is_one() -> None:
    access = DocumentUpdate.Access(visibility=Visibility.VISIBILITY_PUBLIC)
    access.labels.labels["label"] = CANARY
    update = told(DocumentUpdate(name=WEIR, version="v8", access=access, accept_time=AT))
    assert (update["activity_name"], update["api"]["operation"]) == ("Update", "UpdateDocument")
    data = {"changes": ["visibility", "labels"], "visibility": "PUBLIC"}
    assert update["resources"][0]["data"] == data
    deletion = DocumentUpdate.Deletion()
    ended = told(DocumentUpdate(name=WEIR, version="v9", deletion=deletion, accept_time=AT))
    assert (ended["activity_name"], ended["api"]["operation"]) == ("Delete", "DeleteDocument")
    assert ended["resources"] == [{"type": "document", "name": WEIR, "version": "v9"}]


def test_a_question_is_named_and_not_quoted() -> None:
    request = SubmitQueryRequest(text=CANARY, filter={"label": CANARY})
    line = told(QueryRecord(name="queries/q", request=request, accept_time=AT))
    assert (line["activity_name"], line["api"]["operation"]) == ("Create", "SubmitQuery")
    assert line["resources"] == [{"type": "query", "name": "queries/q"}]


def test_a_refusal_of_a_stranger_says_why_and_names_nobody() -> None:
    record = AuditRecord(
        name="audit-records/a",
        time=AT,
        method="/forebay.query.v1.QueryService/GetCaller",
        transport=AuditRecord.TRANSPORT_HTTP,
        outcome=AuditRecord.OUTCOME_DENIED,
        code=Code.UNAUTHENTICATED,
        reason=ErrorReason.ERROR_REASON_TOKEN_MISSING,
        count=50,
    )
    line = told(record, who("", None))
    assert (line["action"], line["status"]) == ("Denied", "Failure")
    assert (line["status_code"], line["status_detail"]) == ("UNAUTHENTICATED", "TOKEN_MISSING")
    assert (line["count"], line["metadata"]["uid"]) == (50, "audit-records/a")
    assert line["unmapped"]["transport"] == "http"
    assert "actor" not in line


def test_a_delivery_is_a_read_of_its_passages() -> None:
    passage = AuditRecord.Delivery.Passage(
        document=WEIR, ordinal=3, visibility=Visibility.VISIBILITY_INTERNAL
    )
    delivery = AuditRecord.Delivery(passages=[passage], after_offset=0, events=5, end="completed")
    record = AuditRecord(
        name="audit-records/a",
        time=AT,
        method="/forebay.query.v1.QueryService/Ask",
        resource="queries/q",
        transport=AuditRecord.TRANSPORT_GRPC,
        outcome=AuditRecord.OUTCOME_ALLOWED,
        delivery=delivery,
        count=1,
    )
    line = told(record)
    assert (line["activity_name"], line["status_code"]) == ("Read", "OK")
    assert line["resources"] == [
        {"type": "query", "name": "queries/q"},
        {"type": "passage", "name": WEIR, "data": {"ordinal": 3, "visibility": "INTERNAL"}},
    ]
    assert line["unmapped"]["delivery"] == {"events": 5, "end": "completed", "after_offset": 0}


def test_what_a_newer_edge_says_is_told_by_its_number() -> None:
    record = AuditRecord(
        name="audit-records/a", time=AT, method="/s.S/Fly", outcome=9, code=99, reason=999, count=1
    )
    line = told(record)
    assert (line["action"], line["activity_name"]) == ("Failed", "Other")
    assert (line["status_code"], line["status_detail"]) == ("99", "999")


def lines(*days: int) -> list[AuditLine]:
    return [AuditLine(date(2027, 1, day), f'{{"n":{number}}}') for number, day in enumerate(days)]


def numbers(path: Path) -> list[int]:
    return [json.loads(line)["n"] for line in path.read_text().splitlines()]


def test_each_day_and_each_worker_has_a_file_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "audit"
    one, other = DayFiles.within(folder), DayFiles.within(folder)
    one(lines(15, 16, 15))
    one(lines(15))
    other(lines(16))
    first, *second = sorted(folder.iterdir())
    assert first.name.startswith("audit-2027-01-15-")
    assert first.suffix == ".jsonl"
    assert numbers(first) == [0, 2, 0]
    assert sorted(map(numbers, second)) == [[0], [1]]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_torn_line_stays_the_last_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, write = DayFiles.within(tmp_path), os.write
    with monkeypatch.context() as full:

        def tear(file: int, data: bytes) -> int:
            write(file, data[:3])
            raise OSError(28, "No space left on device")

        full.setattr(os, "write", tear)
        with pytest.raises(OSError, match="No space"):
            files(lines(15))
    files(lines(15))
    assert sorted(path.read_text() for path in tmp_path.iterdir()) == ['{"n', '{"n":0}\n']


def test_without_a_folder_the_stage_does_not_start() -> None:
    with pytest.raises(FolderMissing, match="FOREBAY_AUDIT_FOLDER"):
        DayFiles.within(None)


class Disk:
    """A sink that keeps batches, and waits or fails as a test says."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.go_on = threading.Event()
        self.failing = False

    def __call__(self, written: Sequence[AuditLine]) -> None:
        self.go_on.wait(10)
        if self.failing:
            raise OSError(28, "No space left on device")
        self.batches.append([line.text for line in written])


async def test_lines_that_come_during_a_write_share_the_next_one() -> None:
    disk = Disk()
    group = GroupCommit(disk)
    writing = [asyncio.create_task(group.write(line)) for line in lines(*[15] * 100)]
    await asyncio.sleep(0)
    writing.append(asyncio.create_task(group.write(AuditLine(DAY, "late"))))
    writing[0].cancel()
    disk.go_on.set()
    done = await asyncio.gather(*writing, return_exceptions=True)
    assert isinstance(done[0], asyncio.CancelledError)
    assert done[1:] == [None] * 100
    assert len(disk.batches) <= 2
    assert sum(map(len, disk.batches)) == 101


async def test_every_line_of_a_failed_write_is_told_and_the_next_one_is_tried() -> None:
    disk = Disk()
    disk.failing = True
    disk.go_on.set()
    group = GroupCommit(disk)
    failed = await asyncio.gather(
        *(group.write(line) for line in lines(15, 15)), return_exceptions=True
    )
    assert [type(each) for each in failed] == [OSError, OSError]
    disk.failing = False
    await group.write(AuditLine(DAY, "again"))
    assert disk.batches == [["again"]]


def test_the_day_is_that_of_the_record_in_utc() -> None:
    late = Timestamp()
    late.FromDatetime(datetime(2027, 1, 15, 23, 59, 59, tzinfo=UTC))
    record = QueryRecord(name="queries/q", accept_time=late)
    assert line_of(work(record)).day == DAY
