"""Who calls, as token and policy tell it."""

from __future__ import annotations

from dataclasses import dataclass, field

from forebay.policy.v1 import Scope, Visibility
from forebay_kafka.identity import GenerationLimits, Grant, Identity
from forebay_server.audit.activity import Activity
from forebay_server.limits.allowances import UNLIMITED, Allowances
from forebay_server.limits.store import CallsLeft


@dataclass(frozen=True, slots=True)
class TierLimits:
    """What a tier allows: most passages of a query, and what an answer may cost in tokens."""

    top_k: int
    generation: GenerationLimits


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified caller. `expire_time` is until when its token counts, in seconds since 1970.

    `actor` is the service that acts on behalf of the subject (RFC 8693, section 4.1), if any;
    `grants` is what other tenants share with the caller's;
    `requests_left` is what this call left of the calls a minute, if they are counted.
    """

    issuer: str
    tenant: str
    subject: str
    tier: str
    clearance: Visibility.ValueType
    groups: tuple[str, ...]
    scopes: frozenset[Scope.ValueType]
    limits: TierLimits
    expire_time: float
    policy_version: str
    actor: str | None = None
    allowances: Allowances = UNLIMITED
    grants: tuple[Grant, ...] = ()
    requests_left: CallsLeft | None = None

    def identity(self) -> Identity:
        """What an envelope states about the caller."""
        return Identity(
            issuer=self.issuer,
            tenant=self.tenant,
            subject=self.subject,
            tier=self.tier,
            clearance=self.clearance,
            groups=self.groups,
            limits=self.limits.generation,
            policy_version=self.policy_version,
            actor=self.actor,
        )


@dataclass(frozen=True, slots=True)
class Call:
    """One admitted call.

    `deadline` is in the event loop's time, None when the client set none; `trace_parent` is the
    client's W3C trace context when it sent a well-formed one. `activity` is what the audit hears
    of the call.
    """

    caller: Caller
    deadline: float | None = None
    trace_parent: bytes | None = None
    activity: Activity = field(default_factory=Activity)
