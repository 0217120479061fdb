"""How a program reaches the log."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from forebay_kafka.watched_file import ConfigurationInvalid

TOPICS_PART = "topics"  # what makes topics, among the parts that have accounts
MAX_RECORD_BYTES = 8 * 1024 * 1024  # a 4 MiB document, cut and described, stays below it


class CredentialsInvalid(ConfigurationInvalid):
    """The file of accounts cannot be used; the text names the file and never a password."""


class Account(BaseModel):
    """How one part of a program signs in."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    username: str = Field(min_length=1)
    password: str = Field(min_length=1, repr=False)


ACCOUNTS = TypeAdapter(dict[str, Account])


class KafkaSettings(BaseSettings):
    """Addresses and credentials of the log, from variables that begin with FOREBAY_KAFKA_.

    `options` goes to librdkafka as it is, as JSON: `{"security.protocol": "SASL_SSL", …}`.
    `credentials_file` holds, as JSON, the accounts of the program's parts by the stage's word, for
    clusters that know who is who: `{"edge": {"username": "…", "password": "…"}}`; who makes topics
    is `topics` there. Times are in seconds.
    """

    model_config = SettingsConfigDict(env_prefix="FOREBAY_KAFKA_", frozen=True)

    bootstrap_servers: str = Field(min_length=1)
    options: dict[str, str | int | bool] = {}
    credentials_file: Path | None = None
    delivery_timeout: float = Field(default=10.0, gt=0, le=300)
    session_timeout: float = Field(default=6.0, ge=1, le=300)

    def acting_as(self, part: str) -> KafkaSettings:
        """The settings of one part of the program: with its own account, where there are accounts.

        Raises CredentialsInvalid when the file cannot be read or has no such account.
        """
        if self.credentials_file is None:
            return self
        account = _account(self.credentials_file, part)
        signed_in = {"sasl.username": account.username, "sasl.password": account.password}
        return self.model_copy(update={"options": {**self.options, **signed_in}})

    def client_options(self) -> dict[str, str | int | bool]:
        """What every client of librdkafka is given."""
        return {
            "bootstrap.servers": self.bootstrap_servers,
            # A broker that comes back is found within a second, not within ten.
            "reconnect.backoff.max.ms": 1000,
            "socket.keepalive.enable": True,
            **self.options,
        }


def _account(path: Path, part: str) -> Account:
    try:
        accounts = ACCOUNTS.validate_json(path.read_bytes())
    except OSError as error:
        raise CredentialsInvalid(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "the file"
        raise CredentialsInvalid(f"{path}: {where}: {first['msg']}") from error
    if part not in accounts:
        raise CredentialsInvalid(f"{path}: has no account for `{part}`")
    return accounts[part]
