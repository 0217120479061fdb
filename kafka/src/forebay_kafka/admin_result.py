"""What an administrative request to the cluster came to."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import confluent_kafka

from forebay_kafka.errors import KafkaError, LogUnavailable

TIMEOUT_SECONDS = 30.0  # a cluster elects a controller within seconds; then it answers at once


class TopicsRefused(KafkaError):
    """The cluster refuses a topic or a rule, or has a topic that cannot be changed in place."""


def result(answer: Future[Any]) -> Any:  # noqa: ANN401 each request has its own result
    """Wait for an answer. Raises LogUnavailable, or TopicsRefused with the cluster's words."""
    try:
        return answer.result(TIMEOUT_SECONDS)
    except confluent_kafka.KafkaException as error:
        cause = error.args[0]
        raise TopicsRefused(f"the log refuses: {cause.str()}") from error
    except TimeoutError as error:
        raise LogUnavailable("the log does not answer in time") from error
