"""Settings of the edge, from variables that begin with FOREBAY_."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Self, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from forebay_kafka.watched_file import ConfigurationInvalid

MAX_PORT = 65_535
SettingsT = TypeVar("SettingsT", bound=BaseSettings)


class ServerSettings(BaseSettings):
    """What one edge needs. Times are in seconds, files are paths.

    The envelope key is a private Ed25519 JWK, the envelope JWKS the public keys that the edge
    itself believes; the seal file holds one or two secrets in hexadecimal, the current one first.

    HTTP is served where there is an HTTP address.

    The development issuer is the URL, on loopback, from which the page gets tokens for anybody.

    The limits URL names the Redis in which all processes count calls together; without it, one
    process counts in its memory.

    Figures for Prometheus are shown on the metrics address, which has to be private. Of several
    processes each takes one of as many ports, from that one upwards.
    """

    model_config = SettingsConfigDict(env_prefix="FOREBAY_", frozen=True)

    grpc_address: str = "127.0.0.1:7080"
    http_address: str | None = None
    metrics_address: str | None = None
    development_issuer: str | None = None
    processes: int = Field(default=1, ge=1, le=256)
    limits_url: SecretStr | None = None
    issuers_file: Path
    policy_file: Path
    envelope_key_file: Path
    envelope_jwks_file: Path
    seal_secret_file: Path
    tls_certificate_file: Path | None = None
    tls_key_file: Path | None = None
    # Kubernetes grants 30 s between SIGTERM and SIGKILL.
    drain_timeout: float = Field(default=25.0, ge=0, le=3600)

    @field_validator("grpc_address", "http_address", "metrics_address")
    @classmethod
    def _host_and_port(cls, address: str | None) -> str | None:
        if address is not None:
            split_address(address)
        return address

    @model_validator(mode="after")
    def _whole_tls(self) -> Self:
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise ValueError("TLS_CERTIFICATE_FILE and TLS_KEY_FILE need each other")
        return self

    @model_validator(mode="after")
    def _development_on_this_machine(self) -> Self:
        if self.development_issuer is None or self.http_address is None:
            return self
        issuer = urlsplit(self.development_issuer)
        hosts = (split_address(self.http_address)[0], issuer.hostname or "")
        if issuer.scheme != "http" or not all(map(_is_loopback, hosts)):
            raise ValueError("DEVELOPMENT_ISSUER and HTTP_ADDRESS must be on loopback addresses")
        if self.tls_certificate_file is not None:
            raise ValueError("DEVELOPMENT_ISSUER is for HTTP without TLS")
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `host:port`, the host of IPv6 without its brackets; ValueError otherwise."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > MAX_PORT:
        raise ValueError("must be host:port")
    return host.strip("[]"), int(port)


def read_settings(kind: type[SettingsT]) -> SettingsT:
    """Read settings from the environment; ConfigurationInvalid names variable and rule."""
    prefix = kind.model_config.get("env_prefix", "")
    try:
        return kind()
    except SettingsError as error:
        raise ConfigurationInvalid(str(error)) from error
    except ValidationError as error:
        raise ConfigurationInvalid("\n".join(_broken_variables(error, prefix))) from error


def _broken_variables(error: ValidationError, prefix: str) -> list[str]:
    # Never the value: it may be a secret.
    return [
        f"{prefix}{'_'.join(str(part) for part in broken['loc']).upper()}: {broken['msg']}"
        for broken in error.errors(include_input=False, include_url=False)
    ]
