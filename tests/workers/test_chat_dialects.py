"""What a generation call sends, as endpoints of different dialects want it."""

import asyncio
import json
from typing import Any

import pytest
from pydantic import SecretStr

from forebay_workers.models.errors import ModelError
from forebay_workers.models.generation_model import GenerationRequest, PromptPassage
from forebay_workers.models.openai_endpoint import Endpoint
from forebay_workers.models.openai_generation import ChatDialect, OpenAIGeneration

REQUEST = GenerationRequest("Why?", (PromptPassage("d", "", "", "Because."),), "", 77, 4000)


async def sent(dialect: ChatDialect, key: str = "") -> tuple[str, dict[str, Any]]:
    """Return the head and the JSON of the one request that a bare socket receives."""
    received: asyncio.Future[tuple[str, bytes]] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].split()[0])
        received.set_result((head, await reader.readexactly(length)))
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        endpoint = Endpoint(f"http://127.0.0.1:{port}/v1", SecretStr(key), 5.0)
        model = OpenAIGeneration(endpoint, "m", dialect)
        with pytest.raises(ModelError):
            await anext(model.generate(REQUEST))
        await model.close()
    head, body = await received
    return head, json.loads(body)


async def test_by_default_only_what_every_endpoint_knows_is_sent() -> None:
    _, body = await sent(ChatDialect())
    assert body["max_tokens"] == 77
    assert body["stream_options"] == {"include_usage": True}
    assert not {"max_completion_tokens", "temperature", "tools", "tool_choice"} & body.keys()


async def test_reasoning_models_get_their_own_limit() -> None:
    _, body = await sent(ChatDialect(completion_limit=True, temperature=1.0))
    assert body["max_completion_tokens"] == 77
    assert body["temperature"] == 1.0
    assert "max_tokens" not in body


async def test_a_key_of_the_environment_is_never_sent_to_a_configured_endpoint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-stray")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-stray")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-stray")
    head, _ = await sent(ChatDialect())
    assert "stray" not in head
    assert "bearer sk-own" in (await sent(ChatDialect(), key="sk-own"))[0]
