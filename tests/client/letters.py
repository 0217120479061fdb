"""Dead letters and a status of a small pipeline."""

from datetime import UTC, datetime

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from forebay.pipeline.v1 import DeadLetter, PipelineStatus, StageStatus

from .peer import status

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
UNPARSEABLE = status(
    grpc.StatusCode.INVALID_ARGUMENT,
    "DOCUMENT_UNPARSEABLE",
    "the bytes are no PDF",
    mime_type="application/pdf",
)


def timestamp(time: datetime = NOON) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp


def letter(name: str = "a", *, resource: str = "collections/default/documents/a") -> DeadLetter:
    return DeadLetter(
        name=f"deadLetters/{name}",
        stage="chunking",
        topic="forebay.documents.v1",
        partition=3,
        offset=42,
        tenant="acme",
        resource=resource,
        error=UNPARSEABLE,
        attempts=5,
        give_up_time=timestamp(),
        size_bytes=1234,
    )


def pipeline(lag: int = 12) -> PipelineStatus:
    return PipelineStatus(
        time=timestamp(),
        stages=[
            StageStatus(
                stage="embedding",
                state=StageStatus.STATE_THROTTLED,
                workers=2,
                lag=lag,
                rate=3.25,
                oldest_age=Duration(seconds=200),
                in_flight=8,
                retry_count=7,
                pending_retries=4,
                dead_letters=1,
            ),
            StageStatus(stage="retrieval", state=StageStatus.STATE_ABSENT),
        ],
    )
