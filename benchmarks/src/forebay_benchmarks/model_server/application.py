"""The server's routes."""

import asyncio
import json
import math
from typing import Any

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from forebay_benchmarks.model_server.answers import answer_to, question_of, tokens_of
from forebay_benchmarks.model_server.behaviour import Behaviour
from forebay_benchmarks.model_server.calls import Call, CallLog
from forebay_benchmarks.model_server.misfortune import Misfortune, Verdict
from forebay_benchmarks.model_server.stream import ChatStream
from forebay_benchmarks.model_server.vectors import VectorMaker

_BAD_REQUEST = 400
_LOOK_AGAIN_SECONDS = 0.05  # how soon a leaver is noticed: tests wait for it
_WELL_BEHAVED = Behaviour()


def application(behaviour: Behaviour, vectors: VectorMaker) -> Starlette:
    """Make the server; `PUT /control` replaces its behaviour while it runs."""
    server = _Server(behaviour, vectors)
    return Starlette(
        routes=[
            Route("/v1/models", server.models),
            Route("/v1/embeddings", server.embeddings, methods=["POST"]),
            Route("/v1/chat/completions", server.chat, methods=["POST"]),
            Route("/control", server.control, methods=["GET", "PUT"]),
            Route("/control/calls", server.calls, methods=["GET", "DELETE"]),
        ]
    )


class _Server:
    def __init__(self, behaviour: Behaviour, vectors: VectorMaker) -> None:
        self._misfortune = Misfortune(behaviour)
        self._vectors = vectors
        self._log = CallLog()

    async def models(self, _: Request) -> Response:
        model = {"id": "misbehaving", "object": "model", "owned_by": "forebay"}
        return JSONResponse({"object": "list", "data": [model]})

    async def control(self, request: Request) -> Response:
        """Answer the behaviour in force; a PUT replaces it, fields not named get their default."""
        if request.method == "PUT":
            try:
                self._misfortune = Misfortune(Behaviour.model_validate_json(await request.body()))
            except ValidationError as error:
                return JSONResponse({"error": str(error)}, _BAD_REQUEST)
        return JSONResponse(self._misfortune.behaviour.model_dump())

    async def calls(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._log.reset()
        return JSONResponse(self._log.as_json())

    async def embeddings(self, request: Request) -> Response:
        body = await request.json()
        texts = [body["input"]] if isinstance(body["input"], str) else list(body["input"])
        call = self._log.open("embeddings", body["model"], texts)
        behaviour, refusal = await self._judge(call, request)
        if refusal:
            return refusal
        await asyncio.sleep(behaviour.embedding_seconds)
        rows = _spoiled(await self._vectors.vectors(texts), behaviour)
        call.status, call.outcome = 200, "completed"
        return _whole(_embedding_reply(rows, call.model, behaviour), behaviour)

    async def chat(self, request: Request) -> ASGIApp:
        body = await request.json()
        messages = body["messages"]
        call = self._log.open("chat", body["model"], [question_of(messages)])
        if self._misfortune.behaviour.keep_requests:
            call.request = body
        behaviour, refusal = await self._judge(call, request)
        if refusal:
            return refusal
        tokens = tokens_of(behaviour.reply or answer_to(messages), behaviour.answer_tokens)
        usage = _usage(messages, tokens)
        if body.get("stream"):
            return ChatStream(call, tokens, behaviour, usage)
        pause = len(tokens) / behaviour.tokens_per_second if behaviour.tokens_per_second else 0.0
        await asyncio.sleep(behaviour.first_token_seconds + pause)
        call.status, call.outcome = 200, "completed"
        return _whole(_chat_reply("".join(tokens), call.model, usage), behaviour)

    async def _judge(self, call: Call, request: Request) -> tuple[Behaviour, Response | None]:
        misfortune = self._misfortune
        verdict = misfortune.verdict(call.kind)
        if verdict.status != 200:  # noqa: PLR2004 - the status of success
            call.status, call.outcome = verdict.status, "refused"
            quote = (await request.body()).decode() if misfortune.behaviour.echo else ""
            return misfortune.behaviour, _refusal(verdict, quote)
        if not misfortune.hits(call.kind):
            return _WELL_BEHAVED, None
        if misfortune.behaviour.hang == "before":
            return misfortune.behaviour, await _silence(call, request)
        return misfortune.behaviour, None


async def _silence(call: Call, request: Request) -> Response:
    """Answer nothing for as long as the client stays."""
    while not await request.is_disconnected():  # noqa: ASYNC110 - Starlette has no event
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
    call.outcome = "disconnected"
    return Response()


def _refusal(verdict: Verdict, quote: str) -> Response:
    headers = {} if verdict.retry_after is None else {"Retry-After": f"{verdict.retry_after:g}"}
    error = {
        "message": f"refused on request {quote}".strip(),
        "type": "misbehaviour",
        "code": verdict.status,
    }
    return JSONResponse({"error": error}, verdict.status, headers)


def _whole(reply: dict[str, object], behaviour: Behaviour) -> Response:
    if behaviour.malformed == "json":
        return Response('{"data": [{"embedding"', media_type="application/json")
    if behaviour.malformed == "shape":
        reply = {"data": "none", "choices": 7}
    # Not JSONResponse: it refuses NaN, which real servers have been seen to send.
    return Response(json.dumps(reply), media_type="application/json")


def _spoiled(rows: list[list[float]], behaviour: Behaviour) -> list[list[float]]:
    spoil = {
        "short": lambda: [row[:-1] for row in rows],
        "nan": lambda: [[math.nan, *row[1:]] for row in rows],
        "zero": lambda: [[0.0] * len(row) for row in rows],
        "missing": lambda: rows[:-1],
    }
    return spoil.get(behaviour.vectors, lambda: rows)()


def _embedding_reply(
    rows: list[list[float]], model: str, behaviour: Behaviour
) -> dict[str, object]:
    data = [
        {"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)
    ]
    if behaviour.vectors == "reversed":
        data.reverse()
    usage = {"prompt_tokens": len(rows), "total_tokens": len(rows)}
    return {"object": "list", "data": data, "model": model, "usage": usage}


def _chat_reply(text: str, model: str, usage: dict[str, int]) -> dict[str, object]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "chatcmpl-0",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage,
    }


def _usage(messages: list[dict[str, Any]], tokens: list[str]) -> dict[str, int]:
    read = sum(len(tokens_of(str(message.get("content", "")), 0)) for message in messages)
    return {
        "prompt_tokens": read,
        "completion_tokens": len(tokens),
        "total_tokens": read + len(tokens),
    }
