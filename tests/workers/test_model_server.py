"""The misbehaving model server does what it is told, and nothing else."""

import asyncio
import os
import select
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest
from pydantic import ValidationError

from forebay_benchmarks.model_server import ModelServer


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with ModelServer.start() as server:
        yield server


@pytest.fixture
async def client(server: ModelServer) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=server.base_url, api_key="none", max_retries=0
    ) as client:
        yield client


async def embed(client: openai.AsyncOpenAI, text: str = "text") -> int:
    try:
        await client.embeddings.create(model="m", input=text, encoding_format="float")
    except openai.APIStatusError as error:
        return error.status_code
    return 200


async def test_models_are_listed_and_an_answer_comes_without_a_stream(
    server: ModelServer, client: openai.AsyncOpenAI
) -> None:
    server.behave()
    assert [model.id async for model in client.models.list()] == ["misbehaving"]
    reply = await client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "Question: canary-1?"}]
    )
    assert reply.choices[0].message.content == "canary-1."


async def test_the_same_seed_fails_the_same_calls(
    server: ModelServer, client: openai.AsyncOpenAI
) -> None:
    async def run() -> list[int]:
        server.behave(error_probability=0.5, seed=7)
        return [await embed(client) for _ in range(20)]

    first = await run()
    assert set(first) == {200, 500}
    assert await run() == first


async def test_above_its_rate_it_throttles(server: ModelServer, client: openai.AsyncOpenAI) -> None:
    server.behave(throttle_above=5)
    start = time.monotonic()
    statuses = await asyncio.gather(*(embed(client) for _ in range(40)))
    seconds = time.monotonic() - start
    assert set(statuses) <= {200, 429}
    assert 5 <= statuses.count(200) <= 5 * (seconds + 2)  # a second begun counts as a whole one


async def test_only_the_named_kind_of_call_misbehaves(
    server: ModelServer, client: openai.AsyncOpenAI
) -> None:
    server.behave(refuse_status=500, kinds=("chat",))
    assert await embed(client) == 200


async def test_calls_are_counted_until_they_are_forgotten(
    server: ModelServer, client: openai.AsyncOpenAI
) -> None:
    server.behave()
    server.forget_calls()
    await embed(client, "x")
    counted = server.calls()
    assert (counted["embeddings"], counted["chat"], counted["running"]) == (1, 0, 0)
    server.forget_calls()
    assert server.calls()["calls"] == []


async def test_a_reply_can_be_given_and_a_request_be_kept_and_quoted(
    server: ModelServer, client: openai.AsyncOpenAI
) -> None:
    messages: list[Any] = [{"role": "user", "content": "Question: where?"}]
    server.forget_calls()
    server.behave(reply="Nowhere [7].", keep_requests=True)
    reply = await client.chat.completions.create(model="m", messages=messages)
    assert reply.choices[0].message.content == "Nowhere [7]."
    [call] = server.calls()["calls"]
    assert call["request"] == {"model": "m", "messages": messages}
    server.behave(refuse_status=400, echo=True)
    with pytest.raises(openai.BadRequestError, match="Question: where"):
        await client.chat.completions.create(model="m", messages=messages)


def test_an_unknown_behaviour_is_refused(server: ModelServer) -> None:
    with pytest.raises(ValidationError):
        server.behave(explode=True)


def test_the_server_leaves_when_its_parent_dies() -> None:
    parent = (
        "from forebay_benchmarks.model_server import ModelServer; import os, sys;"
        "server = ModelServer.start(); print(server._process.pid, flush=True); os._exit(0)"
    )
    started = subprocess.run(
        [sys.executable, "-c", parent], capture_output=True, text=True, check=True, timeout=30
    )
    descriptor = _watch(int(started.stdout))
    assert descriptor is None or _gone(descriptor, seconds=5)


def _watch(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def _gone(descriptor: int, seconds: float) -> bool:
    return bool(select.select([descriptor], [], [], seconds)[0])


def test_help_names_every_way_to_misbehave() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "forebay_benchmarks.model_server.command", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout
    for option in ("--hang", "--cut-after-chunks", "--throttle-first", "--vectors", "--malformed"):
        assert option in told
