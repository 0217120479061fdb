import asyncio
import signal
import sys
import time
from itertools import count
from typing import Any

import grpc
import pytest

from forebay.client import (
    Client,
    DeadlineExceeded,
    ForebayError,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    RetryPolicy,
    Unauthenticated,
    Unavailable,
)
from forebay.errors.v1 import ErrorReason
from forebay.query.v1 import Caller, Query, SubmitQueryRequest

from .driver import Driver
from .peer import Peer, refuse, reply, status

ALICE = Caller(tenant="acme", subject="alice")
EXPIRED = status(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")
LOG_AWAY = status(grpc.StatusCode.UNAVAILABLE, "LOG_UNAVAILABLE", retry_after=0.02)


async def test_a_call_brings_its_token_and_returns_the_message(peer: Peer, driver: Driver) -> None:
    peer.on("GetCaller", reply(ALICE))
    assert await driver.call("caller") == ALICE
    assert peer.tokens("GetCaller") == ["secret"]


async def test_an_unavailable_server_is_tried_again_with_the_same_request_id(
    peer: Peer, driver: Driver
) -> None:
    peer.on("SubmitQuery", refuse(LOG_AWAY), refuse(LOG_AWAY), reply(Query(name="queries/q")))
    query = await driver.call("submit", "why?", mode=SubmitQueryRequest.MODE_RETRIEVE_ONLY)
    assert query.name == "queries/q"
    assert len(peer.requests("SubmitQuery")) == 3
    assert len({request.request_id for request in peer.requests("SubmitQuery")}) == 1


async def test_two_calls_have_two_request_ids(peer: Peer, driver: Driver) -> None:
    peer.on("SubmitQuery", reply(Query(name="queries/q")))
    await driver.call("submit", "why?")
    await driver.call("submit", "why?")
    first, second = (request.request_id for request in peer.requests("SubmitQuery"))
    assert first < second


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED])
async def test_the_delay_that_the_server_asks_for_is_kept(
    peer: Peer, driver: Driver, code: grpc.StatusCode
) -> None:
    peer.on("GetCaller", refuse(status(code, "LOG_UNAVAILABLE", retry_after=0.3)), reply(ALICE))
    started = time.monotonic()
    await driver.call("caller")
    assert time.monotonic() - started >= 0.3


async def test_a_delay_beyond_the_deadline_is_not_waited_for(
    peer: Peer, driver_class: type[Driver]
) -> None:
    driver = driver_class(peer.target, timeout=2)
    refusal = status(grpc.StatusCode.RESOURCE_EXHAUSTED, "", "30 a minute", retry_after=60)
    peer.on("GetCaller", refuse(refusal))
    try:
        with pytest.raises(ResourceExhausted, match="30 a minute") as caught:
            await driver.call("caller")
    finally:
        await driver.close()
    assert caught.value.retry_delay == 60
    assert len(peer.calls) == 1


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING", PermissionDenied),
        (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID", Unauthenticated),
        (grpc.StatusCode.NOT_FOUND, "QUERY_NOT_FOUND", NotFound),
        (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", InvalidArgument),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "", ResourceExhausted),
    ],
)
async def test_what_another_attempt_cannot_change_is_raised_at_once(
    peer: Peer, driver: Driver, code: grpc.StatusCode, reason: str, kind: type[ForebayError]
) -> None:
    peer.on("GetCaller", refuse(status(code, reason, "no", scope="ask")))
    with pytest.raises(kind, match="no") as caught:
        await driver.call("caller")
    assert caught.value.reason_name == reason
    assert caught.value.metadata == {"scope": "ask"}
    assert len(peer.calls) == 1


async def test_an_expired_token_is_fetched_anew_once(
    peer: Peer, driver_class: type[Driver]
) -> None:
    numbers = count(1)
    driver = driver_class(peer.target, lambda: f"token-{next(numbers)}")
    peer.on("GetCaller", refuse(EXPIRED), reply(ALICE))
    try:
        assert await driver.call("caller") == ALICE
        assert peer.tokens("GetCaller") == ["token-1", "token-2"]
        peer.on("GetCaller", refuse(EXPIRED))
        with pytest.raises(Unauthenticated):
            await driver.call("caller")
    finally:
        await driver.close()
    assert peer.tokens("GetCaller")[2:] == ["token-3", "token-4"]


async def test_an_error_of_the_token_callable_reaches_the_caller(
    peer: Peer, driver_class: type[Driver]
) -> None:
    def fetch() -> str:
        raise LookupError("the issuer is away")

    driver = driver_class(peer.target, fetch)
    try:
        with pytest.raises(LookupError, match="the issuer is away"):
            await driver.call("caller")
    finally:
        await driver.close()


@pytest.mark.parametrize("token", ["", "two words", "two\nlines", "s\u00e9cret"])
async def test_a_token_that_fits_no_header_is_refused_without_showing_it(
    peer: Peer, driver_class: type[Driver], token: str
) -> None:
    driver = driver_class(peer.target, token)
    try:
        with pytest.raises(Unauthenticated) as caught:
            await driver.call("caller")
    finally:
        await driver.close()
    assert not token or token not in str(caught.value)
    assert peer.calls == []


