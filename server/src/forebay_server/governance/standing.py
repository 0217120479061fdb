"""What a caller may still read while its stream runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from forebay.policy.v1 import Visibility
from forebay_server.errors import TokenInvalid
from forebay_server.governance.caller import Caller
from forebay_server.governance.issuers import Issuer
from forebay_server.governance.policy import PolicyInForce


class IssuersInForce(Protocol):
    """Whoever knows the issuers that count now."""

    @property
    def current(self) -> Sequence[Issuer]:
        """The issuers of this moment."""
        ...


class Standing:
    """Judges callers that were admitted before by the policy and the issuers of this moment."""

    def __init__(self, policy: PolicyInForce, issuers: IssuersInForce) -> None:
        self._policy = policy
        self._issuers = issuers

    def clearance(self, caller: Caller) -> Visibility.ValueType:
        """The widest visibility that it may read now.

        Raises TierUnknown, and TokenInvalid when its issuer may not speak for its tenant any more.
        """
        issuer = next(
            (each for each in self._issuers.current if each.issuer == caller.issuer), None
        )
        if issuer is None:
            raise TokenInvalid("issuer")
        if not issuer.speaks_for(caller.tenant):
            raise TokenInvalid("tenant")
        return self._policy.current.tier(caller.tenant, caller.tier).clearance
