"""The ordered chain that every call goes through, whatever transport it came by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from google.protobuf.message import Message

from forebay.records.v1 import AuditRecord
from forebay_server.audit.activity import Activity, Write
from forebay_server.errors import TokenInvalid
from forebay_server.governance.authorisation import MethodPolicies
from forebay_server.governance.caller import Caller
from forebay_server.governance.policy import PolicyInForce
from forebay_server.governance.tokens import TokenAuthenticator
from forebay_server.governance.validation import RequestValidator
from forebay_server.limits.limiter import Limiter


class Chain:
    """Authenticate, authorise, limit, validate: in this order, so that strangers learn nothing.

    Whoever brings a call here follows it until it is over: every exit is told to the audit.
    """

    def __init__(
        self,
        authenticator: TokenAuthenticator,
        policy: PolicyInForce,
        methods: MethodPolicies,
        validator: RequestValidator,
        limiter: Limiter,
        audit: Write,
    ) -> None:
        self._authenticator = authenticator
        self._policy = policy
        self._methods = methods
        self._validator = validator
        self._limiter = limiter
        self._audit = audit

    def following(
        self, path: str, transport: AuditRecord.Transport.ValueType, trace_parent: bytes | None
    ) -> Activity:
        """A call of the method at `/package.Service/Method`; enter it before `admit`.

        An empty path is that of a method that nobody has.
        """
        return Activity(path, transport, trace_parent, self._audit)

    async def admit(self, activity: Activity, authorization: Sequence[str]) -> Caller:
        """The caller of the activity's method, if it may call it.

        `authorization` holds the values of all headers of that name. Raises TokenMissing,
        TokenInvalid, TokenExpired, IssuerUnavailable, TierUnknown, ScopeMissing, LimitReached or
        LimitsUnavailable.
        """
        if len(authorization) > 1:
            # Proxies and servers disagree on which of two counts.
            raise TokenInvalid("single")
        token = await self._authenticator.authenticate(next(iter(authorization), None))
        principal = activity.principal = token.principal
        policy = self._policy.current
        activity.policy_version = policy.version
        tier = policy.tier(principal.tenant, principal.tier)
        self._methods.authorise(activity.method, principal.scopes)
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
        left = await self._limiter.admit(caller, activity.method)
        activity.admitted = True
        return caller if left is None else replace(caller, requests_left=left)

    def validate(self, message: Message) -> None:
        """Raise FieldInvalid or DocumentTooLarge for a request that breaks the contract's rules."""
        self._validator.validate(message)
