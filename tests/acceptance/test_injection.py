"""Labels, readers, groups and filters that a database could take for its own language are text."""

import asyncio
from pathlib import Path

import yaml

from forebay.client import AsyncClient
from forebay.query.v1 import SubmitQueryRequest
from forebay_benchmarks.model_server.process import ModelServer

from .conftest import Connect

HOSTILE: list[str] = yaml.safe_load((Path(__file__).parents[1] / "hostile_texts.yaml").read_text())
# A group that no terminal shows is none: such a token is refused.
GROUPS = [text for text in HOSTILE if text.isprintable()]


async def test_every_hostile_text_is_equal_to_itself_alone(
    connect: Connect, models: ModelServer
) -> None:
    author = connect(groups=tuple(GROUPS))
    await asyncio.gather(
        *(put(author, f"labelled-{number}", {"k": text}) for number, text in enumerate(HOSTILE)),
        *(put(author, f"read-{number}", {"k": "x"}, text) for number, text in enumerate(GROUPS)),
    )
    filtered = (found(author, k=text) for text in HOSTILE)
    assert await asyncio.gather(*filtered) == [{f"labelled-{n}"} for n in range(len(HOSTILE))]
    members = (found(connect(groups=(text,)), k="x") for text in GROUPS)
    assert await asyncio.gather(*members) == [{f"read-{n}"} for n in range(len(GROUPS))]


async def put(author: AsyncClient, name: str, labels: dict[str, str], *readers: str) -> None:
    receipt = await author.ingest("plant", name, text="A lock.", labels=labels, readers=readers)
    await author.wait_indexed(receipt.name, receipt.etag)


async def found(client: AsyncClient, **labels: str) -> set[str]:
    stream = client.ask("A lock?", filter=labels, mode=SubmitQueryRequest.MODE_RETRIEVE_ONLY)
    return {passage.document.split("/")[-1] for passage in (await stream.answer()).passages}
