"""Documents as the catalogue in a real Postgres knows them."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from forebay.ingest.v1 import Document, ListDocumentsRequest
from forebay.policy.v1 import Visibility
from forebay_kafka.identity import GenerationLimits
from forebay_postgres import (
    AccessUpdate,
    CatalogueReader,
    CatalogueWriter,
    DocumentKey,
    DocumentVersion,
    Failure,
    PostgresSettings,
    migrate,
    open_retrieve_pool,
    open_write_pool,
)
from forebay_server.errors import (
    DocumentNotFound,
    EtagMismatch,
    FieldInvalid,
    PageTokenInvalid,
)
from forebay_server.governance.caller import Caller, TierLimits
from forebay_server.ingest.catalogue import DocumentCatalogue
from forebay_server.ingest.page_tokens import PageTokens
from forebay_server.request_ids import RequestIds
from forebay_server.seals.secrets import SealSecrets
from forebay_standalone.postgres_server import PostgresServer

from .calls import reason_of
from .conftest import free_port

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
PUBLIC, INTERNAL = Visibility.VISIBILITY_PUBLIC, Visibility.VISIBILITY_INTERNAL
PUMP = "collections/manuals/documents/pump"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresSettings]:
    folder = reachable(tmp_path_factory)
    server = PostgresServer(folder, free_port(), settings={"fsync": "off"})
    server.start()
    try:
        server.wait_ready()
        settings = PostgresSettings(
            admin_dsn=SecretStr(server.admin_dsn),
            write_dsn=SecretStr(server.dsn("forebay_write", "w")),
            retrieve_dsn=SecretStr(server.dsn("forebay_retrieve", "r")),
            write_password=SecretStr("w"),
            retrieve_password=SecretStr("r"),
        )
        migrate(settings)
        yield settings
    finally:
        server.stop()


def reachable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Postgres runs as another user here, and pytest makes its folders for one user only.
    folder = tmp_path_factory.mktemp("postgres")
    for path in (folder, tmp_path_factory.getbasetemp()):
        path.chmod(0o755)
    tmp_path_factory.getbasetemp().parent.chmod(0o711)
    return folder


@pytest.fixture
async def writer(settings: PostgresSettings) -> AsyncIterator[CatalogueWriter]:
    pool = await open_write_pool(settings)
    yield CatalogueWriter(pool)
    await pool.close()


@pytest.fixture
async def catalogue(settings: PostgresSettings) -> AsyncIterator[DocumentCatalogue]:
    pool = await open_retrieve_pool(settings)
    yield DocumentCatalogue(CatalogueReader(pool), PageTokens(SealSecrets(b"s" * 32)))
    await pool.close()


def caller(tenant: str, clearance: Visibility.ValueType = INTERNAL) -> Caller:
    return Caller(
        issuer="https://id.test",
        tenant=tenant,
        subject="ada",
        tier="standard",
        clearance=clearance,
        groups=(),
        scopes=frozenset(),
        limits=TierLimits(10, GenerationLimits("", 1, 1)),
        expire_time=0,
        policy_version="1",
    )


def version(tenant: str, document: str = "pump", at: float = 0) -> DocumentVersion:
    return DocumentVersion(
        tenant=tenant,
        collection="manuals",
        document_id=document,
        version=RequestIds(lambda: 1_800_000_000 + at).fresh(),
        title="Pump",
        mime_type="text/plain",
        source_uri="https://manuals.test/pump",
        visibility=INTERNAL,
        readers=(),
        labels={"team": "north"},
        accept_time=NOON,
        writer_clearance=INTERNAL,
    )


async def test_the_newest_version_is_told(
    catalogue: DocumentCatalogue, writer: CatalogueWriter
) -> None:
    newest = version("newest")
    await writer.accept(newest)
    document = await catalogue.newest(caller("newest"), PUMP)
    assert (document.name, document.title, document.etag) == (PUMP, "Pump", str(newest.version))
    assert (document.state, document.visibility) == (Document.STATE_ACCEPTED, INTERNAL)
    assert dict(document.labels) == {"team": "north"}
    assert document.create_time.ToDatetime(UTC) == NOON
    assert not document.HasField("error")


async def test_an_absent_document_and_an_invisible_one_are_alike(
    catalogue: DocumentCatalogue, writer: CatalogueWriter
) -> None:
    written = version("hidden")
    await writer.accept(written)
    for who, name in (
        (caller("hidden"), PUMP.replace("pump", "valve")),
        (caller("hidden", PUBLIC), PUMP),
        (caller("stranger"), PUMP),
    ):
        with pytest.raises(DocumentNotFound):
            await catalogue.newest(who, name)
        with pytest.raises(DocumentNotFound):
            await catalogue.version(who, name, str(written.version))


async def test_a_version_that_lost_says_which_took_its_place(
    catalogue: DocumentCatalogue, writer: CatalogueWriter
) -> None:
    old, new = version("lost"), version("lost", at=1)
    await writer.accept(new)
    await writer.accept(old)
    lost = await catalogue.version(caller("lost"), PUMP, str(old.version))
    assert (lost.state, lost.superseded_by) == (Document.STATE_SUPERSEDED, str(new.version))
    won = await catalogue.version(caller("lost"), PUMP, str(new.version))
    assert (won.state, won.title) == (Document.STATE_ACCEPTED, "Pump")


async def test_a_version_that_failed_says_why(
    catalogue: DocumentCatalogue, writer: CatalogueWriter
) -> None:
    scanned = version("failed")
    await writer.fail(scanned, Failure(3, "DOCUMENT_EMPTY", "there is no text"))
    document = await catalogue.newest(caller("failed"), PUMP)
    assert document.state == Document.STATE_FAILED
    assert reason_of(document.error) == "DOCUMENT_EMPTY"


async def test_a_deleted_document_is_not_found(
    catalogue: DocumentCatalogue, writer: CatalogueWriter
) -> None:
    gone = version("gone")
    await writer.accept(gone)
    key = DocumentKey("gone", "manuals", "pump")
    later = version("gone", at=1).version
    await writer.delete(key, later, writer_clearance=INTERNAL, accept_time=NOON)
    with pytest.raises(DocumentNotFound):
        await catalogue.newest(caller("gone"), PUMP)
    with pytest.raises(DocumentNotFound):
        await catalogue.version(caller("gone"), PUMP, str(gone.version))


async def test_a_change_of_access_gives_a_document_another_etag(
    catalogue: DocumentCatalogue, writer: CatalogueWriter
) -> None:
    written, changed = version("changed"), version("changed", at=1).version
    await writer.accept(written)
    key = DocumentKey("changed", "manuals", "pump")
    await writer.update(
        AccessUpdate(
            key=key, version=changed, accept_time=NOON, writer_clearance=INTERNAL, labels={}
        )
    )
    who = caller("changed")
    assert (await catalogue.newest(who, PUMP)).etag == str(changed)
    for etag in (written.version, changed):
        assert (await catalogue.version(who, PUMP, str(etag))).title == "Pump"
    await catalogue.require_etag(who, PUMP, str(changed))
    with pytest.raises(EtagMismatch) as refused:
        await catalogue.require_etag(who, PUMP, str(written.version))
    assert refused.value.metadata == {"etag": str(changed)}


async def test_an_etag_that_is_none_is_refused(catalogue: DocumentCatalogue) -> None:
    with pytest.raises(FieldInvalid, match="etag"):
        await catalogue.version(caller("acme"), PUMP, "newest")


async def test_a_list_is_read_page_by_page(
    catalogue: DocumentCatalogue, writer: CatalogueWriter
) -> None:
    for number in range(5):
        await writer.accept(version("pages", f"d{number}"))
    request = ListDocumentsRequest(parent="collections/manuals", page_size=2)
    seen: list[list[str]] = []
    while True:
        page = await catalogue.page(caller("pages"), request)
        seen.append([document.name.rsplit("/", 1)[1] for document in page.documents])
        request.page_token = page.next_page_token
        if not request.page_token:
            break
    assert seen == [["d0", "d1"], ["d2", "d3"], ["d4"]]


async def test_a_page_token_is_good_for_its_list_alone(
    catalogue: DocumentCatalogue, writer: CatalogueWriter
) -> None:
    for number in range(2):
        await writer.accept(version("tokens", f"d{number}"))
    request = ListDocumentsRequest(parent="collections/manuals", page_size=1)
    token = (await catalogue.page(caller("tokens"), request)).next_page_token
    for tenant, parent, sent in (
        ("other", "collections/manuals", token),
        ("tokens", "collections/other", token),
        ("tokens", "collections/manuals", token[:-1] + ("0" if token[-1] != "0" else "1")),
        ("tokens", "collections/manuals", "x"),
    ):
        changed = ListDocumentsRequest(parent=parent, page_token=sent)
        with pytest.raises(PageTokenInvalid):
            await catalogue.page(caller(tenant), changed)
