"""Who caused a record, as every stage behind the edge may trust it."""

from __future__ import annotations

from dataclasses import dataclass

from forebay.policy.v1 import Visibility


@dataclass(frozen=True)
class GenerationLimits:
    """What an answer may cost, by the caller's tier when it asked.

    An empty `model` leaves the choice to the worker; `output_tokens` and `context_tokens` count
    the model's tokens.
    """

    model: str
    output_tokens: int
    context_tokens: int


@dataclass(frozen=True, slots=True)
class Grant:
    """A collection of another tenant that policy lets the caller's tenant read, and as what.

    `alias` is the name of `collection` of `tenant` where the caller is.
    """

    alias: str
    tenant: str
    collection: str


@dataclass(frozen=True)
class Identity:
    """A caller, as token and policy told the edge.

    `actor` is the service that acts on behalf of the subject (RFC 8693, section 4.1), if any.
    """

    issuer: str
    tenant: str
    subject: str
    tier: str
    clearance: Visibility.ValueType
    groups: tuple[str, ...]
    limits: GenerationLimits
    policy_version: str
    actor: str | None = None
