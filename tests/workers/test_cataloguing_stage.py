"""Cataloguing waits for a database that is away, and not for ever for one document's row."""

from typing import cast

import pytest
from google.protobuf.message import Message

from forebay.ingest.v1 import Document
from forebay.policy.v1 import Visibility
from forebay.records.v1 import DocumentRecord
from forebay_kafka.envelope import Envelope, Statement
from forebay_kafka.identity import GenerationLimits, Identity
from forebay_kafka.publisher import Publisher
from forebay_kafka.records import Received
from forebay_postgres import CatalogueWriter
from forebay_postgres.documents import DocumentVersion, Failure
from forebay_postgres.errors import DatabaseUnavailable, StatementTimedOut
from forebay_workers.cataloguing.stage import Cataloguing
from forebay_workers.record_loop.stage import Retry, Work
from forebay_workers.stage_failure import StageFailure

NAME = "collections/manuals/documents/turbine"


class FailingCatalogue:
    """A catalogue that fails as it is told."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def accept(self, _: DocumentVersion) -> None:
        raise self._error

    async def fail(self, _: DocumentVersion, _failure: Failure) -> None:
        raise self._error


def work() -> Work[Message]:
    identity = Identity(
        "i", "acme", "ada", "t", Visibility.VISIBILITY_INTERNAL, (), GenerationLimits("", 1, 1), "1"
    )
    record = DocumentRecord(
        name=NAME, version="01890a5d-ac96-774b-bcce-b302099a8057", document=Document(text="Weir.")
    )
    envelope = Envelope(identity, "", "", Statement(NAME), 0)
    source = Received("forebay.documents.v1", 0, 0, 0, b"k", b"", ())
    return Work(record, envelope, b"token", None, source, 1, None)


@pytest.mark.parametrize(
    ("error", "retry"),
    [
        (StatementTimedOut(), Retry.BRIEFLY),
        (DatabaseUnavailable(), Retry.UNTIL_BACK),
    ],
)
async def test_only_a_database_that_is_away_is_waited_for_without_end(
    error: Exception, retry: Retry
) -> None:
    catalogue = cast("CatalogueWriter", FailingCatalogue(error))
    stage = Cataloguing(catalogue, cast("Publisher", None))
    with pytest.raises(StageFailure) as processed:
        await stage.process(work())
    with pytest.raises(StageFailure) as given_up:
        await stage.give_up(work(), ValueError())
    assert processed.value.retry is given_up.value.retry is retry
