import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty

from forebay.ingest.v1 import Document, ListDocumentsResponse, StreamDocumentsResponse
from forebay.policy.v1 import Visibility
from forebay.query.v1 import AnswerEvent, Caller, Citation, Passage, Query, Span

from .command import HOSTILE, Command
from .events import COMPLETED, WHOLE, Q, accepted, completed, delta
from .peer import Behaviour, Peer, play, refuse, reply, status


def receive(**refusals: str) -> Behaviour:
    async def behave(requests: Any, context: Any) -> None:
        async for request in requests:
            response = StreamDocumentsResponse(sequence=request.sequence)
            identifier = request.ingest.document_id
            if identifier in refusals:
                code = grpc.StatusCode.INVALID_ARGUMENT
                response.error.CopyFrom(status(code, "FIELD_INVALID", refusals[identifier]))
            else:
                name = f"{request.ingest.parent}/documents/{identifier}"
                response.document.CopyFrom(Document(name=name, etag=request.ingest.request_id))
            await context.write(response)

    return behave


async def test_an_answer_is_followed_by_what_it_rests_on(peer: Peer, forebay: Command) -> None:
    passages = [
        Passage(document="collections/default/documents/a", title="A", text="not cited"),
        Passage(
            document="collections/default/documents/b",
            title="Guide",
            headings=["Hours", "Winter"],
            text="Open\nfrom ten.",
        ),
    ]
    found = AnswerEvent(query=Q, cursor="c1", retrieved=AnswerEvent.Retrieved(passages=passages))
    cited = AnswerEvent(
        query=Q,
        cursor="c2",
        attempt="a1",
        sequence=3,
        citation=Citation(passage=1, span=Span(end=5)),
    )
    peer.on("Ask", play(accepted(), found, WHOLE[2], WHOLE[3], cited, completed("Water falls.")))

    result = await forebay("ask", "why?", "--collection", "default", "--filter", "year=2024")

    assert result.exit_code == 0
    assert result.stdout == (
        "Water falls.\n\n"
        "[1] collections/default/documents/b  Guide — Hours / Winter\n"
        "    Open from ten.\n"
    )
    assert peer.requests("Ask")[0].query.filter == {"year": "2024"}


