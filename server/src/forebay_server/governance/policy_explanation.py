"""What a policy means for one caller: the reasons for a yes or a no, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from google.protobuf.descriptor import ServiceDescriptor

from forebay.policy.v1 import Scope, Visibility
from forebay_kafka.identity import Grant
from forebay_server.errors import (
    ClearanceTooLow,
    EdgeError,
    MethodUnknown,
    TierUnknown,
    scope_word,
    visibility_word,
)
from forebay_server.governance.authorisation import MethodPolicies, method_path
from forebay_server.governance.policy import Policy, Tier
from forebay_server.governance.shares import DEFAULT_COLLECTION


@dataclass(frozen=True, slots=True)
class Somebody:
    """A caller to explain a policy for, as a verified token would tell it."""

    tenant: str
    tier: str
    groups: frozenset[str] = frozenset()
    scopes: frozenset[Scope.ValueType] = frozenset()


@dataclass(frozen=True, slots=True)
class SomeDocument:
    """A document to explain a policy for; no readers: whoever has the clearance.

    `tenant` and `collection` are its owner's.
    """

    tenant: str
    visibility: Visibility.ValueType
    readers: frozenset[str] = frozenset()
    collection: str = DEFAULT_COLLECTION


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether it may be, and why."""

    allowed: bool
    reasons: tuple[str, ...]


def explain_document(policy: Policy, caller: Somebody, document: SomeDocument) -> Explanation:
    """Whether the caller may read a document, rule by rule in the order of retrieval."""
    tier = _tier(policy, caller)
    if isinstance(tier, Explanation):
        return tier
    verdicts = [
        _tenant_verdict(policy, caller, document),
        _clearance_verdict(tier, document),
        _readers_verdict(caller, document),
    ]
    allowed = all(verdict.allowed for verdict in verdicts)
    reasons = [reason for verdict in verdicts for reason in verdict.reasons]
    return Explanation(allowed, (_granted(policy, caller, tier), *reasons))


def explain_method(
    policy: Policy, caller: Somebody, method: str, services: Iterable[ServiceDescriptor]
) -> Explanation:
    """Whether the caller may call a method, by its name, `Service/Method` or the whole path."""
    tier = _tier(policy, caller)
    if isinstance(tier, Explanation):
        return tier
    services = list(services)
    granted = _granted(policy, caller, tier)
    try:
        path = _path(method, services)
        MethodPolicies(services).authorise(path, caller.scopes)
    except EdgeError as error:
        return Explanation(allowed=False, reasons=(granted, str(error)))
    held = ", ".join(sorted(scope_word(scope) for scope in caller.scopes)) or "none"
    return Explanation(allowed=True, reasons=(granted, f"{path} admits the scopes: {held}"))


def _path(method: str, services: Sequence[ServiceDescriptor]) -> str:
    paths = [method_path(served) for service in services for served in service.methods]
    ending = method.lstrip("/").replace(".", "/")
    found = [path for path in paths if f"/{path.replace('.', '/')}".endswith(f"/{ending}")]
    if len(found) != 1:
        raise MethodUnknown
    return found[0]


def _tier(policy: Policy, caller: Somebody) -> Tier | Explanation:
    try:
        return policy.tier(caller.tenant, caller.tier)
    except TierUnknown as error:
        return Explanation(allowed=False, reasons=(f"policy {policy.version}: {error}",))


def _granted(policy: Policy, caller: Somebody, tier: Tier) -> str:
    own = (caller.tenant, caller.tier) in policy.changed
    limits, generation = tier.limits, tier.limits.generation
    return (
        f"policy {policy.version}: tier {caller.tier}{f' as {caller.tenant} has it' if own else ''}"
        f": clearance {visibility_word(tier.clearance)}, {limits.top_k} passages, "
        f"model {generation.model or 'of the workers'}, {generation.output_tokens} tokens out, "
        f"{generation.context_tokens} tokens of context"
    )


def _tenant_verdict(policy: Policy, caller: Somebody, document: SomeDocument) -> Explanation:
    grants = policy.grants(caller.tenant)
    if caller.tenant == document.tenant:
        return _own_verdict(grants, document)
    for grant in grants:
        if (grant.tenant, grant.collection) == (document.tenant, document.collection):
            shared = f"{document.tenant} shares the collection with the caller as {grant.alias}"
            return Explanation(allowed=True, reasons=(f"{shared}: to read, never to write",))
    return Explanation(
        allowed=False, reasons=(f"the document is of another tenant: {document.tenant}",)
    )


def _own_verdict(grants: Sequence[Grant], document: SomeDocument) -> Explanation:
    for grant in grants:
        if grant.alias == document.collection:
            hidden = f"hidden behind what {grant.tenant} shares as {grant.alias}"
            return Explanation(allowed=False, reasons=(f"the document is {hidden}",))
    return Explanation(allowed=True, reasons=("the document is the caller's tenant's",))


def _clearance_verdict(tier: Tier, document: SomeDocument) -> Explanation:
    if document.visibility > tier.clearance:
        refusal = ClearanceTooLow(tier.clearance, document.visibility)
        return Explanation(allowed=False, reasons=(str(refusal),))
    covered = f"clearance {visibility_word(tier.clearance)} covers"
    return Explanation(
        allowed=True, reasons=(f"{covered} visibility {visibility_word(document.visibility)}",)
    )


def _readers_verdict(caller: Somebody, document: SomeDocument) -> Explanation:
    if not document.readers:
        return Explanation(allowed=True, reasons=("the document names no readers",))
    if caller.tenant != document.tenant:
        return Explanation(allowed=False, reasons=("its readers are groups of its own tenant",))
    shared = ", ".join(sorted(caller.groups & document.readers))
    if shared:
        return Explanation(allowed=True, reasons=(f"among its readers: {shared}",))
    return Explanation(allowed=False, reasons=("none of the caller's groups is a reader",))
