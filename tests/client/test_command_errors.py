"""What a newcomer reads when something is wrong: one line, why, and what to do."""

from pathlib import Path

import grpc
import pytest

from forebay.client import Unavailable
from forebay.client.command.connection import Connection
from forebay.client.command.failure_line import failure_line

from .command import Command
from .peer import Peer, refuse, status

NOT_FOUND, UNAUTHENTICATED = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("code", "reason", "message", "line"),
    [
        (UNAUTHENTICATED, "TOKEN_EXPIRED", "the token has expired", "; get a new token"),
        (
            UNAUTHENTICATED,
            "TOKEN_INVALID",
            "the token cannot be trusted: signature",
            "; get a token that this server trusts",
        ),
        (
            grpc.StatusCode.UNIMPLEMENTED,
            "METHOD_UNKNOWN",
            "there is no such method",
            "; the server is older than this command",
        ),
    ],
)
async def test_a_refusal_says_what_to_do(
    peer: Peer, forebay: Command, code: grpc.StatusCode, reason: str, message: str, line: str
) -> None:
    peer.on("GetCaller", refuse(status(code, reason, message)))
    result = await forebay("caller")
    assert result.exit_code == 1
    assert result.output == f"Error: {message}{line}\n"


@pytest.mark.parametrize(
    ("content", "why"), [("expired", "the token has expired"), ("", "the token is empty")]
)
async def test_a_token_file_that_does_not_do_is_named(
    peer: Peer, forebay: Command, tmp_path: Path, content: str, why: str
) -> None:
    file = tmp_path / "token"
    file.write_text(content)
    peer.on("GetCaller", refuse(status(UNAUTHENTICATED, "TOKEN_EXPIRED", "the token has expired")))
    result = await forebay("--token-file", str(file), "caller", token=None)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {why}")
    assert result.stderr.endswith(f"; put a new token into {file}\n")
    assert result.stderr.count("\n") == 1


async def test_an_unknown_query_says_how_long_queries_are_kept(
    peer: Peer, forebay: Command
) -> None:
    for method in ("GetQuery", "StreamAnswer", "CancelQuery"):
        peer.on(method, refuse(status(NOT_FOUND, "QUERY_NOT_FOUND", "no such query")))
    for command in ("get", "follow", "cancel"):
        result = await forebay("queries", command, "nope")
        assert result.exit_code == 1
        line = "Error: no such query; queries are kept for a day, for their asker alone\n"
        assert result.output == line


async def test_an_unknown_document_says_where_to_look(peer: Peer, forebay: Command) -> None:
    peer.on("GetDocument", refuse(status(NOT_FOUND, "DOCUMENT_NOT_FOUND", "no such document")))
    result = await forebay("documents", "get", "nope")
    assert result.exit_code == 1
    assert result.output == (
        "Error: no such document; `forebay documents list` names those you may see\n"
    )


async def test_an_overloaded_pipeline_says_when_to_ask_again(peer: Peer, forebay: Command) -> None:
    refusal = status(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "PIPELINE_OVERLOADED",
        "the stages are 60 s behind",
        retry_after=59.5,
    )
    peer.on("Ask", refuse(refusal))
    result = await forebay("ask", "why?", "--timeout", "1")
    assert result.exit_code == 1
    assert result.output == (
        "Error: the stages are 60 s behind; try again in 60 s or ask with a longer --timeout\n"
    )
    assert len(peer.calls) == 1


async def test_an_address_without_a_port_is_misuse() -> None:
    result = await Command("localhost")("caller")
    assert result.exit_code == 2
    assert "'localhost' names no port: it has the form HOST:PORT" in result.stderr


NOBODY_THERE = "is a server running there? --server names another"
NO_CERTIFICATE = "--ca names its root certificates; --plaintext if it has no TLS"
NO_GRPC = "it speaks no gRPC there, or only with TLS: see --ca"


@pytest.mark.parametrize(
    ("preamble", "why", "hint"),
    [
        ("last error: UNKNOWN: ipv4:127.0.0.1:1: ", "Connection refused", NOBODY_THERE),
        ("last error: UNKNOWN: ipv4:127.0.0.1:1: ", "Tls handshake failed (X)", NO_CERTIFICATE),
        ("last error: INTERNAL: ipv6:%5B::1%5D:1: ", "Failed parsing HTTP/2 (X)", NO_GRPC),
    ],
)
def test_why_there_is_no_connection_comes_without_the_address_once_more(
    preamble: str, why: str, hint: str
) -> None:
    error = Unavailable(f"connections to all backends failing; {preamble}{why}")
    assert failure_line(error, Connection("x:1")) == f"cannot reach x:1: {why}; {hint}"


def test_a_name_that_is_no_host_is_said_without_the_address_once_more() -> None:
    why = "field:hostname lookup error:address lookup failed for x:1: Domain name not found"
    line = failure_line(Unavailable(f"errors resolving x:1: [{why}]"), Connection("x:1"))
    assert line == f"cannot reach x:1: Domain name not found; {NOBODY_THERE}"
