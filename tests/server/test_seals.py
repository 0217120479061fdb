"""Names and cursors: the edge alone makes them, and each is good for one caller or one query."""

import secrets
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st

from forebay.query.v1 import SubmitQueryRequest
from forebay_kafka.watched_file import ConfigurationInvalid
from forebay_server.answers.errors import CursorInvalid
from forebay_server.request_ids import RequestIds, time_of
from forebay_server.seals.cursors import Cursors
from forebay_server.seals.encoding import decode, encode
from forebay_server.seals.query_names import Asker, QueryNames
from forebay_server.seals.secrets import SealFile, SealSecrets

SECRET, OTHER = secrets.token_bytes(32), secrets.token_bytes(32)
NAMES, CURSORS = QueryNames(SealSecrets(SECRET)), Cursors(SealSecrets(SECRET))
ASKER = Asker("https://id.example", "acme", "ada")
ID = UUID("019aa5f0-7c00-7abc-8def-0123456789ab")
REQUEST = SubmitQueryRequest(
    text="How deep?", request_id=str(ID), collections=["collections/a"], filter={"a": "b", "c": "d"}
)
NAME = NAMES.derive(ASKER, ID, REQUEST)


def request(**changed: object) -> SubmitQueryRequest:
    other = SubmitQueryRequest()
    other.CopyFrom(REQUEST)
    for field in changed:
        other.ClearField(field)
    other.MergeFrom(SubmitQueryRequest(**changed))  # type: ignore[arg-type]
    return other


def test_the_same_request_of_the_same_caller_has_the_same_name_on_any_replica() -> None:
    assert QueryNames(SealSecrets(SECRET)).derive(ASKER, ID, request()) == NAME


def test_a_name_is_a_resource_name_of_modest_length() -> None:
    prefix, _, identifier = NAME.partition("/")
    assert prefix == "queries"
    assert len(identifier) == 61
    assert identifier.isalnum()
    assert identifier == identifier.lower()


def test_the_timeout_does_not_make_another_query() -> None:
    assert NAMES.derive(ASKER, ID, request(timeout=Duration(seconds=5))) == NAME


@pytest.mark.parametrize(
    "changed",
    [
        {"text": "How deep"},
        {"collections": ["collections/b"]},
        {"collections": []},
        {"filter": {"a": "b"}},
        {"top_k": 3},
        {"mode": SubmitQueryRequest.MODE_RETRIEVE_ONLY},
    ],
)
def test_the_same_id_with_another_body_is_another_query(changed: dict[str, object]) -> None:
    assert NAMES.derive(ASKER, ID, request(**changed)) != NAME


def test_another_id_is_another_query() -> None:
    assert NAMES.derive(ASKER, UUID(int=ID.int + 1), REQUEST) != NAME


@pytest.mark.parametrize("field", ["issuer", "tenant", "subject"])
def test_a_name_is_its_askers_alone(field: str) -> None:
    other = replace(ASKER, **{field: "other"})
    assert NAMES.opened(other, NAME) is None
    assert NAMES.derive(other, ID, REQUEST) != NAME


def test_shifting_letters_between_tenant_and_subject_opens_nothing() -> None:
    assert NAMES.opened(Asker(ASKER.issuer, "acmea", "da"), NAME) is None


def test_a_name_tells_its_time() -> None:
    opened = NAMES.opened(ASKER, NAME)
    assert opened == ID.int >> 80
    assert opened == time_of(ID) * 1000


def test_no_letter_of_a_name_may_be_changed() -> None:
    for place in range(len("queries/"), len(NAME)):
        for letter in "0av":
            if letter != NAME[place]:
                assert NAMES.opened(ASKER, NAME[:place] + letter + NAME[place + 1 :]) is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "queries",
        "queries/",
        NAME.upper(),
        NAME + "0",
        NAME[:-1],
        NAME + "\n",
        NAME + "=",
        NAME.removeprefix("queries/"),
        "queries/" + "ß" * 61,
        "queries/" + "z" * 61,
        "queries/\x00",
    ],
)
def test_what_was_never_a_name_opens_to_nothing(name: str) -> None:
    assert NAMES.opened(ASKER, name) is None


@given(st.text(max_size=80))
def test_no_text_opens(text: str) -> None:
    assert NAMES.opened(ASKER, "queries/" + text) is None
    with pytest.raises(CursorInvalid):
        CURSORS.offset(NAME, text)


@given(st.binary(max_size=60))
def test_bytes_have_one_spelling(data: bytes) -> None:
    text = encode(data)
    assert decode(text) == data
    if text.upper() != text:
        with pytest.raises(ValueError, match="spelling"):
            decode(text.upper())


