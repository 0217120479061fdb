"""The README's examples, run as they stand but for address and token."""

import asyncio
import re
from pathlib import Path
from typing import Any

import grpc
import pytest

import forebay.client
from forebay.ingest.v1 import Document
from forebay.pipeline.v1 import (
    ListDeadLettersResponse,
    PipelineStatus,
    RedriveDeadLettersResponse,
)
from forebay.query.v1 import AnswerEvent, Citation

from .events import WHOLE, Q
from .letters import letter, pipeline
from .peer import Peer, play, refuse, reply, status

README = Path(forebay.client.__file__).parents[3] / "README.md"
NAME = "collections/default/documents/hours"


async def test_the_examples_of_the_readme_run(
    peer: Peer, capsys: pytest.CaptureFixture[str]
) -> None:
    cited = AnswerEvent(query=Q, cursor="c", citation=Citation(passage=0))
    overloaded = status(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "PIPELINE_OVERLOADED",
        retry_after=60,
        expected_wait="58s",
    )
    peer.on("IngestDocument", reply(Document(name=NAME, etag="v")))
    peer.on("GetDocument", reply(Document(state=Document.STATE_INDEXED)))
    peer.on("Ask", play(*WHOLE[:4], cited, WHOLE[4]))
    peer.on("SubmitQuery", refuse(overloaded))
    peer.on("WatchPipeline", play(pipeline(), PipelineStatus(), asyncio.Event()))
    peer.on("ListDeadLetters", reply(ListDeadLettersResponse(dead_letters=[letter()])))
    peer.on("RedriveDeadLetters", reply(RedriveDeadLettersResponse(redriven_count=1)))

    examples = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    code = "\n".join(examples).replace("127.0.0.1:50051", peer.target).replace("…", "secret")
    namespace: dict[str, Any] = {}
    await asyncio.to_thread(exec, code, namespace)

    assert capsys.readouterr().out.splitlines() == [
        "Water falls.",
        "collections/default/documents/a",
        "behind by 58.0 s; again in 60.0 s",
        "{'embedding': 12, 'retrieval': 0}",
        "{}",
        "deadLetters/a collections/default/documents/a the bytes are no PDF",
        "1 went back",
    ]
