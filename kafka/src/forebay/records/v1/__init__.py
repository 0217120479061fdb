"""Everything in the proto package `forebay.records.v1`. Generated; do not edit."""

from .topic_pb2 import Stage, Topic, topic
from .answer_record_pb2 import AnswerRecord
from .audit_record_pb2 import AuditRecord
from .chunk_set_pb2 import ChunkSet
from .context_record_pb2 import ContextRecord
from .dead_letter_pb2 import DeadLetter
from .document_record_pb2 import DocumentRecord
from .document_update_pb2 import DocumentUpdate
from .header_pb2 import Header, header_name
from .query_record_pb2 import QueryRecord
from .retry_record_pb2 import RetryRecord
from .stage_report_pb2 import StageReport
from .usage_record_pb2 import UsageRecord

__all__ = [
    "AnswerRecord",
    "AuditRecord",
    "ChunkSet",
    "ContextRecord",
    "DeadLetter",
    "DocumentRecord",
    "DocumentUpdate",
    "Header",
    "QueryRecord",
    "RetryRecord",
    "Stage",
    "StageReport",
    "Topic",
    "UsageRecord",
    "header_name",
    "topic",
]
