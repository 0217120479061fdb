"""The ordered chain that every call goes through, whatever transport it came by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from google.protobuf.message import Message

from forebay_server.errors import TokenInvalid
from forebay_server.governance.authorisation import MethodPolicies
from forebay_server.governance.caller import Caller
from forebay_server.governance.policy import PolicyInForce
from forebay_server.governance.tokens import TokenAuthenticator
from forebay_server.governance.validation import RequestValidator
from forebay_server.limits.limiter import Limiter


class Chain:
    """Authenticate, authorise, limit, validate: in this order, so that strangers learn nothing."""

    def __init__(
        self,
        authenticator: TokenAuthenticator,
        policy: PolicyInForce,
        methods: MethodPolicies,
        validator: RequestValidator,
        limiter: Limiter,
    ) -> None:
        self._authenticator = authenticator
        self._policy = policy
        self._methods = methods
        self._validator = validator
        self._limiter = limiter

    async def admit(self, path: str, authorization: Sequence[str]) -> Caller:
        """The caller of the method at `/package.Service/Method`, if it may call it.

        `authorization` holds the values of all headers of that name. Raises TokenMissing,
        TokenInvalid, TokenExpired, IssuerUnavailable, TierUnknown, ScopeMissing, LimitReached or
        LimitsUnavailable.
        """
        if len(authorization) > 1:
            # Proxies and servers disagree on which of two counts.
            raise TokenInvalid("single")
        token = await self._authenticator.authenticate(next(iter(authorization), None))
        principal = token.principal
        policy = self._policy.current
        tier = policy.tier(principal.tenant, principal.tier)
        self._methods.authorise(path, principal.scopes)
        caller = Caller(
            issuer=principal.issuer,
            tenant=principal.tenant,
            subject=principal.subject,
            tier=principal.tier,
            clearance=tier.clearance,
            groups=principal.groups,
            scopes=principal.scopes,
            limits=tier.limits,
            expire_time=token.expire_time,
            policy_version=policy.version,
            actor=principal.actor,
            allowances=tier.allowances,
            grants=policy.grants(principal.tenant),
        )
        left = await self._limiter.admit(caller, path)
        return caller if left is None else replace(caller, requests_left=left)

    def validate(self, message: Message) -> None:
        """Raise FieldInvalid or DocumentTooLarge for a request that breaks the contract's rules."""
        self._validator.validate(message)
