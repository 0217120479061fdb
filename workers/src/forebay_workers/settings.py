"""Settings of a worker, from variables that begin with FOREBAY_."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class WorkerSettings(BaseSettings):
    """What every worker needs besides the log, the database and its models.

    `envelope_jwks_file` holds the public keys of the edge (RFC 7517). `ready_file` is created
    once every stage has its partitions. Times are in seconds.
    """

    model_config = SettingsConfigDict(env_prefix="FOREBAY_", frozen=True)

    envelope_jwks_file: Path
    ready_file: Path | None = None
    parser_processes: int = Field(default=1, ge=1, le=64)
    max_in_flight: int = Field(default=500, ge=1, le=10_000)
    drain_timeout: float = Field(default=20.0, ge=0, le=3600)