async def test_events_are_printed_as_lines_of_json(peer: Peer, forebay: Command) -> None:
    peer.on("Ask", play(*WHOLE))
    result = await forebay("ask", "why?", "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["cursor"] for line in lines] == [event.cursor for event in WHOLE]
    assert lines[2]["delta"] == {"text": "Water "}


async def test_passages_alone_are_shown_without_an_answer(peer: Peer, forebay: Command) -> None:
    end = AnswerEvent(
        query=Q,
        cursor="c9",
        completed=COMPLETED(finish_reason=COMPLETED.FINISH_REASON_RETRIEVED),
    )
    peer.on("Ask", play(*WHOLE[:2], end))
    result = await forebay("ask", "why?", "--retrieve-only")
    assert result.stdout.strip().startswith("[1] collections/default/documents/a")


@pytest.mark.parametrize("json_option", [[], ["--json"]])
async def test_nothing_of_a_document_or_an_answer_steers_the_terminal(
    peer: Peer, forebay: Command, json_option: list[str]
) -> None:
    passage = Passage(document=HOSTILE, title=HOSTILE, headings=[HOSTILE], text=HOSTILE)
    found = AnswerEvent(query=Q, cursor="c1", retrieved=AnswerEvent.Retrieved(passages=[passage]))
    cited = AnswerEvent(query=Q, cursor="c2", citation=Citation(passage=0))
    end = completed(HOSTILE)
    peer.on("Ask", play(found, delta(1, "split \x1b"), delta(2, "[2J"), cited, end))
    result = await forebay("ask", "why?", *json_option)
    assert "safe" in result.stdout
    assert not set(result.output) & set("\x1b\x07\x9b\r\u202e")


async def test_a_failed_query_is_one_line_and_exit_code_1(peer: Peer, forebay: Command) -> None:
    error = status(grpc.StatusCode.DEADLINE_EXCEEDED, "QUERY_EXPIRED", f"too late {HOSTILE}")
    failed = AnswerEvent(query=Q, cursor="c-f", failed=AnswerEvent.Failed(error=error))
    peer.on("Ask", play(accepted(), failed))
    result = await forebay("ask", "why?")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "too late" in result.stderr
    assert "ask again with a longer --timeout" in result.stderr
    assert not set(result.stderr) & set("\x1b\x07\x9b\r\u202e")


async def test_a_refusal_names_field_and_rule(peer: Peer, forebay: Command) -> None:
    refusal = status(
        grpc.StatusCode.INVALID_ARGUMENT,
        "FIELD_INVALID",
        "the request breaks a rule",
        violations=(("query.text", "string.min_len"),),
    )
    peer.on("Ask", refuse(refusal))
    result = await forebay("ask", "")
    assert result.exit_code == 1
    assert "query.text: string.min_len" in result.stderr


async def test_no_token_is_misuse(forebay: Command) -> None:
    result = await forebay("caller", token=None)
    assert result.exit_code == 2
    assert "--token" in result.stderr


async def test_no_server_is_said_with_its_address(unused_tcp_port: int) -> None:
    target = f"127.0.0.1:{unused_tcp_port}"
    result = await Command(target)("caller")
    assert result.exit_code == 1
    assert f"cannot reach {target}" in result.stderr


async def test_a_token_file_is_read_for_each_call(
    peer: Peer, forebay: Command, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n")
    peer.on("GetCaller", reply(Caller(subject="alice", tenant="acme")))
    result = await forebay("--token-file", str(file), "caller", token=None)
    assert result.exit_code == 0
    assert "alice" in result.stdout
    assert peer.tokens("GetCaller") == ["from-file"]


async def test_a_caller_sees_what_others_share_with_it(peer: Peer, forebay: Command) -> None:
    shared = ["collections/guides", "collections/vendor-manuals"]
    peer.on("GetCaller", reply(Caller(subject="alice", shared_collections=shared)))
    result = await forebay("caller")
    assert "shared     guides, vendor-manuals\n" in result.stdout


async def test_files_and_folders_are_brought_in_and_waited_for(
    peer: Peer, forebay: Command, tmp_path: Path
) -> None:
    (tmp_path / "guide.md").write_text("# The guide\n\nOpen from ten.")
    (tmp_path / "page.html").write_text("<p>Hello</p>")
    (tmp_path / "image.png").touch()
    peer.on("StreamDocuments", receive())
    peer.on("GetDocument", reply(Document(state=Document.STATE_INDEXED)))

    result = await forebay(
        "documents",
        "put",
        str(tmp_path),
        *("--visibility", "public", "--label", "year=2024", "--reader", "ops"),
    )

    assert result.exit_code == 0, result.output
    assert result.stdout == "2 accepted, 2 indexed, 0 failed\n"
    assert "image.png: skipped" in result.stderr
    assert len(peer.requests("GetDocument")) == 2


async def test_each_document_that_fails_is_one_line_and_the_others_go_on(
    peer: Peer, forebay: Command, tmp_path: Path
) -> None:
    for name in ("bad.md", "good.md"):
        (tmp_path / name).write_text("text")
    (tmp_path / "huge.md").write_bytes(b"x" * (4 * 1024 * 1024 + 1))
    peer.on("StreamDocuments", receive(bad="title: too long"))
    result = await forebay("documents", "put", str(tmp_path), "--no-wait")
    assert result.exit_code == 1
    assert result.stdout == "1 accepted, 2 failed\n"
    lines = sorted(result.stderr.splitlines())
    assert "bad.md: title: too long" in lines[0]
    assert "huge.md: 4194305 bytes are over the limit" in lines[1]


async def test_a_document_that_cannot_be_indexed_fails_the_command(
    peer: Peer, forebay: Command, tmp_path: Path
) -> None:
    (tmp_path / "scan.pdf").write_bytes(b"%PDF")
    error = status(grpc.StatusCode.INVALID_ARGUMENT, "DOCUMENT_EMPTY", "no text in it")
    peer.on("StreamDocuments", receive())
    peer.on("GetDocument", reply(Document(state=Document.STATE_FAILED, error=error)))
    result = await forebay("documents", "put", str(tmp_path / "scan.pdf"))
    assert result.exit_code == 1
    assert "scan.pdf: no text in it" in result.stderr
    assert result.stdout == "1 accepted, 0 indexed, 1 failed\n"


async def test_a_file_of_no_known_kind_is_misuse(forebay: Command, tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    result = await forebay("documents", "put", str(tmp_path / "a.png"))
    assert result.exit_code == 2
    assert "no known kind" in result.stderr


async def test_documents_are_listed_shown_and_deleted(peer: Peer, forebay: Command) -> None:
    name = "collections/default/documents/a"
    document = Document(
        name=name,
        title=HOSTILE,
        state=Document.STATE_INDEXED,
        visibility=Visibility.VISIBILITY_PUBLIC,
    )
    peer.on("ListDocuments", reply(ListDocumentsResponse(documents=[document])))
    peer.on("GetDocument", reply(document))
    peer.on("DeleteDocument", reply(Empty()))

    listed = await forebay("documents", "list")
    shown = await forebay("documents", "get", "a")
    deleted = await forebay("documents", "delete", "a", name)

    assert listed.stdout == f"{name}  INDEXED  public  safe ]0;owned[2J31mtext\n"
    assert "visibility  public" in shown.stdout
    assert [request.name for request in peer.requests("DeleteDocument")] == [name, name]
    assert deleted.exit_code == 0
    assert "\x1b" not in listed.output + shown.output


async def test_a_document_is_changed_by_what_is_said_alone(peer: Peer, forebay: Command) -> None:
    name = "collections/default/documents/a"
    peer.on("UpdateDocument", reply(Document(name=name, etag="2")))
    changed = await forebay(
        "documents", "update", "a", "--visibility", "public", "--label", "team=ops", "--no-readers"
    )
    nothing = await forebay("documents", "update", "a", "--etag", "1")
    assert changed.stdout == f"{name}  changed, etag 2\n"
    [request] = peer.requests("UpdateDocument")
    assert list(request.update_mask.paths) == ["visibility", "readers", "labels"]
    assert dict(request.document.labels) == {"team": "ops"}
    assert nothing.exit_code == 2
    assert "say what changes" in nothing.output


async def test_queries_are_shown_followed_and_cancelled(peer: Peer, forebay: Command) -> None:
    query = Query(name=Q, state=Query.STATE_COMPLETED, text="why?", answer="Water falls.")
    peer.on("GetQuery", reply(query))
    peer.on("CancelQuery", reply(query))
    peer.on("StreamAnswer", play(*WHOLE))

    shown = await forebay("queries", "get", "q1")
    followed = await forebay("queries", "follow", Q)
    cancelled = await forebay("queries", "cancel", Q)

    assert "Water falls." in shown.stdout
    assert followed.stdout.startswith("Water falls.")
    assert cancelled.stdout == f"{Q}  COMPLETED\n"


async def test_an_interrupted_question_says_how_to_follow_it_again(peer: Peer) -> None:
    peer.on("Ask", play(*WHOLE[:3], asyncio.Event()))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from forebay.client.command import main; main()",
        *("--server", peer.target, "--token", "secret", "ask", "why?"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.read(6) == b"Water "
    process.send_signal(signal.SIGINT)
    _, errors = await process.communicate()
    assert process.returncode == 130
    assert errors.decode().strip() == f"The query goes on: forebay queries follow {Q}"


def test_grpc_is_imported_after_the_command_has_quietened_it() -> None:
    code = (
        "import sys, os, forebay.client as c; assert 'grpc' not in sys.modules;"
        "import forebay.client.command; assert os.environ['GRPC_VERBOSITY'] == 'ERROR';"
        "assert all(hasattr(c, name) for name in c.__all__)"
    )
    environment = {key: value for key, value in os.environ.items() if key != "GRPC_VERBOSITY"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
