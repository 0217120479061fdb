"""The policy file: what each tier may, and in what single tenants differ.

```yaml
tiers:
  free:
    clearance: PUBLIC     # the one field without a default
    top_k: 5              # most passages of a query
    model: small          # empty: the workers' default
    output_tokens: 512
    context_tokens: 4096
    limits: {requests_per_minute: 60, concurrent_answers: 2}   # of each subject
  enterprise: {clearance: CONFIDENTIAL}
tenants:
  acme:
    limits: {tokens_per_day: 2000000, backlog: 50000}          # of the whole tenant
    tiers:
      enterprise: {top_k: 50, model: large}   # what is not said here stays as above
shared:
  - {owner: vendor, collection: manuals, alias: vendor-manuals, tenants: [acme]}
origins: ["https://app.example"]   # whose pages may call over HTTP, as browsers spell them
```
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from forebay_server.governance.configuration_file import StrictModel
from forebay_server.governance.shares import Share, TenantId, require_sound
from forebay_server.limits.allowances import Allowances

SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Clearance(StrEnum):
    """The highest visibility that a tier reads."""

    PUBLIC = "PUBLIC"
    INTERNAL = "INTERNAL"
    CONFIDENTIAL = "CONFIDENTIAL"


TierName = Annotated[str, Field(min_length=1, max_length=255)]  # as long as a token may name one
TopK = Annotated[
    int, Field(ge=1, le=50, strict=True, description="The most passages that a query gets.")
]
Model = Annotated[
    str, Field(max_length=255, description="The model that answers; empty: the workers' default.")
]
OutputTokens = Annotated[
    int, Field(ge=1, le=1_000_000, strict=True, description="The most tokens of an answer.")
]
ContextTokens = Annotated[
    int, Field(ge=1, le=10_000_000, strict=True, description="The most tokens of its context.")
]


# As browsers send it, without a path. There is no `*`: who may call is said by name.
Origin = Annotated[
    str,
    Field(
        pattern=r"^https?://([a-z0-9-]+(\.[a-z0-9-]+)*|\[[0-9a-f:]+\])(:[0-9]{1,5})?$",
        max_length=255,
        description="An origin as browsers spell it: `https://app.example`.",
    ),
]
Most = Annotated[int, Field(ge=1, le=1_000_000_000_000, strict=True)]


def _unsaid() -> Any:  # noqa: ANN401 the type of whatever field it stands for
    # A field may be left out and may not be null: `clearance:` is a line that was not finished.
    return Field(default=None, json_schema_extra=_without_default)


def _without_default(schema: JsonDict) -> None:
    schema.pop("default", None)


class LimitRules(StrictModel):
    """How much there is of something; what is not said has no limit.

    Of a tier, calls and answers are counted for each subject; of a tenant, for all its subjects
    together, in place of the tier's. Tokens and backlog are the tenant's always.
    """

    requests_per_minute: Most = _unsaid()
    concurrent_answers: Most = _unsaid()
    tokens_per_day: Most = _unsaid()
    backlog: Most = _unsaid()

    def allowances(self) -> Allowances:
        """The same for the limiter."""
        return Allowances(
            self.requests_per_minute, self.concurrent_answers, self.tokens_per_day, self.backlog
        )


class TierRules(StrictModel):
    """What a tier may; token counts are the model's."""

    clearance: Clearance
    top_k: TopK = 10
    model: Model = ""
    output_tokens: OutputTokens = 1024
    context_tokens: ContextTokens = 4096
    limits: LimitRules = LimitRules()


class TierChanges(StrictModel):
    """In what a tier differs for one tenant; what is not said stays."""

    clearance: Clearance = _unsaid()
    top_k: TopK = _unsaid()
    model: Model = _unsaid()
    output_tokens: OutputTokens = _unsaid()
    context_tokens: ContextTokens = _unsaid()
    limits: LimitRules = _unsaid()

    def applied_to(self, rules: TierRules) -> TierRules:
        """The tier as the tenant has it."""
        said = {name: getattr(self, name) for name in self.model_fields_set}
        return rules.model_copy(update=said)


class TenantRules(StrictModel):
    """In what a tenant differs from all others."""

    tiers: dict[TierName, TierChanges] = Field(default_factory=dict)
    limits: LimitRules = LimitRules()

    @model_validator(mode="after")
    def _differs(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError("tenant_empty", "tiers or limits must be set")
        return self


class PolicyFile(StrictModel):
    """Forebay's policy: what each tier may, in what single tenants differ, and what they share."""

    tiers: dict[TierName, TierRules] = Field(min_length=1)
    tenants: dict[TenantId, TenantRules] = Field(
        default_factory=dict, json_schema_extra={"additionalProperties": False}
    )
    shared: list[Share] = Field(default_factory=list)
    origins: list[Origin] = Field(
        default_factory=list, description="Whose pages may call over HTTP; none when empty."
    )

    @model_validator(mode="after")
    def _changes_of_tiers_that_exist(self) -> Self:
        for tenant, rules in self.tenants.items():
            for tier in rules.tiers.keys() - self.tiers.keys():
                place = ("tenants", tenant, "tiers", tier)
                # A misspelt name would otherwise leave a tenant with more than it is meant to have.
                raise PydanticCustomError("tier_unknown", "no such tier", {"place": place})
        return self

    @model_validator(mode="after")
    def _shares_are_sound(self) -> Self:
        require_sound(self.shared)
        return self


def policy_schema() -> dict[str, object]:
    """The JSON Schema of the policy file, for editors and other programs."""
    return {"$schema": SCHEMA_DIALECT, **PolicyFile.model_json_schema()}
