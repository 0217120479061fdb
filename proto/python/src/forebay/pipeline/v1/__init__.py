"""Everything in the proto package `forebay.pipeline.v1`. Generated; do not edit."""

from .dead_letter_pb2 import DeadLetter
from .pipeline_status_pb2 import PipelineStatus, StageStatus
from .pipeline_service_pb2 import DeadLetterFilter, GetPipelineStatusRequest, ListDeadLettersRequest, ListDeadLettersResponse, PurgeDeadLettersRequest, PurgeDeadLettersResponse, RedriveDeadLettersRequest, RedriveDeadLettersResponse, WatchPipelineRequest
from .pipeline_service_pb2_grpc import PipelineServiceServicer, PipelineServiceStub, add_PipelineServiceServicer_to_server

__all__ = [
    "DeadLetter",
    "DeadLetterFilter",
    "GetPipelineStatusRequest",
    "ListDeadLettersRequest",
    "ListDeadLettersResponse",
    "PipelineServiceServicer",
    "PipelineServiceStub",
    "PipelineStatus",
    "PurgeDeadLettersRequest",
    "PurgeDeadLettersResponse",
    "RedriveDeadLettersRequest",
    "RedriveDeadLettersResponse",
    "StageStatus",
    "WatchPipelineRequest",
    "add_PipelineServiceServicer_to_server",
]
