"""What the README promises about configuration is what the programs read."""

import re
from pathlib import Path

from pydantic_settings import BaseSettings

from forebay_kafka.settings import KafkaSettings
from forebay_kafka.topic_plan import TopicSettings
from forebay_postgres import PostgresSettings
from forebay_server.settings import ServerSettings
from forebay_workers.models.settings import ModelSettings
from forebay_workers.settings import (
    BreakerSettings,
    GroupSettings,
    RetrySettings,
    WorkerSettings,
)

README = Path(__file__).parents[2] / "README.md"
SETTINGS: tuple[type[BaseSettings], ...] = (
    KafkaSettings,
    TopicSettings,
    PostgresSettings,
    ServerSettings,
    WorkerSettings,
    RetrySettings,
    BreakerSettings,
    GroupSettings,
    ModelSettings,
)
OF_THE_COMMAND = {
    "FOREBAY_SERVER",
    "FOREBAY_TOKEN",
    "FOREBAY_TOKEN_FILE",
    "FOREBAY_CA",
    "FOREBAY_PLAINTEXT",
}


def test_the_table_of_variables_is_complete_and_names_no_other() -> None:
    read = {
        f"{kind.model_config.get('env_prefix', '')}{field}".upper()
        for kind in SETTINGS
        for field in kind.model_fields
    }
    table = README.read_text().split("## Configuration")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert set(re.findall(r"`(FOREBAY_\w+)`", " ".join(rows))) == read | OF_THE_COMMAND
