"""What holds for every method of the contract, taken from its descriptors."""

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor import MethodDescriptor
from grpc_health.v1.health_pb2 import DESCRIPTOR as HEALTH

from forebay.policy.v1 import Scope, method
from forebay_server.composition import QUERY_SERVICE, SERVICES
from forebay_server.errors import scope_word
from forebay_server.governance.authorisation import MethodPolicies, MethodWithoutPolicy, method_path
from forebay_server.rpc.handlers import MethodWithoutImplementation, service_handlers

from .calls import bearer, reason_of, status_of
from .conftest import Installation

METHODS = [served for service in SERVICES for served in service.methods]
SCOPED = [served for served in METHODS if served.GetOptions().Extensions[method].scope]
Metadata = tuple[tuple[str, str], ...]


async def refusal(
    channel: grpc.aio.Channel, path: str, metadata: Metadata, body: bytes = b""
) -> tuple[grpc.StatusCode, str]:
    # On the wire a unary call is a stream of one message: one kind of stub serves all methods.
    call = channel.stream_stream(path)(iter([body]), metadata=metadata)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        async for _ in call:
            pass
    return refused.value.code(), reason_of(status_of(refused.value))


def named(served: MethodDescriptor) -> str:
    return str(served.name)


@pytest.mark.parametrize("served", METHODS, ids=named)
async def test_no_method_runs_without_a_token(
    channel: grpc.aio.Channel, served: MethodDescriptor
) -> None:
    assert await refusal(channel, method_path(served), ()) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "TOKEN_MISSING",
    )


@pytest.mark.parametrize("served", SCOPED, ids=named)
async def test_a_method_runs_with_its_scope_alone(
    channel: grpc.aio.Channel, installation: Installation, served: MethodDescriptor
) -> None:
    needed = served.GetOptions().Extensions[method].scope
    others = " ".join(scope_word(scope) for scope in Scope.values() if scope not in (0, needed))
    metadata = bearer(installation.token(scope=others))
    assert await refusal(channel, method_path(served), metadata) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "SCOPE_MISSING",
    )


@pytest.mark.parametrize("served", METHODS, ids=named)
async def test_bytes_that_are_no_request_are_refused(
    channel: grpc.aio.Channel, installation: Installation, served: MethodDescriptor
) -> None:
    every = " ".join(scope_word(scope) for scope in Scope.values() if scope)
    metadata = bearer(installation.token(scope=every))
    assert await refusal(channel, method_path(served), metadata, b"\xff") == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "FIELD_INVALID",
    )


@pytest.mark.parametrize(
    "path", ["/forebay.query.v1.QueryService/Guess", "/forebay.query.v9.Other/Ask"]
)
async def test_a_method_that_is_not_there_is_unknown(channel: grpc.aio.Channel, path: str) -> None:
    assert await refusal(channel, path, ()) == (grpc.StatusCode.UNIMPLEMENTED, "METHOD_UNKNOWN")


async def test_two_tokens_on_one_call_are_refused(
    channel: grpc.aio.Channel, installation: Installation
) -> None:
    metadata = (*bearer(installation.token()), *bearer(installation.token(tenant="globex")))
    path = "/forebay.query.v1.QueryService/GetCaller"
    assert await refusal(channel, path, metadata) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "TOKEN_INVALID",
    )


def test_a_method_without_a_policy_is_refused_at_start() -> None:
    with pytest.raises(MethodWithoutPolicy, match=r"grpc\.health\.v1\.Health\.Check"):
        MethodPolicies(HEALTH.services_by_name.values())


def test_a_method_without_an_implementation_is_refused_at_start() -> None:
    with pytest.raises(MethodWithoutImplementation, match="submit_query"):
        service_handlers(QUERY_SERVICE, object(), None)  # type: ignore[arg-type]
