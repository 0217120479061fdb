"""The issuers file: whom the edge believes, for which tenants, and where their claims stand.

```yaml
- issuer: https://id.example
  audience: forebay
  jwks_url: https://id.example/jwks.json      # or jwks_file: /etc/forebay/jwks.json
  tenants: [acme, globex-*]                   # or: any, which is what a lone issuer may leave out
  operators: false                            # may grant scopes that reach across tenants
  algorithms: [RS256, ES256, EdDSA]
  claims: {tenant: org.id, subject: sub, tier: tier, groups: groups, scopes: scope}
  lifetime_limit_seconds: 86400
  leeway_seconds: 30
```
"""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AnyHttpUrl, Field, RootModel, field_validator, model_validator

from forebay_kafka.watched_file import read_content
from forebay_server.governance.configuration_file import StrictModel, parse_model

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]
ClaimPath = Annotated[str, Field(min_length=1, max_length=255)]
TenantPattern = Annotated[str, Field(pattern=r"^([a-z0-9-]{1,63}|[a-z0-9-]{1,62}\*)$")]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ClaimPaths(StrictModel):
    """Where claims stand; a dot steps into an object, unless a claim bears the whole name."""

    tenant: ClaimPath = "tenant"
    subject: ClaimPath = "sub"
    tier: ClaimPath = "tier"
    groups: ClaimPath = "groups"
    scopes: ClaimPath = "scope"


class Issuer(StrictModel):
    """One issuer of tokens. Times are in seconds.

    `tenants` are those it may speak for: names, and beginnings of names that end with `*`.
    `operators` says whether it may grant the scopes that reach across tenants; where nothing is
    said, an issuer of any tenant may, and one of some tenants may not.
    """

    issuer: str = Field(min_length=1, max_length=255)
    audience: str = Field(min_length=1, max_length=255)
    tenants: Literal["any"] | Annotated[list[TenantPattern], Field(min_length=1)] | None = None
    operators: bool | None = Field(default=None, strict=True)
    jwks_url: AnyHttpUrl | None = None
    jwks_file: Path | None = None
    algorithms: list[Algorithm] = Field(default=["RS256", "ES256", "EdDSA"], min_length=1)
    claims: ClaimPaths = ClaimPaths()
    lifetime_limit_seconds: int = Field(default=86_400, ge=1, strict=True)
    leeway_seconds: int = Field(default=30, ge=0, le=60, strict=True)
    cool_down_seconds: float = Field(default=30.0, gt=0, le=3600)
    fetch_timeout_seconds: float = Field(default=5.0, gt=0, le=30)
    fresh_seconds: Seconds = 300.0
    hard_age_seconds: Seconds = 86_400.0

    @field_validator("jwks_url")
    @classmethod
    def _believable(cls, url: AnyHttpUrl | None) -> AnyHttpUrl | None:
        if url is None:
            return None
        if url.username or url.password:
            raise ValueError("must hold no credentials")
        if url.scheme != "https" and not _on_this_machine(url.host or ""):
            # Whoever sits between could choose the keys.
            raise ValueError("must begin with https://, unless its host is this machine")
        return url

    @model_validator(mode="after")
    def _keys_age_in_order(self) -> Self:
        if self.hard_age_seconds < self.fresh_seconds + self.cool_down_seconds:
            # Keys would be given up before their refresh may have been tried.
            raise ValueError("hard_age_seconds is below fresh_seconds and cool_down_seconds")
        return self

    @model_validator(mode="after")
    def _one_source_of_keys(self) -> Self:
        if (self.jwks_url is None) == (self.jwks_file is None):
            raise ValueError("needs either jwks_url or jwks_file")
        return self

    def speaks_for(self, tenant: str) -> bool:
        """Whether the issuer may name callers of that tenant."""
        if self.tenants is None or self.tenants == "any":
            return True
        return any(_names(pattern, tenant) for pattern in self.tenants)

    def grants_operators(self) -> bool:
        """Whether its tokens may carry scopes that reach across tenants."""
        if self.operators is None:
            return self.tenants is None or self.tenants == "any"
        return self.operators


def _names(pattern: str, tenant: str) -> bool:
    if pattern.endswith("*"):
        return tenant.startswith(pattern[:-1])
    return tenant == pattern


def _on_this_machine(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class IssuersFile(RootModel[list[Issuer]]):
    """The whole issuers file: a list."""

    root: list[Issuer] = Field(min_length=1)

    @model_validator(mode="after")
    def _each_in_its_place(self) -> Self:
        if len({issuer.issuer for issuer in self.root}) != len(self.root):
            raise ValueError("an issuer is named twice")
        if len(self.root) > 1 and any(issuer.tenants is None for issuer in self.root):
            # Otherwise each of them could mint tokens for the tenants of the others.
            raise ValueError("of several issuers each must say its tenants")
        return self


def read_issuers(path: Path) -> list[Issuer]:
    """The issuers of a file; ConfigurationInvalid names the field and the rule it breaks."""
    return parse_issuers(read_content(path), path)


def parse_issuers(content: bytes, path: Path) -> list[Issuer]:
    """The issuers that a file's bytes hold; ConfigurationInvalid names line, field and rule."""
    return parse_model(content, IssuersFile, path).root
