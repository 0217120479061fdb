"""What fails inside says nothing of itself to a client, nor content to the log."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any
from urllib.error import HTTPError

import confluent_kafka
import httpx
import psycopg
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from forebay.policy.v1 import Scope
from forebay_kafka.failure import UNEXPECTED
from forebay_server.composition import SERVICES
from forebay_server.errors import scope_word
from forebay_server.governance.validation import RequestValidator
from forebay_server.http.bindings import Binding, bindings_of

from .both_wires import empty, over_grpc, refusal_of
from .conftest import POLICY
from .http_edge import HttpEdge
from .http_forms import http_form
from .judging import KEY
from .keys import token
from .without_log import both_transports

CANARY = "swordfish"
METHODS = [served for service in SERVICES for served in service.methods]
BINDINGS = bindings_of(dict.fromkeys(SERVICES, None))
HEADERS = [
    ("authorization", f"Bearer {token(KEY, scope=' '.join(map(scope_word, Scope.values()[1:])))}")
]
ERRORS: list[Exception] = [
    RuntimeError(CANARY),
    KeyError(CANARY),
    UnicodeDecodeError("utf-8", CANARY.encode(), 0, 1, CANARY),
    OSError(2, CANARY, f"/{CANARY}"),
    ExceptionGroup(CANARY, [ValueError(CANARY)]),
    HTTPError(f"http://{CANARY}", 418, CANARY, None, None),  # type: ignore[arg-type]
    httpx.InvalidURL(CANARY),
    psycopg.errors.CheckViolation(f'Failing row contains ("{CANARY}")'),
    confluent_kafka.KafkaException(confluent_kafka.KafkaError(-1, CANARY)),
]


class Willing(RequestValidator):
    """Takes every request: what is tested lies behind."""

    def validate(self, message: Message) -> None:
        """Do nothing."""


class Failing:
    """A service whose every method fails, a stream's after so many events."""

    def __init__(self) -> None:
        self.error: Exception = RuntimeError()
        self.events = 0

    def __getattr__(self, name: str) -> Any:
        served = next(each for each in METHODS if is_method(each, name))
        return self._stream(served) if served.server_streaming else self._fail

    async def _fail(self, *_: object) -> Message:
        await self._raise()
        raise AssertionError

    def _stream(self, served: MethodDescriptor) -> Any:
        async def events(*_: object) -> AsyncGenerator[Message]:
            for _number in range(self.events):
                yield GetMessageClass(served.output_type)()
            await self._raise()

        return events

    async def _raise(self) -> None:
        try:
            int(f"{CANARY} as the cause")
        except ValueError as cause:
            raise self.error from cause


def is_method(served: MethodDescriptor, name: str) -> bool:
    return served.name.lower() == name.replace("_", "")


@pytest.fixture
def failing() -> Failing:
    return Failing()


@pytest.fixture
async def edge(failing: Failing) -> AsyncIterator[HttpEdge]:
    async with both_transports(failing, POLICY, validator=Willing()) as built:
        yield built


def require_silence(caplog: pytest.LogCaptureFixture, *said: str) -> None:
    lines = "".join(repr(vars(record)) for record in caplog.records)
    assert "a call failed by a defect" in lines
    assert CANARY not in lines + caplog.text + "".join(said)
    caplog.clear()


async def asked(edge: HttpEdge, binding: Binding) -> httpx.Response:
    form = http_form(binding, empty(binding.method))
    body = form.body if binding.body_field is None else {}
    return await edge.http.request(
        form.method, form.path, params=form.parameters, json=body, headers=HEADERS
    )


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_a_defect_is_internal_on_every_wire_and_quotes_nothing(
    edge: HttpEdge, failing: Failing, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    caplog.set_level(logging.DEBUG, "forebay_server")
    failing.error = error
    for served in METHODS:
        told = await over_grpc(edge, served, empty(served), HEADERS)
        assert (told.status, told.reason, told.body["message"]) == (500, "INTERNAL", UNEXPECTED)
        require_silence(caplog, str(told.body))
    for binding in BINDINGS:
        answer = await asked(edge, binding)
        told = refusal_of(answer)
        assert (told.status, told.reason, told.body["message"]) == (500, "INTERNAL", UNEXPECTED)
        require_silence(caplog, answer.text, str(answer.headers))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_a_defect_in_the_middle_of_a_stream_quotes_nothing_either(
    edge: HttpEdge, failing: Failing, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    caplog.set_level(logging.DEBUG, "forebay_server")
    failing.error, failing.events = error, 2
    for binding in BINDINGS:
        if binding.method.server_streaming:
            told = await over_grpc(edge, binding.method, empty(binding.method), HEADERS)
            assert told.reason == "INTERNAL"
            require_silence(caplog, str(told.body))
            answer = await asked(edge, binding)
            assert answer.status_code == 200
            assert "INTERNAL" in answer.text.splitlines()[-2]
            require_silence(caplog, answer.text)
