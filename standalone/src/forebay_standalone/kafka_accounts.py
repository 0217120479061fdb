"""The log's accounts of one installation: each program is told those of its own parts alone."""

import json
from collections.abc import Mapping
from pathlib import Path

from forebay_kafka.settings import TOPICS_PART
from forebay_kafka.stages import STAGES
from forebay_standalone.broker_security import ADMIN, NODE, Accounts, mechanism_options
from forebay_standalone.files import PRIVATE, kept, random_hex, write_whole

_PREFIX = "kafka-"


class KafkaAccounts:
    """One account for each stage of the contract, one for who makes topics, one for brokers.

    Passwords are made on first use, also in a folder whose log is older than they are: they
    stand in the broker's settings, not in its storage.
    """

    def __init__(self, secrets: Path) -> None:
        """Read the passwords from the closed folder `secrets`, or make them."""
        self._secrets = secrets
        users = (ADMIN, NODE, *STAGES)
        self.accounts = Accounts(
            {user: kept(secrets / f"{_PREFIX}{user}", random_hex) for user in users}
        )

    def program_env(self, program: str, stages: tuple[str, ...]) -> dict[str, str]:
        """Write the accounts of a program's stages down; the variables that lead there."""
        return self._env(program, {stage: stage for stage in stages})

    def topics_env(self) -> dict[str, str]:
        """Give the variables of who makes topics and grants each stage what the contract does."""
        principals = {stage: f"User:{stage}" for stage in STAGES}
        return {
            **self._env(TOPICS_PART, {TOPICS_PART: ADMIN}),
            "FOREBAY_TOPICS_PRINCIPALS": json.dumps(principals),
        }

    def _env(self, program: str, users: Mapping[str, str]) -> dict[str, str]:
        file = self._secrets / f"{_PREFIX}accounts-of-{program}.json"
        passwords = self.accounts.passwords
        listed = {
            part: {"username": user, "password": passwords[user]} for part, user in users.items()
        }
        write_whole(file, json.dumps(listed, indent=2) + "\n", PRIVATE)
        return {
            "FOREBAY_KAFKA_OPTIONS": json.dumps(mechanism_options()),
            "FOREBAY_KAFKA_CREDENTIALS_FILE": str(file),
        }
