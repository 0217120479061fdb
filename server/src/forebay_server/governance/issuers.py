"""The issuers file: whom the edge believes, for which tenants, and where their claims stand.

```yaml
- issuer: https://id.example
  audience: forebay
  jwks_url: https://id.example/jwks.json      # or jwks_file: /etc/forebay/jwks.json
  tenants: [acme, globex]                     # or: any, which is what a lone issuer may leave out
  algorithms: [RS256, ES256, EdDSA]
  claims: {tenant: org.id, subject: sub, tier: tier, groups: groups, scopes: scope}
  lifetime_limit_seconds: 86400
  leeway_seconds: 30
```
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AnyHttpUrl, Field, RootModel, model_validator

from forebay_server.governance.configuration_file import StrictModel, read_model

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]
ClaimPath = Annotated[str, Field(min_length=1, max_length=255)]
TenantId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,63}$")]


class ClaimPaths(StrictModel):
    """Where claims stand; a dot steps into an object, unless a claim bears the whole name."""

    tenant: ClaimPath = "tenant"
    subject: ClaimPath = "sub"
    tier: ClaimPath = "tier"
    groups: ClaimPath = "groups"
    scopes: ClaimPath = "scope"


class Issuer(StrictModel):
    """One issuer of tokens. Times are in seconds."""

    issuer: str = Field(min_length=1, max_length=255)
    audience: str = Field(min_length=1, max_length=255)
    tenants: Literal["any"] | list[TenantId] | None = None
    jwks_url: AnyHttpUrl | None = None
    jwks_file: Path | None = None
    algorithms: list[Algorithm] = Field(default=["RS256", "ES256", "EdDSA"], min_length=1)
    claims: ClaimPaths = ClaimPaths()
    lifetime_limit_seconds: int = Field(default=86_400, ge=1, strict=True)
    leeway_seconds: int = Field(default=30, ge=0, le=60, strict=True)
    cool_down_seconds: float = Field(default=30.0, gt=0, le=3600)
    fresh_seconds: float = Field(default=300.0, gt=0)
    hard_age_seconds: float = Field(default=86_400.0, gt=0)

    @model_validator(mode="after")
    def _one_source_of_keys(self) -> Self:
        if (self.jwks_url is None) == (self.jwks_file is None):
            raise ValueError("needs either jwks_url or jwks_file")
        return self

    def speaks_for(self, tenant: str) -> bool:
        """Whether the issuer may name callers of that tenant."""
        return self.tenants is None or self.tenants == "any" or tenant in self.tenants


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
    return read_model(path, IssuersFile).root
