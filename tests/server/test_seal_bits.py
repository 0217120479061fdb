"""Of nothing that the edge seals may a bit be changed, nor an owner or a purpose."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forebay.pipeline.v1 import DeadLetterFilter
from forebay.query.v1 import SubmitQueryRequest
from forebay_server.answers.errors import CursorInvalid
from forebay_server.errors import PageTokenInvalid
from forebay_server.ingest.page_tokens import PageTokens
from forebay_server.pipeline.letter_pages import LetterPages
from forebay_server.pipeline.letters import LetterPlace
from forebay_server.seals.cursors import Cursors
from forebay_server.seals.encoding import decode, encode
from forebay_server.seals.query_names import PREFIX, Asker, QueryNames
from forebay_server.seals.secrets import SealSecrets

FORMER, CURRENT, STRANGE = (bytes([number]) * 32 for number in (1, 2, 3))
SEALS = SealSecrets(CURRENT, FORMER)
FEW = settings(max_examples=25, deadline=None)
ALPHABET = "0123456789abcdefghijklmnopqrstuv"


@dataclass(frozen=True)
class Kind:
    """How something is sealed for an owner, and whether a text opens for one."""

    seal: Callable[[SealSecrets, str, int], str]
    opens: Callable[[SealSecrets, str, str], bool]


def name(seals: SealSecrets, owner: str, value: int) -> str:
    request = SubmitQueryRequest(text=str(value))
    request_id = UUID(int=(1 + value % 2**40) << 80)
    derived = QueryNames(seals).derive(asker(owner), request_id, request)
    return derived.removeprefix(PREFIX)


def asker(owner: str) -> Asker:
    return Asker("https://id.example", owner, "ada")


def opens_page(seals: SealSecrets, owner: str, text: str) -> bool:
    try:
        return bool(PageTokens(seals).last_id(owner, "collections/c", text))
    except PageTokenInvalid:
        return False


def opens_letters(seals: SealSecrets, owner: str, text: str) -> bool:
    try:
        return LetterPages(seals).place(DeadLetterFilter(tenant=owner), text) is not None
    except PageTokenInvalid:
        return False


def opens_cursor(seals: SealSecrets, owner: str, text: str) -> bool:
    try:
        Cursors(seals).offset(PREFIX + owner, text)
    except CursorInvalid:
        return False
    return True


KINDS = {
    "a query's name": Kind(
        name,
        lambda seals, owner, text: (
            QueryNames(seals).opened(asker(owner), PREFIX + text) is not None
        ),
    ),
    "a cursor": Kind(
        lambda seals, owner, value: Cursors(seals).at(PREFIX + owner, value), opens_cursor
    ),
    "a page token": Kind(
        lambda seals, owner, value: PageTokens(seals).behind(owner, "collections/c", f"d{value}"),
        opens_page,
    ),
    "a page token of dead letters": Kind(
        lambda seals, owner, value: LetterPages(seals).behind(
            DeadLetterFilter(tenant=owner), LetterPlace(value, 3, 7)
        ),
        opens_letters,
    ),
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
values = st.integers(0, 2**62)
owners = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12)


@every_kind
@FEW
@given(value=values, owner=owners)
def test_what_was_sealed_opens_for_its_owner_by_the_current_secret_and_the_former(
    kind: Kind, value: int, owner: str
) -> None:
    for secret in (CURRENT, FORMER):
        assert kind.opens(SEALS, owner, kind.seal(SealSecrets(secret), owner, value))
    assert not kind.opens(SEALS, owner, kind.seal(SealSecrets(STRANGE), owner, value))


@every_kind
def test_no_bit_may_be_changed(kind: Kind) -> None:
    sealed = decode(kind.seal(SEALS, "acme", 1_000))
    for bit in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        assert not kind.opens(SEALS, "acme", encode(bytes(changed)))


@every_kind
def test_no_letter_may_be_changed_put_in_or_left_out(kind: Kind) -> None:
    sealed = kind.seal(SEALS, "acme", 1_000)
    for at in range(len(sealed) + 1):
        for letter in ALPHABET:
            assert not kind.opens(SEALS, "acme", sealed[:at] + letter + sealed[at:])
            if at < len(sealed) and letter != sealed[at]:
                assert not kind.opens(SEALS, "acme", sealed[:at] + letter + sealed[at + 1 :])
        assert sealed[:at] == sealed or not kind.opens(SEALS, "acme", sealed[:at])


@every_kind
@FEW
@given(value=values, owner=owners, other=owners)
def test_nothing_opens_for_another(kind: Kind, value: int, owner: str, other: str) -> None:
    if owner != other:
        assert not kind.opens(SEALS, other, kind.seal(SEALS, owner, value))


@every_kind
@FEW
@given(value=values, owner=owners)
def test_nothing_opens_as_something_else(kind: Kind, value: int, owner: str) -> None:
    sealed = kind.seal(SEALS, owner, value)
    assert [other for other in KINDS.values() if other.opens(SEALS, owner, sealed)] == [kind]


@every_kind
@FEW
@given(junk=st.binary(max_size=80))
def test_nothing_that_was_never_sealed_opens(kind: Kind, junk: bytes) -> None:
    assert not kind.opens(SEALS, "acme", encode(junk))
