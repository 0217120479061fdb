"""What holds for every method of the contract, over every transport, by its descriptors.

A method that the contract gains is tested here by existing.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from itertools import product
from typing import Any

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from grpc_health.v1.health_pb2 import DESCRIPTOR as HEALTH

from forebay.errors.v1 import ErrorReason
from forebay.policy.v1 import Scope, method
from forebay.records.v1 import AuditRecord
from forebay_kafka.identity import Identity
from forebay_server.audit.activity import NOBODY
from forebay_server.composition import QUERY_SERVICE, SERVICES
from forebay_server.errors import scope_word
from forebay_server.governance.authorisation import MethodPolicies, MethodWithoutPolicy, method_path
from forebay_server.governance.caller import Call
from forebay_server.http.bindings import Binding, bindings_of
from forebay_server.rpc.handlers import MethodWithoutImplementation, service_handlers

from .both_wires import Headers, Refusal, empty, over_grpc, over_http
from .calls import reason_of, status_of
from .conftest import POLICY
from .http_edge import HttpEdge
from .judging import KEY
from .keys import token
from .token_defects import DEFECTS, KEYS, Defect
from .without_log import both_transports

METHODS = [served for service in SERVICES for served in service.methods]
SCOPED = [served for served in METHODS if served.GetOptions().Extensions[method].scope]
EVERY = " ".join(scope_word(scope) for scope in Scope.values() if scope)
BINDINGS = bindings_of(dict.fromkeys(SERVICES, None))
# Those that can stand in a header at all: line breaks and some letters cannot.
TRAVELLERS = [each for each in DEFECTS if each.token.isascii() and each.token.isprintable()]
Wire = MethodDescriptor | Binding
RESERVED = ("forebay-identity", "forebay-", "forebay_tenant", "grpc-metadata-forebay-tier")
one_edge = pytest.mark.asyncio(loop_scope="module")


class Unreachable:
    """A service that no call of this module gets to."""

    def __getattr__(self, name: str) -> Any:
        async def reached(_: Call, request: object) -> AsyncGenerator[Message]:
            if isinstance(request, AsyncIterator):
                async for _ in request:  # a client's stream is judged while it is read
                    pass
            raise AssertionError(name)
            yield

        return reached


Told = tuple[AuditRecord, Identity]


@pytest.fixture(scope="module")
def audit() -> list[Told]:
    """What the edge told the audit."""
    return []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(audit: list[Told]) -> AsyncIterator[HttpEdge]:
    def write(record: AuditRecord, who: Identity, _trace_parent: bytes | None) -> None:
        audit.append((record, who))

    async with both_transports(Unreachable(), POLICY, KEYS, audit=write) as built:
        yield built


def wires(methods: list[MethodDescriptor]) -> list[Wire]:
    """Every method over gRPC, and every one of its bindings over HTTP."""
    return [*methods, *(binding for binding in BINDINGS if binding.method in methods)]


def named(wire: Wire) -> str:
    return f"http-{wire.operation_id}" if isinstance(wire, Binding) else f"grpc-{wire.name}"


def served_by(wire: Wire) -> MethodDescriptor:
    return wire.method if isinstance(wire, Binding) else wire


async def refusal(
    edge: HttpEdge, wire: Wire, *authorization: str, more: Headers | None = None
) -> Refusal:
    headers: Headers = [*(("authorization", value) for value in authorization), *(more or ())]
    message = empty(served_by(wire))
    if isinstance(wire, Binding):
        return await over_http(edge, wire, message, headers)
    return await over_grpc(edge, wire, message, headers)


def test_every_method_but_those_that_clients_stream_to_is_served_over_http() -> None:
    over_http_too = {binding.method.full_name for binding in BINDINGS}
    unary = {each.full_name for each in METHODS if not each.client_streaming}
    assert over_http_too == unary


async def require_refusals(edge: HttpEdge, wire: Wire, defects: Iterable[Defect]) -> None:
    for defect in defects:
        told = await refusal(edge, wire, f"Bearer {defect.token}")
        assert (told.status, told.body["code"], told.reason) == (401, 16, "TOKEN_INVALID")
        assert told.metadata == {"rule": defect.rule}, defect.name


@one_edge
@pytest.mark.parametrize("wire", wires(METHODS), ids=named)
async def test_no_token_that_breaks_a_rule_calls_a_method(edge: HttpEdge, wire: Wire) -> None:
    one_per_rule = {defect.rule: defect for defect in TRAVELLERS}
    assert len(one_per_rule) == len({defect.rule for defect in DEFECTS})
    await require_refusals(edge, wire, one_per_rule.values())


@one_edge
@pytest.mark.parametrize("wire", wires(METHODS), ids=named)
async def test_every_method_tells_the_audit_of_a_refusal(
    edge: HttpEdge, audit: list[Told], wire: Wire
) -> None:
    audit.clear()
    await refusal(edge, wire)
    [(record, who)] = audit
    over_http_too = isinstance(wire, Binding)
    transport = AuditRecord.TRANSPORT_HTTP if over_http_too else AuditRecord.TRANSPORT_GRPC
    assert (record.method, record.transport) == (method_path(served_by(wire)), transport)
    assert record.outcome == AuditRecord.OUTCOME_DENIED
    assert record.reason == ErrorReason.ERROR_REASON_TOKEN_MISSING
    assert who == NOBODY


@one_edge
@pytest.mark.parametrize("wire", wires(METHODS[:1]), ids=named)
async def test_no_token_with_any_defect_calls_a_method(edge: HttpEdge, wire: Wire) -> None:
    await require_refusals(edge, wire, TRAVELLERS)


GOOD, OTHER = token(KEY, scope=EVERY), token(KEY, scope=EVERY, tenant="globex")
AUTHORIZATIONS: dict[str, tuple[tuple[str, ...], tuple[int, str, dict[str, str]]]] = {
    "none": ((), (401, "TOKEN_MISSING", {})),
    "empty": (("",), (401, "TOKEN_MISSING", {})),
    "a scheme alone": (("Bearer",), (401, "TOKEN_MISSING", {})),
    "another scheme": (("Basic eDp5",), (401, "TOKEN_MISSING", {})),
    "no scheme": ((GOOD,), (401, "TOKEN_MISSING", {})),
    "two tokens in one": ((f"Bearer {GOOD},Bearer {OTHER}",), (401, "TOKEN_INVALID", {})),
    "two headers": ((f"Bearer {GOOD}", f"Bearer {OTHER}"), (401, "TOKEN_INVALID", {})),
    "the same twice": ((f"Bearer {GOOD}", f"Bearer {GOOD}"), (401, "TOKEN_INVALID", {})),
    "a good one first": ((f"Bearer {GOOD}", "Basic eDp5"), (401, "TOKEN_INVALID", {})),
    "expired": ((f"Bearer {token(KEY, exp=1, iat=0)}",), (401, "TOKEN_EXPIRED", {})),
    "an unknown tier": (
        (f"Bearer {token(KEY, tier='gold')}",),
        (403, "TIER_UNKNOWN", {"tier": "gold"}),
    ),
}


@one_edge
@pytest.mark.parametrize("wire", wires(METHODS), ids=named)
async def test_no_method_runs_without_exactly_one_good_token(edge: HttpEdge, wire: Wire) -> None:
    for values, (status, reason, metadata) in AUTHORIZATIONS.values():
        told = await refusal(edge, wire, *values)
        assert (told.status, told.reason) == (status, reason)
        assert metadata.items() <= told.metadata.items()


@one_edge
@pytest.mark.parametrize("wire", wires(SCOPED), ids=named)
async def test_a_method_runs_with_its_scope_alone(edge: HttpEdge, wire: Wire) -> None:
    needed = served_by(wire).GetOptions().Extensions[method].scope
    others = " ".join(scope_word(scope) for scope in Scope.values() if scope not in (0, needed))
    told = await refusal(edge, wire, f"Bearer {token(KEY, scope=others)}")
    assert (told.status, told.reason) == (403, "SCOPE_MISSING")
    assert told.metadata == {"scope": scope_word(needed)}


@one_edge
@pytest.mark.parametrize("wire", wires(METHODS), ids=named)
async def test_no_method_takes_metadata_of_a_reserved_name(edge: HttpEdge, wire: Wire) -> None:
    for name in RESERVED:
        told = await refusal(edge, wire, f"Bearer {GOOD}", more=[(name, "acme")])
        assert (told.status, told.reason) == (400, "FIELD_INVALID")
        assert told.metadata == {"field": name, "rule": "metadata.reserved"}
        stranger = await refusal(edge, wire, more=[(name, "acme")])
        assert (stranger.status, stranger.reason) == (401, "TOKEN_MISSING")


@one_edge
@pytest.mark.parametrize("served", METHODS, ids=lambda served: str(served.name))
async def test_both_transports_say_the_same_to_the_last_detail(
    edge: HttpEdge, served: MethodDescriptor
) -> None:
    bindings = [binding for binding in BINDINGS if binding.method == served]
    for values, binding in product([each for each, _ in AUTHORIZATIONS.values()], bindings):
        assert await refusal(edge, binding, *values) == await refusal(edge, served, *values)


@one_edge
@pytest.mark.parametrize("served", METHODS, ids=lambda served: str(served.name))
async def test_bytes_that_are_no_request_are_refused(
    edge: HttpEdge, served: MethodDescriptor
) -> None:
    metadata = (("authorization", f"Bearer {GOOD}"),)
    assert await ended(edge, method_path(served), metadata, b"\xff") == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "FIELD_INVALID",
    )


@one_edge
@pytest.mark.parametrize(
    "path", ["/forebay.query.v1.QueryService/Guess", "/forebay.query.v9.Other/Ask"]
)
async def test_a_method_that_is_not_there_is_unknown(edge: HttpEdge, path: str) -> None:
    assert await ended(edge, path, ()) == (grpc.StatusCode.UNIMPLEMENTED, "METHOD_UNKNOWN")


async def ended(
    edge: HttpEdge, path: str, metadata: tuple[tuple[str, str], ...], body: bytes = b""
) -> tuple[grpc.StatusCode, str]:
    call = edge.channel.stream_stream(path)(iter([body]), metadata=metadata)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        async for _ in call:
            pass
    return refused.value.code(), reason_of(status_of(refused.value))


def test_a_method_without_a_policy_is_refused_at_start() -> None:
    with pytest.raises(MethodWithoutPolicy, match=r"grpc\.health\.v1\.Health\.Check"):
        MethodPolicies(HEALTH.services_by_name.values())


def test_a_method_without_an_implementation_is_refused_at_start() -> None:
    with pytest.raises(MethodWithoutImplementation, match="submit_query"):
        service_handlers(QUERY_SERVICE, object(), None)  # type: ignore[arg-type]
