"""How much a tier or a tenant may do."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum


class Limit(StrEnum):
    """A limit by its name in the contract: a field of forebay.query.v1.Caller.Limits."""

    REQUESTS_PER_MINUTE = "requests_per_minute"
    CONCURRENT_ANSWERS = "concurrent_answers"
    TOKENS_PER_DAY = "tokens_per_day"
    BACKLOG = "backlog"


@dataclass(frozen=True, slots=True)
class Allowances:
    """Most of each thing, at least 1; None where there is no limit.

    `requests_per_minute` and `concurrent_answers` of a tier hold for each of its subjects: a tier
    is what a token says of its holder, and one runaway script must not use up what a colleague
    has. Set for a tenant, they hold for all its subjects together: that is what was agreed with
    the organisation, however many people and services it has, and it takes the place of the
    tier's. `tokens_per_day` (UTC) and `backlog`, in documents, always hold for the tenant: it pays
    for the tokens, and its documents have no other owner.
    """

    requests_per_minute: int | None = None
    concurrent_answers: int | None = None
    tokens_per_day: int | None = None
    backlog: int | None = None
    requests_of_tenant: bool = False
    answers_of_tenant: bool = False

    def __post_init__(self) -> None:
        for limit in Limit:
            value = getattr(self, limit)
            if value is not None and value < 1:
                raise ValueError(f"{limit} must be at least 1")

    def overridden_by(self, tenant: Allowances) -> Allowances:
        """What holds in a tenant that has limits of its own; its None leaves the tier's."""
        own = {
            limit.value: value for limit in Limit if (value := getattr(tenant, limit)) is not None
        }
        return dataclasses.replace(
            self,
            **own,
            requests_of_tenant=Limit.REQUESTS_PER_MINUTE in own or self.requests_of_tenant,
            answers_of_tenant=Limit.CONCURRENT_ANSWERS in own or self.answers_of_tenant,
        )


UNLIMITED = Allowances()
