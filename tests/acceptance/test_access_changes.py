"""A change of who may read a document holds at once, for all that was indexed before."""

import asyncio

import pytest

from forebay.client import Aborted, AsyncClient, NotFound, PermissionDenied
from forebay.policy.v1 import Visibility
from forebay.query.v1 import SubmitQueryRequest

from .conftest import Connect

QUESTION = "When is the weir inspected?"
FACT = "The weir is inspected every Monday."
PROMPT_SECONDS = 2.0


async def planted(author: AsyncClient, **fields: object) -> str:
    receipt = await author.ingest("plant", "weir", text=FACT, **fields)  # type: ignore[arg-type]
    return (await author.wait_indexed(receipt.name, receipt.etag)).name


async def finds(reader: AsyncClient) -> bool:
    answer = await reader.ask(QUESTION, mode=SubmitQueryRequest.MODE_RETRIEVE_ONLY).answer()
    return any(FACT in passage.text for passage in answer.passages)


async def until(reader: AsyncClient, *, found: bool) -> None:
    async with asyncio.timeout(PROMPT_SECONDS):
        while await finds(reader) != found:
            continue


async def test_a_tightened_visibility_holds_within_two_seconds(connect: Connect) -> None:
    author, reader = connect(), connect("standard")
    name = await planted(author, visibility="internal")
    assert await finds(reader)
    changed = await author.update_document(name, visibility="confidential")
    await until(reader, found=False)
    with pytest.raises(NotFound):
        await reader.get_document(name)
    assert (await author.get_document(name)).etag == changed.etag
    await author.update_document(name, visibility="public")
    await until(connect("free"), found=True)


async def test_readers_are_exchanged_without_new_content(connect: Connect) -> None:
    author = connect(groups=("ops", "finance"))
    member = connect("standard", groups=("ops",))
    other = connect("standard", groups=("finance",))
    name = await planted(author, visibility="internal", readers=["ops"])
    assert (await finds(member), await finds(other)) == (True, False)
    await author.update_document(name, readers=["finance"])
    await until(member, found=False)
    await until(other, found=True)


async def test_labels_are_replaced_whole(connect: Connect) -> None:
    author = connect()
    name = await planted(author, labels={"team": "north", "kind": "weir"})
    changed = await author.update_document(name, labels={"team": "south"})
    document = await author.wait_indexed(name, changed.etag, PROMPT_SECONDS)
    assert dict(document.labels) == {"team": "south"}


async def test_a_change_that_rests_on_an_old_etag_is_refused(connect: Connect) -> None:
    author = connect()
    name = await planted(author)
    seen = (await author.get_document(name)).etag
    changed = await author.update_document(name, labels={"team": "south"}, etag=seen)
    await author.wait_indexed(name, changed.etag, PROMPT_SECONDS)
    with pytest.raises(Aborted) as refused:
        await author.update_document(name, labels={"team": "north"}, etag=seen)
    assert refused.value.metadata["etag"] == changed.etag


async def test_nobody_opens_what_is_above_the_own_clearance(connect: Connect) -> None:
    author, outsider = connect(), connect("free")
    name = await planted(author, visibility="internal")
    with pytest.raises(PermissionDenied):
        await outsider.update_document(name, visibility="internal")
    refused = await outsider.update_document(name, visibility="public")
    # The edge does not know what the document was; cataloguing does, and refuses.
    later = await author.update_document(name, labels={"seen": "after"})
    document = await author.wait_indexed(name, later.etag, PROMPT_SECONDS)
    assert document.visibility == Visibility.VISIBILITY_INTERNAL
    assert document.etag != refused.etag
    assert not await finds(outsider)
