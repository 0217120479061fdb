"""Settings of the storage, read from the environment with the prefix FOREBAY_POSTGRES_."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class PostgresSettings(BaseSettings):
    """Where Postgres is, under which roles, and how long anything may take.

    A program needs only the DSN of its own role. DSNs are libpq connection strings or URIs.
    """

    model_config = SettingsConfigDict(env_prefix="FOREBAY_POSTGRES_", frozen=True)

    admin_dsn: SecretStr | None = None
    write_dsn: SecretStr | None = None
    retrieve_dsn: SecretStr | None = None

    write_password: SecretStr | None = None
    retrieve_password: SecretStr | None = None

    write_pool_size: int = Field(default=8, ge=1)
    retrieve_pool_size: int = Field(default=8, ge=1)

    # A query must have failed within five seconds: wait, connect and search together stay under it.
    acquire_timeout_seconds: float = Field(default=2.0, gt=0)
    retrieve_statement_timeout_ms: int = Field(default=2_000, ge=1)
    # A document of some thousand passages is one transaction.
    write_statement_timeout_ms: int = Field(default=30_000, ge=1)