@given(st.integers(0, 2**63 - 1))
def test_a_cursor_says_where_it_stands(offset: int) -> None:
    assert CURSORS.offset(NAME, CURSORS.at(NAME, offset)) == offset


def test_a_cursor_is_good_for_one_query() -> None:
    with pytest.raises(CursorInvalid):
        CURSORS.offset(NAME + "x", CURSORS.at(NAME, 7))


def test_no_letter_of_a_cursor_may_be_changed() -> None:
    cursor = CURSORS.at(NAME, 1_000)
    for place in range(len(cursor)):
        for letter in "0av":
            if letter != cursor[place]:
                with pytest.raises(CursorInvalid):
                    CURSORS.offset(NAME, cursor[:place] + letter + cursor[place + 1 :])


@pytest.mark.parametrize("cursor", ["", "0", "zz", "ü", "queries", NAME, "v" * 512])
def test_what_was_never_a_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(CursorInvalid):
        CURSORS.offset(NAME, cursor)


def test_the_former_secret_still_opens_and_no_longer_seals() -> None:
    rotated = SealSecrets(OTHER, SECRET)
    assert QueryNames(rotated).opened(ASKER, NAME) is not None
    assert Cursors(rotated).offset(NAME, CURSORS.at(NAME, 7)) == 7
    with pytest.raises(CursorInvalid):
        CURSORS.offset(NAME, Cursors(rotated).at(NAME, 7))
    assert QueryNames(SealSecrets(OTHER)).opened(ASKER, NAME) is None


def test_a_call_that_is_tried_again_across_a_change_of_secrets_finds_its_query() -> None:
    since = time_of(ID) + 0.001
    after = UUID(int=ID.int + (1 << 80))
    rotated = QueryNames(SealSecrets(OTHER, SECRET, since))
    assert rotated.derive(ASKER, ID, request()) == NAME
    assert rotated.derive(ASKER, after, request()) == QueryNames(SealSecrets(OTHER)).derive(
        ASKER, after, request()
    )


def test_the_time_of_a_secret_decides_what_it_seals_and_never_what_it_opens() -> None:
    early, late = SealSecrets(OTHER, SECRET, since=2_000.0), SealSecrets(OTHER)
    assert early.seal("p", b"a", at=1_999.9) == SealSecrets(SECRET).seal("p", b"a")
    assert early.seal("p", b"a", at=2_000.0) == late.seal("p", b"a")
    assert early.seal("p", b"a") == late.seal("p", b"a")
    assert all(
        early.holds(SealSecrets(each).seal("p", b"a"), "p", b"a") for each in (OTHER, SECRET)
    )


async def test_secrets_change_while_an_edge_runs(tmp_path: Path) -> None:
    file = tmp_path / "seals"
    file.write_text(SECRET.hex())
    seals = SealFile(file)
    before = Cursors(seals).at(NAME, 7)
    file.write_text(f"{OTHER.hex()} 2026-11-01T00:00Z\n{SECRET.hex()}\n")
    await seals.look()
    await seals.look()
    assert seals.current == SealSecrets(OTHER, SECRET, 1_793_491_200.0)
    assert Cursors(seals).at(NAME, 7) == Cursors(SealSecrets(OTHER)).at(NAME, 7)
    assert Cursors(seals).offset(NAME, before) == 7


def test_a_seal_of_one_purpose_is_none_of_another() -> None:
    sealed = SealSecrets(SECRET)
    assert sealed.holds(sealed.seal("cursor", b"a"), "cursor", b"a")
    assert not sealed.holds(sealed.seal("cursor", b"a"), "query-name", b"a")
    assert not sealed.holds(sealed.seal("cursor", b"ab", b"c"), "cursor", b"a", b"bc")


def test_secrets_are_read_from_a_file_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "seals"
    file.write_text(f"{OTHER.hex()}\n{SECRET.hex()}\n")
    assert SealFile(file).current == SealSecrets(OTHER, SECRET)
    assert SECRET.hex() not in repr(SealSecrets(SECRET))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00" * 31,
        "xx" * 32,
        "\n".join(["00" * 32] * 3),
        "00" * 32 + " soon",
        "00" * 32 + " 2026-11-28T12:00",
        "00" * 32 + " 2026-11-28T12:00Z please",
    ],
)
def test_a_seal_file_that_is_weak_or_no_seal_file_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "seals"
    file.write_text(text)
    with pytest.raises(ConfigurationInvalid, match=r"secret|hex"):
        SealFile(file)


def test_two_calls_without_an_id_are_two_queries() -> None:
    ids = RequestIds()
    assert NAMES.derive(ASKER, ids.fresh(), REQUEST) != NAMES.derive(ASKER, ids.fresh(), REQUEST)
