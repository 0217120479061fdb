"""Settings of a worker, from variables that begin with FOREBAY_; times are in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from forebay_workers.metrics import MetricsAddress
from forebay_workers.record_loop.settings import MIB

DAY = 24 * 3600.0
MAX_PORT = 65_535


class WorkerSettings(BaseSettings):
    """What every worker needs besides the log, the database and its models.

    `envelope_jwks_file` holds the public keys of the edge (RFC 7517). `ready_file` is created
    once every stage has its partitions. `metrics_address` is `host:port`; unset, no figures are
    served. The stage `auditing` writes its files to `audit_folder`.
    """

    model_config = SettingsConfigDict(env_prefix="FOREBAY_", frozen=True)

    envelope_jwks_file: Path
    ready_file: Path | None = None
    metrics_address: Annotated[MetricsAddress | None, NoDecode] = None
    audit_folder: Path | None = None
    parser_processes: int = Field(default=1, ge=1, le=64)
    max_in_flight: int = Field(default=500, ge=1, le=10_000)
    max_uncommitted_records: int = Field(default=20_000, ge=1, le=1_000_000)
    max_held_bytes: int = Field(default=64 * MIB, ge=8 * MIB)  # one record of the largest size
    call_timeout: float = Field(default=120.0, gt=0, le=3600)
    stuck_limit: float = Field(default=60.0, gt=0, le=3600)
    drain_timeout: float = Field(default=20.0, ge=0, le=3600)

    @field_validator("metrics_address", mode="before")
    @classmethod
    def _host_and_port(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        host, _, port = value.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) <= MAX_PORT:
            raise ValueError("Input should be host:port, such as 127.0.0.1:9464")
        return MetricsAddress(host.strip("[]"), int(port))


class RetrySettings(BaseSettings):
    """How stages of documents bear failures, from variables that begin with FOREBAY_RETRY_.

    `rounds` are the waits of the retry topic, separated by commas; empty for none. Stages of
    queries take the first waits only: somebody waits for them.
    """

    model_config = SettingsConfigDict(env_prefix="FOREBAY_RETRY_", frozen=True)

    budget: float = Field(default=30.0, ge=0, le=3600)
    first_delay: float = Field(default=0.1, gt=0, le=60)
    longest_delay: float = Field(default=5.0, gt=0, le=600)
    unknown_attempts: int = Field(default=3, ge=1, le=100)
    # A restart, a failover, and somebody who looks into it.
    rounds: Annotated[tuple[Annotated[float, Field(gt=0, le=DAY)], ...], NoDecode] = (30, 120, 600)

    @field_validator("rounds", mode="before")
    @classmethod
    def _separated(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",")) if value.strip() else ()

    @field_validator("longest_delay")
    @classmethod
    def _at_least_the_first(cls, value: float, info: ValidationInfo) -> float:
        if value < info.data.get("first_delay", 0.0):
            raise ValueError("Input should be at least FOREBAY_RETRY_FIRST_DELAY")
        return value


class BreakerSettings(BaseSettings):
    """When a stage of documents halts, from variables that begin with FOREBAY_BREAKER_.

    It does when more than `share` of its last `records` failed; with 0 records never.
    """

    model_config = SettingsConfigDict(env_prefix="FOREBAY_BREAKER_", frozen=True)

    records: int = Field(default=20, ge=0, le=10_000)
    share: float = Field(default=0.5, gt=0, lt=1)


class GroupSettings(BaseSettings):
    """How stages are members of their groups, from variables that begin with FOREBAY_GROUP_.

    `instance_id` makes the membership static (KIP-345): unique to each worker, and the same after
    its restart. `protocol` `consumer` is KIP-848; the session timeout is the group's own then.
    """

    model_config = SettingsConfigDict(env_prefix="FOREBAY_GROUP_", frozen=True)

    instance_id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._-]{1,200}$")
    protocol: Literal["classic", "consumer"] = "classic"
