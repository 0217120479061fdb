"""One call, as the audit tells it when it is over."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeAlias
from uuid import uuid4

from google.protobuf.message import Message
from google.rpc.code_pb2 import Code

from forebay.errors.v1 import ErrorReason
from forebay.policy.v1 import Visibility
from forebay.records.v1 import AuditRecord
from forebay_kafka.identity import GenerationLimits, Identity
from forebay_server.audit.disclosure import Disclosure
from forebay_server.governance.claims import Principal

# Whoever is not proven to be somebody. What an audit needs not know stays out of its envelope:
# groups and limits alone can take 16 KiB.
NOBODY = Identity(
    issuer="",
    tenant="",
    subject="",
    tier="",
    clearance=Visibility.VISIBILITY_UNSPECIFIED,
    groups=(),
    limits=GenerationLimits("", 0, 0),
    policy_version="",
)
# The contract lets any text ask for a query; in the audit stands nothing but what could be a name.
RESOURCE = re.compile(
    r"queries/[0-9a-v]{61}|collections/[a-z0-9-]{1,63}(/documents/[a-z0-9-]{1,63})?", re.ASCII
)
# A look-up in an enumeration of protobuf takes 1 us, and every call would make five.
OK, CANCELLED = Code.OK, Code.CANCELLED
NO_REASON = ErrorReason.ERROR_REASON_UNSPECIFIED
FAILURES = frozenset(
    {Code.INTERNAL, Code.UNKNOWN, Code.UNAVAILABLE, Code.DATA_LOSS, Code.DEADLINE_EXCEEDED}
)

Write: TypeAlias = Callable[[AuditRecord, Identity, bytes | None], None]
"""Takes a record, who called, and the client's trace context; never waits."""


def unheard(_record: AuditRecord, _who: Identity, _trace_parent: bytes | None) -> None:
    """Forget it: for calls that are no client's."""


class Activity:
    """Gathers what is known of one call, and writes it when the call ends.

    `with Activity(…) as activity: …`; an error that leaves the body is the call's, unless `error`
    was set before. `method` is `/package.Service/Method`. Who serves the call tells it what it
    finds out: `principal` as soon as a token proves one, `policy_version` and `admitted` by the
    chain, `resource` from a valid request, `hung_up` where the client is gone, and `logged` where
    a record of the log tells of the call, so that nothing more needs to be said of its success.
    """

    def __init__(
        self,
        method: str = "",
        transport: AuditRecord.Transport.ValueType = AuditRecord.TRANSPORT_UNSPECIFIED,
        trace_parent: bytes | None = None,
        write: Write = unheard,
    ) -> None:
        self.method = method
        self.trace_parent = trace_parent
        self.principal: Principal | None = None
        self.policy_version = ""
        self.admitted = False
        self.resource = ""
        self.logged = False
        self.hung_up = False
        self.error: Exception | None = None
        self.disclosure = Disclosure()
        self._transport = transport
        self._write = write

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Write how the call ended."""
        code, reason = self._end(self.error or error)
        delivery = self.disclosure.message()
        told = self.logged and delivery is None
        if not (told and code in (OK, CANCELLED)):
            self._tell(code, reason, self.resource, delivery)

    def concern(self, request: Message) -> None:
        """Note what a valid request is about."""
        self.resource = resource_of(request)

    def refuse(self, error: Exception, resource: str = "") -> None:
        """Write that a part of the call failed, or one that nobody serves."""
        self._tell(*_code_and_reason(error), resource, None)

    def _end(self, error: BaseException | None) -> tuple[int, ErrorReason.ValueType]:
        if self.hung_up or (error is not None and not isinstance(error, Exception)):
            return CANCELLED, NO_REASON
        if error is not None:
            return _code_and_reason(error)
        return OK, NO_REASON

    def _tell(
        self,
        code: int,
        reason: ErrorReason.ValueType,
        resource: str,
        delivery: AuditRecord.Delivery | None,
    ) -> None:
        record = AuditRecord(
            name=f"audit-records/{uuid4().hex}",
            method=self.method,
            resource=resource,
            transport=self._transport,
            outcome=self._outcome(code),
            code=code,
            reason=reason,
            delivery=delivery,
            count=1,
        )
        record.time.GetCurrentTime()
        self._write(record, self._who(), self.trace_parent)

    def _outcome(self, code: int) -> AuditRecord.Outcome.ValueType:
        if code == OK or (code == CANCELLED and self.admitted):
            return AuditRecord.OUTCOME_ALLOWED
        failed = code in FAILURES or code == CANCELLED
        return AuditRecord.OUTCOME_FAILED if failed else AuditRecord.OUTCOME_DENIED

    def _who(self) -> Identity:
        if self.principal is None:
            return NOBODY
        return Identity(
            issuer=self.principal.issuer,
            tenant=self.principal.tenant,
            subject=self.principal.subject,
            tier=self.principal.tier,
            clearance=NOBODY.clearance,
            groups=NOBODY.groups,
            limits=NOBODY.limits,
            policy_version=self.policy_version,
            actor=self.principal.actor,
        )


def resource_of(request: Message) -> str:
    """The query, document or collection that a valid request names; empty for none."""
    named = _named(request)
    return named if RESOURCE.fullmatch(named) else ""


def _named(request: Any) -> str:  # noqa: ANN401 a request of any method
    fields = request.DESCRIPTOR.fields_by_name
    if "document_id" in fields:
        return f"{request.parent}/documents/{request.document_id}"
    if "document" in fields:
        return str(request.document.name)
    field = next((each for each in ("name", "parent") if each in fields), None)
    return str(getattr(request, field)) if field else ""


def _code_and_reason(error: BaseException) -> tuple[int, ErrorReason.ValueType]:
    """As clients see them: what does not explain itself is INTERNAL."""
    code, reason = getattr(error, "code", None), getattr(error, "reason", None)
    if not isinstance(code, int) or not isinstance(reason, int):
        return Code.INTERNAL, ErrorReason.ERROR_REASON_INTERNAL
    return code, ErrorReason.ValueType(reason)
