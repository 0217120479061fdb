from uuid import UUID

import pytest

from forebay_server.errors import FieldInvalid, RequestIdOutOfWindow
from forebay_server.request_ids import RequestIds, time_of

NOW = 1_800_000_000.0
ids = RequestIds(lambda: NOW)


def made_at(seconds: float) -> str:
    return str(RequestIds(lambda: seconds).fresh())


def test_a_call_without_an_id_gets_one_of_now() -> None:
    made = ids.admit("")
    assert (made.version, made.variant) == (7, UUID(made_at(0)).variant)
    assert time_of(made) == NOW
    assert ids.admit("") != made


@pytest.mark.parametrize("seconds", [-900, -1, 0, 60])
def test_an_id_within_the_window_is_taken_as_it_is(seconds: float) -> None:
    sent = made_at(NOW + seconds)
    assert str(ids.admit(sent)) == sent


@pytest.mark.parametrize("seconds", [-901, 61])
def test_an_id_beyond_the_window_is_told_the_servers_time(seconds: float) -> None:
    with pytest.raises(RequestIdOutOfWindow) as refused:
        ids.admit(made_at(NOW + seconds))
    assert refused.value.metadata == {"server_time": "2027-01-15T08:00:00.000Z"}
    assert [broken.field for broken in refused.value.violations] == ["request_id"]


@pytest.mark.parametrize(
    "sent",
    [
        "x",
        "b1f9d2c4-52c8-4a8e-9c1e-2f0a5a4f3b11",
        made_at(NOW).upper(),
        "{" + made_at(NOW) + "}",
        made_at(NOW).replace("-", ""),
    ],
)
def test_what_is_no_uuid_of_version_seven_is_refused(sent: str) -> None:
    with pytest.raises(FieldInvalid):
        ids.admit(sent)