async def test_a_clock_that_is_off_stays_corrected(peer: Peer, driver: Driver) -> None:
    refusal = status(
        grpc.StatusCode.INVALID_ARGUMENT,
        "REQUEST_ID_OUT_OF_WINDOW",
        server_time="2020-01-01T00:00:00Z",
    )
    peer.on("SubmitQuery", refuse(refusal), reply(Query(name="queries/q")))
    await driver.call("submit", "why?")
    await driver.call("submit", "why?")
    first, second, third = (request.request_id for request in peer.requests("SubmitQuery"))
    assert second < third < first
    assert third.startswith("016f5e66-e")


async def test_a_request_id_of_the_caller_is_never_replaced(peer: Peer, driver: Driver) -> None:
    refusal = status(
        grpc.StatusCode.INVALID_ARGUMENT,
        "REQUEST_ID_OUT_OF_WINDOW",
        server_time="2020-01-01T00:00:00Z",
    )
    peer.on("SubmitQuery", refuse(refusal))
    mine = "01890000-0000-7000-8000-000000000000"
    with pytest.raises(InvalidArgument):
        await driver.call("submit", "why?", request_id=mine)
    assert [request.request_id for request in peer.requests("SubmitQuery")] == [mine]


async def test_no_server_at_all_ends_with_patience(
    driver_class: type[Driver], unused_tcp_port: int
) -> None:
    policy = RetryPolicy(first_delay=0.005, longest_delay=0.05, patience=0.3)
    driver = driver_class(f"127.0.0.1:{unused_tcp_port}", retry=policy)
    try:
        with pytest.raises(Unavailable) as caught:
            await driver.call("caller")
    finally:
        await driver.close()
    assert caught.value.reason == ErrorReason.ERROR_REASON_UNSPECIFIED


async def test_a_server_that_does_not_answer_ends_with_the_deadline(
    peer: Peer, driver_class: type[Driver]
) -> None:
    async def hang(_request: Any, _context: Any) -> None:
        await asyncio.Event().wait()

    driver = driver_class(peer.target, timeout=0.3)
    peer.on("GetCaller", hang)
    try:
        with pytest.raises(DeadlineExceeded):
            await driver.call("caller")
    finally:
        await driver.close()


async def test_a_reason_of_a_newer_server_is_still_an_error(peer: Peer, driver: Driver) -> None:
    peer.on("GetCaller", refuse(status(grpc.StatusCode.ABORTED, "NOT_KNOWN_YET", "later")))
    with pytest.raises(ForebayError, match="later") as caught:
        await driver.call("caller")
    assert caught.value.reason == ErrorReason.ERROR_REASON_UNSPECIFIED


INTERRUPTED = """
import sys
from forebay.client import Client
with Client(sys.argv[1], "secret") as client:
    try:
        client.caller()
    except KeyboardInterrupt:
        print(client.get_query("queries/q").name, flush=True)
"""


async def test_an_interrupt_ends_the_call_that_waits_and_no_other(peer: Peer) -> None:
    begun, left = asyncio.Event(), asyncio.Event()

    async def hang(_request: Any, context: Any) -> None:
        context.add_done_callback(lambda _: left.set())
        begun.set()
        await asyncio.Event().wait()

    async def after_that(_request: Any, _context: Any) -> Query:
        await left.wait()
        return Query(name="queries/q")

    peer.on("GetCaller", hang)
    peer.on("GetQuery", after_that)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", INTERRUPTED, peer.target), stdout=asyncio.subprocess.PIPE
    )
    await begun.wait()
    process.send_signal(signal.SIGINT)
    output, _ = await process.communicate()
    assert output == b"queries/q\n"


INTERRUPTED_ITERATION = """
import asyncio, os, signal
from forebay.client.portal import Portal

async def items():
    try:
        yield "first"
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0.05)

portal = Portal()
try:
    for item in portal.iterate(items()):
        print(item)
except KeyboardInterrupt:
    print("interrupted")
portal.close()
"""


async def test_an_interrupt_waits_until_what_it_interrupts_has_ended() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", INTERRUPTED_ITERATION),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert (output, errors) == (b"first\ninterrupted\n", b"")


async def test_closing_the_client_ends_a_call_that_waits(peer: Peer) -> None:
    begun, left = asyncio.Event(), asyncio.Event()

    async def hang(_request: Any, context: Any) -> None:
        context.add_done_callback(lambda _: left.set())
        begun.set()
        await asyncio.Event().wait()

    peer.on("GetCaller", hang)
    with Client(peer.target, "secret") as client:
        waiting = asyncio.create_task(asyncio.to_thread(client.caller))
        await begun.wait()
        await asyncio.to_thread(client.close)
        with pytest.raises(RuntimeError, match="closed"):
            await waiting
        with pytest.raises(RuntimeError, match="closed"):
            client.caller()
    await left.wait()
