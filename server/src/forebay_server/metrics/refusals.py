"""Records of the log that this process does not believe."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from forebay_kafka.errors import KafkaError
from forebay_kafka.failure import reason_word


class RecordRefusals:
    """Counts by topic and reason, each time that such a record is read."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._refused = Counter(
            "forebay_edge_records_refused",
            "Records of the log that were read and not believed.",
            ("topic", "reason"),
            registry=registry,
        )

    def note(self, topic: str, error: KafkaError) -> None:
        """Count one."""
        self._refused.labels(topic, reason_word(error.reason)).inc()
