"""Questions that the pipeline is too far behind to answer in time."""

import time

import grpc
import pytest

from forebay.client import PipelineOverloaded, ResourceExhausted, RetryPolicy
from forebay.errors.v1 import ErrorReason
from forebay.query.v1 import Query

from .driver import Driver
from .events import WHOLE
from .peer import Behaviour, Peer, play, refuse, reply, status

METHODS = pytest.mark.parametrize(("method", "rpc"), [("submit", "SubmitQuery"), ("ask", "Ask")])


def overloaded(retry_after: float | None) -> Behaviour:
    return refuse(
        status(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "PIPELINE_OVERLOADED",
            "the stages are 60 s behind",
            retry_after=retry_after,
            expected_wait="60s",
            timeout="1.500s",
        )
    )


async def question(driver: Driver, method: str) -> None:
    if method == "submit":
        await driver.call("submit", "why?", timeout=1.5)
    else:
        await driver.collect("ask", "why?", timeout=1.5)


@METHODS
async def test_a_refused_question_is_asked_again_when_the_server_would_have_it(
    peer: Peer, driver: Driver, method: str, rpc: str
) -> None:
    taken = reply(Query(name="queries/q1")) if method == "submit" else play(*WHOLE)
    peer.on(rpc, overloaded(0.2), overloaded(0.1), taken)
    started = time.monotonic()
    await question(driver, method)
    assert time.monotonic() - started >= 0.3
    questions = [getattr(each, "query", each) for each in peer.requests(rpc)]
    assert len(questions) == 3
    assert len({each.request_id for each in questions}) == 1


@METHODS
async def test_a_delay_beyond_patience_is_an_error_at_once_that_says_how_far_behind_they_are(
    peer: Peer, driver: Driver, method: str, rpc: str
) -> None:
    peer.on(rpc, overloaded(60))
    with pytest.raises(PipelineOverloaded, match="60 s behind") as caught:
        await question(driver, method)
    assert isinstance(caught.value, ResourceExhausted)
    assert caught.value.reason == ErrorReason.ERROR_REASON_PIPELINE_OVERLOADED
    assert caught.value.expected_wait == 60
    assert caught.value.query_timeout == 1.5
    assert caught.value.retry_delay == 60
    assert len(peer.calls) == 1


@METHODS
async def test_patience_with_an_overloaded_pipeline_ends(
    peer: Peer, driver_class: type[Driver], method: str, rpc: str
) -> None:
    driver = driver_class(peer.target, retry=RetryPolicy(0.005, 0.05, patience=0.5))
    peer.on(rpc, overloaded(0.1))
    started = time.monotonic()
    try:
        with pytest.raises(PipelineOverloaded):
            await question(driver, method)
    finally:
        await driver.close()
    assert time.monotonic() - started < 2
    assert 3 <= len(peer.calls) <= 6


@METHODS
async def test_without_a_time_to_retry_a_refusal_is_final(
    peer: Peer, driver: Driver, method: str, rpc: str
) -> None:
    peer.on(rpc, overloaded(None))
    with pytest.raises(PipelineOverloaded) as caught:
        await question(driver, method)
    assert caught.value.retry_delay is None
    assert len(peer.calls) == 1


@pytest.mark.parametrize("wait", ["", "soon", "5"])
async def test_a_wait_that_is_no_duration_is_not_known(
    peer: Peer, driver: Driver, wait: str
) -> None:
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    peer.on("SubmitQuery", refuse(status(code, "PIPELINE_OVERLOADED", expected_wait=wait)))
    with pytest.raises(PipelineOverloaded) as caught:
        await question(driver, "submit")
    assert caught.value.expected_wait is None
    assert caught.value.query_timeout is None
