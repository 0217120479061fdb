"""Storage of Forebay: the catalogue of documents and the index of their passages, in Postgres."""

from forebay_postgres.catalogue_reader import CatalogueReader
from forebay_postgres.catalogue_writer import CatalogueWriter
from forebay_postgres.check import check
from forebay_postgres.documents import (
    AccessUpdate,
    CatalogueEntry,
    DocumentKey,
    DocumentState,
    DocumentVersion,
    Failure,
    Outcome,
    Verdict,
    VersionState,
)
from forebay_postgres.index_lifecycle import IndexLifecycle
from forebay_postgres.index_writer import IndexedPassage, IndexWriter
from forebay_postgres.indexes import Index, IndexRegistry, IndexState
from forebay_postgres.migrate import migrate
from forebay_postgres.permissions import Permissions, SharedCollection
from forebay_postgres.pool import Pool, open_retrieve_pool, open_write_pool
from forebay_postgres.retriever import FoundPassage, Ranking, Retriever
from forebay_postgres.settings import PostgresSettings

__all__ = [
    "AccessUpdate",
    "CatalogueEntry",
    "CatalogueReader",
    "CatalogueWriter",
    "DocumentKey",
    "DocumentState",
    "DocumentVersion",
    "Failure",
    "FoundPassage",
    "Index",
    "IndexLifecycle",
    "IndexRegistry",
    "IndexState",
    "IndexWriter",
    "IndexedPassage",
    "Outcome",
    "Permissions",
    "Pool",
    "PostgresSettings",
    "Ranking",
    "Retriever",
    "SharedCollection",
    "Verdict",
    "VersionState",
    "check",
    "migrate",
    "open_retrieve_pool",
    "open_write_pool",
]
