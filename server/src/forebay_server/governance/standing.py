"""What a caller may still do while its stream runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from forebay.policy.v1 import Visibility
from forebay_kafka.identity import Grant
from forebay_server.clock import Clock, system_clock
from forebay_server.errors import (
    ClearanceTooLow,
    EdgeError,
    ScopeMissing,
    TokenExpired,
    TokenInvalid,
)
from forebay_server.governance.caller import Caller
from forebay_server.governance.claims import withheld
from forebay_server.governance.issuers import Issuer
from forebay_server.governance.policy import PolicyInForce

STANDING_SECONDS = 1.0  # a lost right ends a silent stream within this, and within the file watch


@dataclass(frozen=True, slots=True)
class Rights:
    """What somebody may read just now: up to a clearance, for its groups, and what is shared."""

    clearance: Visibility.ValueType
    grants: tuple[Grant, ...] = ()
    groups: tuple[str, ...] = ()


class IssuersInForce(Protocol):
    """Whoever knows the issuers that count now."""

    @property
    def current(self) -> Sequence[Issuer]:
        """The issuers of this moment."""
        ...


class Standing:
    """Judges callers that were admitted before by the policy and the issuers of this moment."""

    def __init__(
        self, policy: PolicyInForce, issuers: IssuersInForce, clock: Clock = system_clock
    ) -> None:
        self._policy = policy
        self._issuers = issuers
        self._clock = clock

    def rights(self, caller: Caller) -> Rights:
        """What it may read now.

        Raises TierUnknown, and TokenInvalid when its issuer may not speak for its tenant any more.
        """
        if not self._issuer(caller).speaks_for(caller.tenant):
            raise TokenInvalid("tenant")
        policy = self._policy.current
        clearance = policy.tier(caller.tenant, caller.tier).clearance
        return Rights(clearance, policy.grants(caller.tenant), caller.groups)

    def require(self, caller: Caller) -> None:
        """Raise unless the caller may still do all that it was admitted with.

        TokenExpired, ClearanceTooLow, ScopeMissing, or what `rights` raises.
        """
        if self._clock() >= caller.expire_time:
            raise TokenExpired
        clearance = self.rights(caller).clearance
        if clearance < caller.clearance:
            raise ClearanceTooLow(clearance, caller.clearance)
        for scope in sorted(caller.scopes & withheld(self._issuer(caller))):
            raise ScopeMissing(scope)

    @asynccontextmanager
    async def kept(self, caller: Caller) -> AsyncIterator[None]:
        """Interrupt the block by what `require` raises, within STANDING_SECONDS of its loss.

        Not for a generator that yields in it: the interruption would hit whoever runs then.
        """
        # As in Drain: the one way to interrupt a body and to tell it from a cancelled call.
        interruption = asyncio.timeout(None)
        watching: asyncio.Task[EdgeError] | None = None
        try:
            async with interruption:
                watching = asyncio.create_task(self._lost(caller, interruption))
                yield
        except TimeoutError:
            if watching is not None and interruption.expired():
                raise await watching from None
            raise
        finally:
            if watching is not None:
                watching.cancel()

    async def pause(self, caller: Caller, seconds: float) -> None:
        """Sleep; ends early by what `require` raises."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while (left := end - loop.time()) > 0:
            await asyncio.sleep(min(left, self._next_look(caller)))
            self.require(caller)

    async def _lost(self, caller: Caller, interruption: asyncio.Timeout) -> EdgeError:
        while True:
            try:
                self.require(caller)
            except EdgeError as error:
                interruption.reschedule(asyncio.get_running_loop().time())
                return error
            await asyncio.sleep(self._next_look(caller))

    def _next_look(self, caller: Caller) -> float:
        return max(0.0, min(STANDING_SECONDS, caller.expire_time - self._clock()))

    def _issuer(self, caller: Caller) -> Issuer:
        for issuer in self._issuers.current:
            if issuer.issuer == caller.issuer:
                return issuer
        raise TokenInvalid("issuer")
