"""`forebay-server topics`: what the log should be, and what it is."""

from __future__ import annotations

from forebay_kafka.settings import TOPICS_PART, KafkaSettings
from forebay_kafka.topic_admin import TopicAdmin
from forebay_kafka.topic_plan import TopicSettings
from forebay_server.settings import read_settings


def run_topics(action: str) -> int:
    """Plan, apply or check; the exit code, 1 where `check` finds a difference."""
    admin = TopicAdmin(
        read_settings(KafkaSettings).acting_as(TOPICS_PART), read_settings(TopicSettings)
    )
    if action == "apply":
        _show("applied", admin.apply())
        return 0
    differences = admin.plan()
    _show("differs", differences)
    return 1 if differences and action == "check" else 0


def _show(word: str, lines: list[str]) -> None:
    for line in lines:
        print(f"{word}: {line}")  # noqa: T201 a command speaks
    if not lines:
        print("the topics are as declared")  # noqa: T201 a command speaks
