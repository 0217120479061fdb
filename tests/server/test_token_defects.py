"""One row per defect of a token: what the client is told, as code, reason and metadata."""

import asyncio
from typing import Any

import pytest
from google.rpc import code_pb2
from google.rpc.error_details_pb2 import ErrorInfo
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forebay_server.errors import EdgeError, TokenInvalid
from forebay_server.failures import failure_of
from forebay_server.governance.strict_json import MAX_DEPTH
from forebay_server.governance.token_form import read_form

from .calls import details_of, reason_of
from .judging import DAY, HEADER, KEY, NOW, judge, raw, trusted
from .keys import public_jwk, token
from .token_defects import (
    DEFECTS,
    EDWARDS,
    GOOD,
    KEYS,
    P384,
    RSA,
    SIGNED,
    STRANGER,
    Defect,
    claiming,
    headed,
    nested,
)


async def refused(made: str) -> EdgeError:
    with pytest.raises(EdgeError) as error:
        await judge(made, trusted(KEYS))
    return error.value


@pytest.mark.parametrize("key", [KEY, RSA, P384, EDWARDS], ids=["k1", "r1", "p384", "ed"])
async def test_the_keys_of_this_table_are_good_where_nothing_is_wrong(key: Any) -> None:
    kid, alg = {
        id(KEY): ("k1", "ES256"),
        id(RSA): ("r1", "PS256"),
        id(P384): ("p384", "ES384"),
        id(EDWARDS): ("ed", "EdDSA"),
    }[id(key)]
    assert await judge(token(key, kid=kid, alg=alg), trusted(KEYS))


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
async def test_a_token_that_breaks_a_rule_is_refused_by_its_name(defect: Defect) -> None:
    status = failure_of(await refused(defect.token))
    [info] = details_of(status, ErrorInfo)
    assert status.code == code_pb2.UNAUTHENTICATED
    assert (info.reason, info.domain) == ("TOKEN_INVALID", "forebay")
    assert dict(info.metadata) == {"rule": defect.rule}


def test_no_two_rows_are_alike() -> None:
    assert len({defect.name for defect in DEFECTS}) == len(DEFECTS)
    assert len({defect.token for defect in DEFECTS}) == len(DEFECTS)


@pytest.mark.parametrize("seconds", [31, DAY])
async def test_a_token_that_is_over_is_expired_and_not_invalid(seconds: int) -> None:
    status = failure_of(await refused(token(KEY, iat=NOW - DAY - 60, exp=NOW - seconds)))
    assert status.code == code_pb2.UNAUTHENTICATED
    assert reason_of(status) == "TOKEN_EXPIRED"


async def test_an_expired_token_of_a_stranger_is_not_told_that_it_was_good() -> None:
    error = await refused(token(STRANGER, exp=NOW - DAY))
    assert error.metadata == {"rule": "signature"}


@pytest.mark.parametrize(
    "members",
    [
        {"jwk": public_jwk(STRANGER, "k1")},
        {"jku": "https://evil.test/keys"},
        {"x5u": "https://evil.test/chain"},
        {"x5c": ["MIIB"]},
        {"x5t": "abc"},
        {"typ": "AT+JWT"},
        {"typ": "application/at+jwt"},
    ],
    ids=str,
)
async def test_keys_that_a_header_brings_along_change_nothing(members: dict[str, Any]) -> None:
    assert (await judge(headed(**members), trusted(KEYS))).principal.subject == "ada"


async def test_a_nest_within_the_limit_is_read() -> None:
    assert await judge(claiming(f'"x":{nested(MAX_DEPTH - 2)}'), trusted(KEYS))


async def test_no_depth_of_nests_is_a_defect_of_the_edge() -> None:
    # Readers give up at depths of their own; between two of them an error could slip through.
    for levels in range(900, 1010):
        error = await refused(raw(f'{HEADER[:-1]},"x":{nested(levels)}}}', GOOD))
        assert error.metadata == {"rule": "form"}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_changed_character_is_always_a_refusal(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(SIGNED) - 1))
    other = data.draw(st.characters(exclude_characters=SIGNED[place]))
    changed = SIGNED[:place] + other + SIGNED[place + 1 :]
    with asyncio.Runner() as runner:
        error = runner.run(refused(changed))
    assert error.code == code_pb2.UNAUTHENTICATED


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{1,60}(\.[A-Za-z0-9_-]{0,60}){2}"))
def test_whatever_comes_in_place_of_a_token_is_refused_as_invalid(text: str) -> None:
    with pytest.raises(TokenInvalid):
        read_form(text)
