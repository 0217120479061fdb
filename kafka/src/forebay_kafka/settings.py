"""How a program reaches the log."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

MAX_RECORD_BYTES = 8 * 1024 * 1024  # a 4 MiB document, cut and described, stays below it


class KafkaSettings(BaseSettings):
    """Addresses and credentials of the log, from variables that begin with FOREBAY_KAFKA_.

    `options` goes to librdkafka as it is, as JSON: `{"security.protocol": "SASL_SSL", …}`.
    Times are in seconds.
    """

    model_config = SettingsConfigDict(env_prefix="FOREBAY_KAFKA_", frozen=True)

    bootstrap_servers: str = Field(min_length=1)
    options: dict[str, str | int | bool] = {}
    delivery_timeout: float = Field(default=10.0, gt=0, le=300)
    session_timeout: float = Field(default=6.0, ge=1, le=300)

    def client_options(self) -> dict[str, str | int | bool]:
        """What every client of librdkafka is given."""
        return {
            "bootstrap.servers": self.bootstrap_servers,
            # A broker that comes back is found within a second, not within ten.
            "reconnect.backoff.max.ms": 1000,
            "socket.keepalive.enable": True,
            **self.options,
        }
