"""The policy in force: what a tier grants to a caller of a tenant."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, Self

from forebay.policy.v1 import Visibility
from forebay_kafka.identity import GenerationLimits, Grant
from forebay_kafka.watched_file import read_content
from forebay_server.errors import TierUnknown
from forebay_server.governance.caller import TierLimits
from forebay_server.governance.configuration_file import parse_model
from forebay_server.governance.policy_file import PolicyFile, TenantRules, TierRules
from forebay_server.governance.shares import grants_by_tenant
from forebay_server.limits.allowances import Allowances

VERSION_CHARACTERS = 16  # 64 bits tell the policies of one installation apart


@dataclass(frozen=True, slots=True)
class Tier:
    """What a tier grants."""

    clearance: Visibility.ValueType
    limits: TierLimits
    allowances: Allowances


class PolicyInForce(Protocol):
    """Whoever knows the policy that counts now."""

    @property
    def current(self) -> Policy:
        """The policy of this moment; a call is judged by one of them from end to end."""
        ...


@dataclass(frozen=True, slots=True)
class Policy:
    """One state of the policy file, under a version that changes with what it says.

    `tiers` is by name, `changed` by tenant and name: the tiers as tenants with rules of their own
    have them. `shared` is what tenants may read of others, by receiving tenant. Pages of `origins`
    may call over HTTP. `counts_calls` says whether some limit is counted call
    by call.
    """

    tiers: Mapping[str, Tier]
    changed: Mapping[tuple[str, str], Tier]
    shared: Mapping[str, tuple[Grant, ...]]
    version: str
    origins: frozenset[str] = frozenset()

    @property
    def counts_calls(self) -> bool:
        """Whether somebody's calls or answers have to be counted."""
        everybody = [*self.tiers.values(), *self.changed.values()]
        return any(
            tier.allowances.requests_per_minute or tier.allowances.concurrent_answers
            for tier in everybody
        )

    @classmethod
    def parse(cls, content: bytes, path: Path) -> Self:
        """The policy that a file's bytes hold; ConfigurationInvalid names line, field and rule."""
        file = parse_model(content, PolicyFile, path)
        changed = {
            (tenant, name): _tier_of(rules, name, standard)
            for tenant, rules in file.tenants.items()
            for name, standard in file.tiers.items()
        }
        tiers = {name: _tier(rules) for name, rules in file.tiers.items()}
        return cls(
            MappingProxyType(tiers),
            MappingProxyType(changed),
            grants_by_tenant(file.shared),
            _version(file),
            frozenset(file.origins),
        )

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read the policy; ConfigurationInvalid names line, field and rule."""
        return cls.parse(read_content(path), path)

    @property
    def current(self) -> Self:
        """A policy that nobody watches stays the one in force."""
        return self

    def tier(self, tenant: str, name: str) -> Tier:
        """The tier of that name as the tenant has it; TierUnknown when the policy has none."""
        tier = self.changed.get((tenant, name)) or self.tiers.get(name)
        if tier is None:
            raise TierUnknown(name)
        return tier

    def grants(self, tenant: str) -> tuple[Grant, ...]:
        """What others share with a tenant."""
        return self.shared.get(tenant, ())


def _tier(rules: TierRules) -> Tier:
    return Tier(
        clearance=Visibility.Value(f"VISIBILITY_{rules.clearance}"),
        limits=TierLimits(
            top_k=rules.top_k,
            generation=GenerationLimits(rules.model, rules.output_tokens, rules.context_tokens),
        ),
        allowances=rules.limits.allowances(),
    )


def _tier_of(tenant: TenantRules, name: str, standard: TierRules) -> Tier:
    changes = tenant.tiers.get(name)
    tier = _tier(standard if changes is None else changes.applied_to(standard))
    return replace(tier, allowances=tier.allowances.overridden_by(tenant.limits.allowances()))


def _version(file: PolicyFile) -> str:
    # Of the rules, not of the file's bytes: a comment changes nothing that an auditor asks for.
    canonical = json.dumps(file.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:VERSION_CHARACTERS]
