import asyncio
from datetime import datetime, timedelta
from typing import Any

import grpc
import pytest

from forebay.client import (
    InvalidArgument,
    PermissionDenied,
    RetryPolicy,
    Unavailable,
    pipeline_watch,
)
from forebay.errors.v1 import ErrorReason
from forebay.pipeline.v1 import (
    DeadLetterFilter,
    ListDeadLettersResponse,
    PurgeDeadLettersResponse,
    RedriveDeadLettersResponse,
)

from .driver import Driver
from .letters import NOON, letter, pipeline, timestamp
from .peer import Peer, play, refuse, reply, status

DRAINING = status(grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING", retry_after=0.01)
LOG_AWAY = status(grpc.StatusCode.UNAVAILABLE, "LOG_UNAVAILABLE", retry_after=0.01)
NO_SCOPE = status(grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING", "no scope", scope="operate")


async def test_the_status_of_the_pipeline_is_read(peer: Peer, driver: Driver) -> None:
    peer.on("GetPipelineStatus", refuse(DRAINING), reply(pipeline()))
    assert await driver.call("pipeline_status") == pipeline()


async def test_a_watch_goes_on_over_broken_ended_and_draining_streams(
    peer: Peer, driver: Driver
) -> None:
    statuses = [pipeline(lag) for lag in range(8)]
    peer.on(
        "WatchPipeline",
        play(*statuses[:2], None),
        play(*statuses[2:3]),
        play(),
        play(*statuses[3:5], DRAINING),
        play(None),
        play(*statuses[5:], asyncio.Event()),
    )
    assert await driver.take(8, "watch_pipeline", 1.5) == statuses
    assert {each.interval.ToMilliseconds() for each in peer.requests("WatchPipeline")} == {1500}


async def test_a_watch_that_is_closed_ends_its_call(peer: Peer, driver: Driver) -> None:
    left = asyncio.Event()

    async def hang(_request: Any, context: Any) -> None:
        context.add_done_callback(lambda _: left.set())
        await context.write(pipeline())
        await asyncio.Event().wait()

    peer.on("WatchPipeline", hang)
    assert await driver.first("watch_pipeline") == pipeline()
    await left.wait()
    assert len(peer.calls) == 1


async def test_a_watch_that_falls_silent_is_opened_again(
    peer: Peer, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline_watch, "_LATE_SECONDS", 0.1)
    silent = play(pipeline(1), asyncio.Event())
    peer.on("WatchPipeline", silent, play(pipeline(2), asyncio.Event()))
    assert await driver.take(2, "watch_pipeline", 0.1) == [pipeline(1), pipeline(2)]


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (NO_SCOPE, PermissionDenied),
        (status(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"), InvalidArgument),
    ],
)
async def test_a_watch_that_is_refused_raises_that(
    peer: Peer, driver: Driver, refusal: Any, kind: type[Exception]
) -> None:
    peer.on("WatchPipeline", refuse(refusal))
    with pytest.raises(kind):
        await driver.first("watch_pipeline")
    assert len(peer.calls) == 1


async def test_a_watch_without_a_server_ends_with_patience(
    driver_class: type[Driver], unused_tcp_port: int
) -> None:
    policy = RetryPolicy(0.005, 0.05, patience=0.3)
    driver = driver_class(f"127.0.0.1:{unused_tcp_port}", retry=policy)
    try:
        with pytest.raises(Unavailable):
            await driver.first("watch_pipeline")
    finally:
        await driver.close()


async def test_dead_letters_are_listed_over_all_pages(peer: Peer, driver: Driver) -> None:
    peer.on(
        "ListDeadLetters",
        reply(ListDeadLettersResponse(dead_letters=[letter("a")], next_page_token="more")),
        refuse(LOG_AWAY),
        reply(ListDeadLettersResponse(dead_letters=[letter("b")])),
    )
    letters = await driver.collect(
        "list_dead_letters",
        stage="chunking",
        reason="DOCUMENT_EMPTY",
        since=NOON - timedelta(hours=1),
        until=NOON,
        tenant="acme",
        include_content=True,
        page_size=1,
    )
    assert letters == [letter("a"), letter("b")]
    first, *later = peer.requests("ListDeadLetters")
    assert first.filter == DeadLetterFilter(
        stage="chunking",
        reason=ErrorReason.ERROR_REASON_DOCUMENT_EMPTY,
        start_time=timestamp(NOON - timedelta(hours=1)),
        end_time=timestamp(),
        tenant="acme",
    )
    assert (first.include_content, first.page_size, first.page_token) == (True, 1, "")
    assert [each.page_token for each in later] == ["more", "more"]
    assert {each.filter == first.filter for each in later} == {True}


async def test_a_list_without_a_filter_is_of_all_letters(peer: Peer, driver: Driver) -> None:
    peer.on("ListDeadLetters", reply(ListDeadLettersResponse(dead_letters=[letter()])))
    assert await driver.collect("list_dead_letters") == [letter()]
    assert peer.requests("ListDeadLetters")[0].filter == DeadLetterFilter()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"since": datetime(2026, 1, 31)}, "no time zone"),  # noqa: DTZ001 - that is the point
        ({"reason": "NO_SUCH_REASON"}, "NO_SUCH_REASON"),
    ],
)
async def test_a_filter_that_means_nothing_is_refused_here(
    peer: Peer, driver: Driver, options: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        await driver.collect("list_dead_letters", **options)
    assert peer.calls == []


async def test_records_go_back_by_name_at_a_rate(peer: Peer, driver: Driver) -> None:
    done = RedriveDeadLettersResponse(redriven_count=1, refused_count=1)
    peer.on("RedriveDeadLetters", refuse(LOG_AWAY), reply(done))
    names = ["deadLetters/a", "deadLetters/b"]
    assert await driver.call("redrive_dead_letters", names=names, rate=2.5) == done
    first, second = peer.requests("RedriveDeadLetters")
    assert first == second
    assert (first.names, first.rate, first.validate_only) == (names, 2.5, False)
    assert not first.HasField("filter")


@pytest.mark.parametrize("method", ["redrive_dead_letters", "purge_dead_letters"])
@pytest.mark.parametrize(
    ("selection", "names", "wanted"),
    [
        ({"every": True}, [], DeadLetterFilter()),
        ({"stage": "chunking"}, [], DeadLetterFilter(stage="chunking")),
        ({"names": ["deadLetters/a"]}, ["deadLetters/a"], None),
        (
            {"names": ["deadLetters/a"], "tenant": "acme"},
            ["deadLetters/a"],
            DeadLetterFilter(tenant="acme"),
        ),
    ],
)
async def test_a_decision_is_about_what_was_selected(
    peer: Peer,
    driver: Driver,
    method: str,
    selection: dict[str, Any],
    names: list[str],
    wanted: DeadLetterFilter | None,
) -> None:
    peer.on("RedriveDeadLetters", reply(RedriveDeadLettersResponse(redriven_count=2)))
    peer.on("PurgeDeadLetters", reply(PurgeDeadLettersResponse(purged_count=2)))
    await driver.call(method, validate_only=True, **selection)
    request = peer.calls[0].request
    assert request.validate_only
    assert list(request.names) == names
    assert (request.filter if request.HasField("filter") else None) == wanted


@pytest.mark.parametrize("method", ["redrive_dead_letters", "purge_dead_letters"])
@pytest.mark.parametrize(
    "selection",
    [
        {},
        {"stage": "", "tenant": "", "since": None, "reason": None},
        {"every": True, "stage": "chunking"},
        {"every": True, "names": []},
    ],
)
async def test_no_decision_is_about_letters_that_nobody_selected(
    peer: Peer, driver: Driver, method: str, selection: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="dead letter"):
        await driver.call(method, **selection)
    assert peer.calls == []


async def test_no_name_selects_nothing_whatever_the_filter_says(peer: Peer, driver: Driver) -> None:
    """A program that found nothing to purge must not purge a whole stage."""
    purged = await driver.call("purge_dead_letters", names=[], stage="chunking")
    redriven = await driver.call("redrive_dead_letters", names=[], stage="chunking")
    assert (purged.purged_count, redriven.redriven_count) == (0, 0)
    assert peer.calls == []
