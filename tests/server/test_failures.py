import logging
from email.message import Message as Headers
from typing import TypeVar
from urllib.error import HTTPError

import pytest
from google.protobuf.message import Message
from google.rpc import code_pb2
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from forebay.errors.v1 import ErrorReason
from forebay.policy.v1 import Scope, Visibility
from forebay_kafka.errors import LogUnavailable
from forebay_postgres.errors import DatabaseUnavailable
from forebay_server import errors
from forebay_server.errors import EdgeError, Violation
from forebay_server.failures import MAX_STATUS_BYTES, failure_of

MessageT = TypeVar("MessageT", bound=Message)
BROKEN = Violation("text", "string.min_len", "is empty")
EXAMPLES: list[Exception] = [
    errors.TokenMissing(),
    errors.TokenInvalid("audience"),
    errors.TokenExpired(),
    errors.IssuerUnavailable("https://id.test"),
    errors.ScopeMissing(Scope.SCOPE_ASK),
    errors.TierUnknown("gold"),
    errors.ClearanceTooLow(Visibility.VISIBILITY_PUBLIC, Visibility.VISIBILITY_INTERNAL),
    errors.CollectionReadOnly("vendor"),
    errors.ShareWithdrawn("vendor"),
    errors.GroupMissing(),
    errors.FieldInvalid(BROKEN),
    errors.DocumentTooLarge(BROKEN, 4),
    errors.RequestIdOutOfWindow(0),
    errors.PageTokenInvalid(),
    errors.SequenceInvalid(3),
    errors.DocumentNotFound(),
    errors.EtagMismatch("0192f0c1-2f5b-7a3e-8c4d-5e6f70819203"),
    errors.MethodUnknown(),
    errors.ServerDraining(),
    LogUnavailable("down"),
    DatabaseUnavailable("down"),
]
WITH_RETRY = {"ISSUER_UNAVAILABLE", "LOG_UNAVAILABLE", "INDEX_UNAVAILABLE", "SERVER_DRAINING"}


def details(status: Status, kind: type[MessageT]) -> list[MessageT]:
    found = []
    for detail in status.details:
        if detail.Is(kind.DESCRIPTOR):
            unpacked = kind()
            detail.Unpack(unpacked)
            found.append(unpacked)
    return found


def test_every_error_of_the_edge_has_an_example_here() -> None:
    assert {type(example) for example in EXAMPLES} >= {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, EdgeError) and kind is not EdgeError
    }


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_is_a_status_with_exactly_one_error_info(error: Exception) -> None:
    status = failure_of(error)
    [info] = details(status, ErrorInfo)
    assert info.domain == "forebay"
    assert f"ERROR_REASON_{info.reason}" in set(ErrorReason.keys())
    assert status.code == error.code != code_pb2.OK  # type: ignore[attr-defined]
    assert bool(details(status, RetryInfo)) == (info.reason in WITH_RETRY)


def test_a_broken_field_stands_in_a_bad_request() -> None:
    [request] = details(failure_of(errors.FieldInvalid(BROKEN)), BadRequest)
    [broken] = request.field_violations
    assert (broken.field, broken.reason) == ("text", "STRING_MIN_LEN")


def broken(error: Exception) -> Exception:
    """The error as it comes out of some depth, with what caused it."""
    try:
        try:
            int("swordfish")
        except ValueError as cause:
            raise error from cause
    except Exception as raised:  # noqa: BLE001
        return raised


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("the password is swordfish"),
        UnicodeDecodeError("utf-8", b"swordfish", 0, 1, "swordfish"),
        HTTPError("http://swordfish", 418, "swordfish", Headers(), None),
        KeyError("swordfish"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_the_place_of_a_defect_goes_to_the_log_and_its_text_nowhere(
    caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    with caplog.at_level(logging.DEBUG):
        status = failure_of(broken(error), "0af7651916cd43dd")
    assert status.code == code_pb2.INTERNAL
    assert [info.reason for info in details(status, ErrorInfo)] == ["INTERNAL"]
    [line] = caplog.records
    assert b"swordfish" not in status.SerializeToString()
    assert "swordfish" not in caplog.text + repr(vars(line))
    assert line.trace == "0af7651916cd43dd"  # type: ignore[attr-defined]
    kind, place, cause, _ = line.where  # type: ignore[attr-defined]
    assert (kind, cause) == (type(error).__name__, "ValueError")
    assert place.startswith("test_failures.py:")


def test_a_status_fits_into_the_metadata_of_a_client() -> None:
    wide = [Violation("ß" * 128, "rule", "ß" * 900) for _ in range(10)]
    status = failure_of(errors.FieldInvalid(*wide))
    assert status.ByteSize() < MAX_STATUS_BYTES + 2048
    assert len(status.message.encode()) <= 512
