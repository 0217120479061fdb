"""What records tell of calls: the edge's own of refusals and reads, others of accepted writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.code_pb2 import Code

from forebay.errors.v1 import ErrorReason
from forebay.ingest.v1 import IngestDocumentRequest
from forebay.policy.v1 import Visibility
from forebay.query.v1 import SubmitQueryRequest
from forebay.records.v1 import AuditRecord, DocumentRecord, DocumentUpdate, QueryRecord
from forebay_kafka.errors import RecordInvalid
from forebay_workers.record_loop.stage import Work

INGEST = IngestDocumentRequest.DESCRIPTOR.file.services_by_name["IngestService"].methods_by_name
QUERIES = SubmitQueryRequest.DESCRIPTOR.file.services_by_name["QueryService"].methods_by_name


class Activity(Enum):
    """OCSF's activities of class 6003."""

    CREATE = 1
    READ = 2
    UPDATE = 3
    DELETE = 4
    OTHER = 99


class Action(Enum):
    """OCSF's actions; Other is for what failed through no fault of the caller."""

    ALLOWED = 1
    DENIED = 2
    FAILED = 99


# By the first words of a method's name; the first that fits.
ACTIVITIES: Mapping[str, Activity] = {
    "StreamDocuments": Activity.CREATE,
    "Ask": Activity.CREATE,
    "Create": Activity.CREATE,
    "Ingest": Activity.CREATE,
    "Submit": Activity.CREATE,
    "Get": Activity.READ,
    "List": Activity.READ,
    "Stream": Activity.READ,
    "Watch": Activity.READ,
    "Cancel": Activity.UPDATE,
    "Redrive": Activity.UPDATE,
    "Update": Activity.UPDATE,
    "Delete": Activity.DELETE,
    "Purge": Activity.DELETE,
}
ACTIONS = {
    AuditRecord.OUTCOME_ALLOWED: Action.ALLOWED,
    AuditRecord.OUTCOME_DENIED: Action.DENIED,
}
Resource = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """A call, or several that are alike; `uid` is the same when the record comes again.

    `method` is the full name `package.Service.Method`, empty for one that nobody has. Codes and
    reasons are words.
    """

    uid: str
    time: Timestamp
    method: str
    activity: Activity
    resources: Sequence[Resource]
    action: Action = Action.ALLOWED
    code: str = "OK"
    reason: str = ""
    count: int = 1
    transport: str = ""
    delivery: Mapping[str, Any] = field(default_factory=dict)


def told_by(work: Work[Message]) -> Told:
    """Read a record; RecordInvalid for one that tells of no call that this worker knows."""
    source, message = work.source, work.message
    uid = f"{source.topic}/{source.partition}/{source.offset}"
    match message:
        case AuditRecord():
            return _told_by_edge(message)
        case DocumentRecord():
            method, resources = "IngestDocument", [_document(message)]
        case DocumentUpdate():
            method, resources = _change(message)
        case QueryRecord():
            submitted = QUERIES["SubmitQuery"].full_name
            resources = [{"type": "query", "name": message.name}]
            return Told(uid, message.accept_time, submitted, Activity.CREATE, resources)
        case _:
            raise TypeError(f"auditing does not read {type(message).__name__}")
    full_name = INGEST[method].full_name
    return Told(uid, message.accept_time, full_name, _activity(method), resources)


def _told_by_edge(record: AuditRecord) -> Told:
    method = record.method.removeprefix("/").replace("/", ".")
    activity = _activity(method.rpartition(".")[2])
    return Told(
        uid=record.name,
        time=record.time,
        method=method,
        activity=Activity.READ if record.HasField("delivery") else activity,
        resources=[*_named(record.resource), *map(_passage, record.delivery.passages)],
        action=ACTIONS.get(record.outcome, Action.FAILED),
        code=_word(Code, record.code),
        reason=_word(ErrorReason, record.reason, "ERROR_REASON_") if record.reason else "",
        count=record.count,
        transport=_word(AuditRecord.Transport, record.transport, "TRANSPORT_").lower(),
        delivery=_delivery(record),
    )


def _activity(operation: str) -> Activity:
    fitting = (kind for words, kind in ACTIVITIES.items() if operation.startswith(words))
    return next(fitting, Activity.OTHER)


def _document(record: DocumentRecord) -> Resource:
    visibility = _visibility(record.document.visibility)
    return {
        "type": "document",
        "name": record.name,
        "version": record.version,
        "data": {"visibility": visibility},
    }


def _change(record: DocumentUpdate) -> tuple[str, list[Resource]]:
    document: Resource = {"type": "document", "name": record.name, "version": record.version}
    match record.WhichOneof("change"):
        case "deletion":
            return "DeleteDocument", [document]
        case "access":
            changes = [name for name in ("visibility", "readers", "labels") if _has(record, name)]
            document["data"] = {"changes": changes}
            if record.access.HasField("visibility"):
                document["data"]["visibility"] = _visibility(record.access.visibility)
            return "UpdateDocument", [document]
        case _:
            raise RecordInvalid("the update says nothing that this worker knows")


def _has(record: DocumentUpdate, name: Any) -> bool:  # noqa: ANN401 one of the fields' names
    return record.access.HasField(name)


def _named(resource: str) -> list[Resource]:
    if not resource:
        return []
    kind = "document" if "/documents/" in resource else "collection"
    kind = "query" if resource.startswith("queries/") else kind
    return [{"type": kind, "name": resource}]


def _passage(passage: AuditRecord.Delivery.Passage) -> Resource:
    data = {"ordinal": passage.ordinal, "visibility": _visibility(passage.visibility)}
    return {"type": "passage", "name": passage.document, "data": data}


def _delivery(record: AuditRecord) -> dict[str, Any]:
    if not record.HasField("delivery"):
        return {}
    delivery = record.delivery
    told: dict[str, Any] = {"events": delivery.events, "end": delivery.end}
    if delivery.HasField("after_offset"):
        told["after_offset"] = delivery.after_offset
    return told


def _visibility(value: Visibility.ValueType) -> str:
    return _word(Visibility, value, "VISIBILITY_")


def _word(kind: Any, value: int, prefix: str = "") -> str:  # noqa: ANN401 an enum of protobuf's
    """A value's name; its number where a newer edge knows more values."""
    return str(kind.Name(value)).removeprefix(prefix) if value in kind.values() else str(value)
