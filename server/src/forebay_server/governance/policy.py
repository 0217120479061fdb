"""The policy file: what each tier may read and cost.

```yaml
tiers:
  free:
    clearance: PUBLIC     # the one field without a default
    top_k: 5              # most passages of a query
    model: small          # the workers' own choice, when empty
    output_tokens: 512
    context_tokens: 2048
```
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import Field

from forebay.policy.v1 import Visibility
from forebay_kafka.identity import GenerationLimits
from forebay_server.errors import TierUnknown
from forebay_server.governance.caller import TierLimits
from forebay_server.governance.configuration_file import StrictModel, read_model

VERSION_CHARACTERS = 16  # 64 bits tell the policies of one installation apart


class Clearance(StrEnum):
    """A visibility as the policy file writes it."""

    PUBLIC = "PUBLIC"
    INTERNAL = "INTERNAL"
    CONFIDENTIAL = "CONFIDENTIAL"


class TierRules(StrictModel):
    """A tier of the policy file; token counts are the model's."""

    clearance: Clearance
    top_k: int = Field(default=10, ge=1, le=50, strict=True)
    model: str = Field(default="", max_length=255)
    output_tokens: int = Field(default=1024, ge=1, le=1_000_000, strict=True)
    context_tokens: int = Field(default=4096, ge=1, le=10_000_000, strict=True)


class PolicyFile(StrictModel):
    """The whole policy file."""

    tiers: dict[str, TierRules] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Tier:
    """What a tier grants."""

    clearance: Visibility.ValueType
    limits: TierLimits


class Policy:
    """The policy in force, under a version that changes with its content."""

    def __init__(self, tiers: Mapping[str, Tier], version: str) -> None:
        self._tiers = dict(tiers)
        self.version = version

    @classmethod
    def from_file(cls, path: Path) -> Policy:
        """Read the policy; ConfigurationInvalid names the field and the rule it breaks."""
        rules = read_model(path, PolicyFile)
        tiers = {name: _tier(tier) for name, tier in rules.tiers.items()}
        return cls(tiers, _version(rules))

    def tier(self, name: str) -> Tier:
        """The tier of that name; TierUnknown when the policy has none."""
        tier = self._tiers.get(name)
        if tier is None:
            raise TierUnknown(name)
        return tier


def _tier(rules: TierRules) -> Tier:
    return Tier(
        clearance=Visibility.Value(f"VISIBILITY_{rules.clearance}"),
        limits=TierLimits(
            top_k=rules.top_k,
            generation=GenerationLimits(rules.model, rules.output_tokens, rules.context_tokens),
        ),
    )


def _version(rules: PolicyFile) -> str:
    # Of the rules, not of the file's bytes: a comment changes nothing that an auditor asks for.
    canonical = PolicyFile(tiers=dict(sorted(rules.tiers.items()))).model_dump_json()
    return hashlib.sha256(canonical.encode()).hexdigest()[:VERSION_CHARACTERS]
