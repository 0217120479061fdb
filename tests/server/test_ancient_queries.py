"""What the log must have forgotten is refused over both transports, without a look at the log."""

import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.message import Message

from forebay.query.v1 import (
    CancelQueryRequest,
    GetQueryRequest,
    StreamAnswerRequest,
    SubmitQueryRequest,
)
from forebay_kafka.topic_plan import longest_kept
from forebay_kafka.topics import TOPICS, TopicSpec
from forebay_server.answers.delivery import AnswerDelivery
from forebay_server.answers.lifetime import GONE_SECONDS
from forebay_server.composition import SERVICES
from forebay_server.governance.standing import Rights
from forebay_server.http.bindings import bindings_of
from forebay_server.seals.cursors import Cursors
from forebay_server.seals.query_names import Asker, QueryNames
from forebay_server.seals.secrets import SealSecrets
from forebay_server.services.query_service import QueryService

from .both_wires import over_grpc, over_http
from .conftest import POLICY
from .http_edge import HttpEdge, bearer, reason_of
from .judging import KEY
from .keys import ISSUER, token
from .test_answer_delivery import RECORDS
from .test_foreign_names import Untouched
from .without_log import both_transports, limiter_in_memory

SECRETS = SealSecrets(b"s" * 32)
NAMES, CURSORS = QueryNames(SECRETS), Cursors(SECRETS)
BINDINGS = {
    binding.method.input_type: binding for binding in bindings_of(dict.fromkeys(SERVICES, None))
}
A_DAY = 86_400


def named(age_seconds: float) -> str:
    """The name of a query that was asked so long ago."""
    asked = int((time.time() - age_seconds) * 1000)
    request_id = UUID(int=asked << 80 | 0x7000_8000_0000_0000_0001)
    return NAMES.derive(
        Asker(ISSUER, "acme", "ada"), request_id, SubmitQueryRequest(text="How deep?")
    )


class OnlyQueries(Untouched):
    """In place of every service, of which the others are not called."""

    def __init__(self, queries: QueryService) -> None:
        self.get_query = queries.get_query
        self.cancel_query = queries.cancel_query
        self.stream_answer = queries.stream_answer


@pytest.fixture
async def edge() -> AsyncIterator[HttpEdge]:
    log: Any = Untouched()
    delivery = AnswerDelivery(log, RECORDS, CURSORS, lambda caller: Rights(caller.clearance))
    queries = QueryService(log, delivery, NAMES, CURSORS, limiter_in_memory())
    async with both_transports(OnlyQueries(queries), POLICY) as built:
        yield built


def requests(name: str) -> list[Message]:
    return [
        GetQueryRequest(name=name),
        CancelQueryRequest(name=name),
        StreamAnswerRequest(name=name),
        StreamAnswerRequest(name=name, after_cursor=CURSORS.at(name, 3)),
    ]


@pytest.mark.parametrize("age", [GONE_SECONDS, 3 * A_DAY, 365 * A_DAY])
async def test_a_query_that_the_log_must_have_forgotten_is_not_looked_for(
    edge: HttpEdge, age: float
) -> None:
    headers = [("authorization", f"Bearer {token(KEY)}")]
    for request in requests(named(age)):
        binding = BINDINGS[request.DESCRIPTOR]
        told = await over_grpc(edge, binding.method, request, headers)
        assert (told.status, told.reason) == (404, "QUERY_NOT_FOUND")
        assert await over_http(edge, binding, request, headers) == told


async def test_the_last_event_of_an_ancient_stream_leads_nowhere(edge: HttpEdge) -> None:
    name = named(3 * A_DAY)
    for accept in ("text/event-stream", "application/x-ndjson"):
        headers = {**bearer(token(KEY)), "Accept": accept, "Last-Event-ID": CURSORS.at(name, 3)}
        answer = await edge.http.get(f"/v1/{name}:stream", headers=headers)
        assert (answer.status_code, reason_of(answer)) == (404, "QUERY_NOT_FOUND")


@pytest.mark.parametrize("spec", TOPICS, ids=lambda spec: spec.name)
def test_nothing_is_taken_for_gone_while_its_segment_may_still_be_there(spec: TopicSpec) -> None:
    if spec.retention is not None:
        assert longest_kept(spec) > spec.retention * 1.25
