import asyncio
import json
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from forebay.errors.v1 import ErrorReason
from forebay.pipeline.v1 import (
    DeadLetter,
    ListDeadLettersResponse,
    PurgeDeadLettersResponse,
    RedriveDeadLettersResponse,
)

from .command import HOSTILE, Command
from .driver import TOKEN
from .letters import NOON, letter, pipeline, timestamp
from .peer import Peer, play, refuse, reply, status
from .terminal import on_terminal

NO_SCOPE = status(grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING", "the method needs `operate`")


def rows(output: str) -> list[list[str]]:
    return [line.split() for line in output.splitlines()]


async def test_one_status_is_a_table_with_a_line_for_each_stage(
    peer: Peer, forebay: Command
) -> None:
    peer.on("GetPipelineStatus", reply(pipeline()))
    result = await forebay("pipeline", "--once")
    assert result.exit_code == 0, result.output
    heading, embedding, retrieval = rows(result.stdout)
    assert " ".join(heading) == (
        "TIME STAGE STATE WORKERS LAG RATE/S OLDEST IN-FLIGHT RETRIES PENDING DEAD-LETTERS"
    )
    at = "2026-01-31T12:00:00Z"
    assert embedding == [
        at,
        "embedding",
        "THROTTLED",
        "2",
        "12",
        "3.2",
        "3m20s",
        "8",
        "7",
        "4",
        "1",
    ]
    assert retrieval == [at, "retrieval", "ABSENT", "0", "0", "0.0", "-", "0", "0", "0", "0"]


async def test_statuses_are_lines_until_the_watch_ends(peer: Peer, forebay: Command) -> None:
    peer.on("WatchPipeline", play(pipeline(2), None), play(pipeline(1), NO_SCOPE))
    result = await forebay("pipeline", "--interval", "3")
    assert result.exit_code == 1
    assert result.stderr == "Error: the method needs `operate`; get a token with this scope\n"
    assert [row[4] for row in rows(result.stdout)] == ["LAG", "2", "0", "1", "0"]
    assert peer.requests("WatchPipeline")[0].interval.seconds == 3


@pytest.mark.parametrize("once", [True, False])
async def test_statuses_are_lines_of_json_with_their_zeros(
    peer: Peer, forebay: Command, *, once: bool
) -> None:
    peer.on("GetPipelineStatus", reply(pipeline()))
    peer.on("WatchPipeline", play(pipeline(), pipeline(), NO_SCOPE))
    result = await forebay("pipeline", "--json", *(["--once"] if once else []))
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(found) == (1 if once else 2)
    assert found[0]["stages"][0]["state"] == "STATE_THROTTLED"
    assert found[0]["stages"][1]["lag"] == "0"


@pytest.mark.parametrize(
    ("seconds", "age"),
    [
        (0, "0.0s"),
        (9.96, "10.0s"),
        (59, "59s"),
        (59.6, "1m00s"),
        (7500, "2h05m"),
        (273_600, "3d04h"),
    ],
)
async def test_an_age_has_two_units_at_most(
    peer: Peer, forebay: Command, seconds: float, age: str
) -> None:
    state = pipeline()
    state.stages[0].oldest_age.FromTimedelta(timedelta(seconds=seconds))
    peer.on("GetPipelineStatus", reply(state))
    result = await forebay("pipeline", "--once")
    assert rows(result.stdout)[1][6] == age


async def test_on_a_terminal_the_table_is_drawn_anew_until_ctrl_c(peer: Peer) -> None:
    more = asyncio.Event()
    peer.on("WatchPipeline", play(pipeline(111), more, pipeline(222), asyncio.Event()))
    options = ("--server", peer.target, "--token", TOKEN)
    async with on_terminal(*options, "pipeline") as command:
        await command.until("111")
        assert "dead letters" in command.shown
        more.set()
        await command.until("222")
        command.process.send_signal(signal.SIGINT)
        assert await command.end() == 130, command.shown
    assert "Traceback" not in command.shown
    assert command.shown.count("in flight") >= 2


async def test_dead_letters_are_lines_that_say_why(peer: Peer, forebay: Command) -> None:
    unproven = letter("b", resource="")
    peer.on("ListDeadLetters", reply(ListDeadLettersResponse(dead_letters=[letter(), unproven])))
    result = await forebay(
        *("dead-letters", "list", "--stage", "chunking", "--reason", "document-unparseable"),
        *("--since", "2026-01-31T13:00+01:00", "--until", "2h", "--tenant", "acme"),
    )
    assert result.exit_code == 0, result.output
    first, second = result.stdout.splitlines()
    assert first == (
        "2026-01-31T12:00:00Z  deadLetters/a  chunking  acme  collections/default/documents/a"
        "  DOCUMENT_UNPARSEABLE  attempts=5  bytes=1234"
        "  the bytes are no PDF; mime_type application/pdf"
    )
    assert "  acme  -  DOCUMENT" in second
    wanted = peer.requests("ListDeadLetters")[0].filter
    assert (wanted.stage, wanted.tenant) == ("chunking", "acme")
    assert wanted.reason == ErrorReason.ERROR_REASON_DOCUMENT_UNPARSEABLE
    assert wanted.start_time == timestamp(NOON)
    age = datetime.now(UTC) - wanted.end_time.ToDatetime(UTC)
    assert timedelta(hours=2) <= age < timedelta(hours=2, minutes=1)


async def test_content_is_shown_when_asked_for_and_steers_no_terminal(
    peer: Peer, forebay: Command
) -> None:
    shown = letter(resource=HOSTILE)
    shown.error.message = HOSTILE
    shown.content.CopyFrom(DeadLetter.Content(key=b"acme/a", value=b"\xff\n" + HOSTILE.encode()))
    peer.on("ListDeadLetters", reply(ListDeadLettersResponse(dead_letters=[shown])))
    result = await forebay("dead-letters", "list", "--content")
    assert peer.requests("ListDeadLetters")[0].include_content
    assert "    key    acme/a\n    value  \ufffd safe " in result.stdout
    assert not set(result.output) & set("\x1b\x07\x9b\r\u202e")


async def test_dead_letters_are_lines_of_json(peer: Peer, forebay: Command) -> None:
    page = ListDeadLettersResponse(dead_letters=[letter("a"), letter("b")])
    peer.on("ListDeadLetters", reply(page))
    result = await forebay("dead-letters", "list", "--json")
    names = [json.loads(line)["name"] for line in result.stdout.splitlines()]
    assert names == ["deadLetters/a", "deadLetters/b"]


async def test_records_are_given_back_and_those_that_stay_are_told(
    peer: Peer, forebay: Command
) -> None:
    done = RedriveDeadLettersResponse(redriven_count=2, refused_count=1)
    peer.on("RedriveDeadLetters", reply(done))
    named = ("--name", "a", "--name", "deadLetters/b")
    result = await forebay("dead-letters", "redrive", *named, "--rate", "2.5")
    counted = await forebay("dead-letters", "redrive", "--all", "--dry-run", "--json")
    assert result.exit_code == 0, result.output
    assert result.stdout == "2 went back\n"
    assert result.stderr == "1 stayed: of queries, or their content was not kept\n"
    assert json.loads(counted.stdout) == {"redrivenCount": 2, "refusedCount": 1}
    first, second = peer.requests("RedriveDeadLetters")
    assert list(first.names) == ["deadLetters/a", "deadLetters/b"]
    assert (first.rate, first.validate_only, first.HasField("filter")) == (2.5, False, False)
    assert (second.rate, second.validate_only, second.HasField("filter")) == (10, True, True)


async def test_nothing_is_purged_where_nobody_can_be_asked(peer: Peer, forebay: Command) -> None:
    result = await forebay("dead-letters", "purge", "--all")
    assert result.exit_code == 2
    assert "add --yes, or --dry-run" in result.stderr
    assert peer.calls == []


@pytest.mark.parametrize(
    ("option", "said", "only"),
    [("--yes", "3 ended\n", False), ("--dry-run", "3 would end\n", True)],
)
async def test_letters_are_purged_or_counted_without_asking(
    peer: Peer, forebay: Command, option: str, said: str, *, only: bool
) -> None:
    peer.on("PurgeDeadLetters", reply(PurgeDeadLettersResponse(purged_count=3)))
    result = await forebay("dead-letters", "purge", "--stage", "chunking", option)
    assert result.stdout == said
    assert [each.validate_only for each in peer.requests("PurgeDeadLetters")] == [only]


@pytest.mark.parametrize(
    ("answer", "code", "calls"), [("y\n", 0, [True, False]), ("n\n", 1, [True]), ("\n", 1, [True])]
)
async def test_a_person_is_asked_before_letters_are_purged(
    peer: Peer, answer: str, code: int, calls: list[bool]
) -> None:
    peer.on("PurgeDeadLetters", reply(PurgeDeadLettersResponse(purged_count=3)))
    options = ("--server", peer.target, "--token", TOKEN)
    async with on_terminal(*options, "dead-letters", "purge", "--all") as command:
        await command.until("End 3 dead letters for good? [y/N]")
        command.type(answer)
        assert await command.end() == code
    assert [each.validate_only for each in peer.requests("PurgeDeadLetters")] == calls


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["redrive"], "say which"),
        (["purge", "--yes"], "say which"),
        (["purge", "--yes", "--stage", ""], "say which"),
        (["purge", "--yes", "--all", "--stage", "chunking"], "--all goes with no other"),
        (["list", "--reason", "DOCUMENT_EMTY"], "did you mean DOCUMENT_EMPTY?"),
        (["list", "--reason", "unspecified"], "no reason of an error"),
        (["list", "--since", "yesterday"], "no time like"),
        (["list", "--until", "999999999d"], "no time like"),
        (["redrive", "--all", "--rate", "0"], "--rate"),
    ],
)
async def test_what_is_misused_says_how_to_do_better(
    peer: Peer, forebay: Command, arguments: list[str], why: str
) -> None:
    result = await forebay("dead-letters", *arguments)
    assert result.exit_code == 2
    assert why in result.stderr
    assert peer.calls == []


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("GetPipelineStatus", ["pipeline", "--once"]),
        ("WatchPipeline", ["pipeline"]),
        ("ListDeadLetters", ["dead-letters", "list"]),
        ("RedriveDeadLetters", ["dead-letters", "redrive", "--all"]),
        ("PurgeDeadLetters", ["dead-letters", "purge", "--all", "--yes"]),
    ],
)
async def test_a_token_without_the_scope_is_one_line(
    peer: Peer, forebay: Command, method: str, arguments: list[Any]
) -> None:
    peer.on(method, refuse(NO_SCOPE))
    result = await forebay(*arguments)
    assert result.exit_code == 1
    assert result.output == "Error: the method needs `operate`; get a token with this scope\n"
