"""Names of queries that are somebody else's are refused by their seal alone, like made-up ones."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from forebay.policy.v1 import Visibility
from forebay.query.v1 import (
    CancelQueryRequest,
    GetQueryRequest,
    StreamAnswerRequest,
    SubmitQueryRequest,
)
from forebay_kafka.identity import GenerationLimits
from forebay_server.answers.errors import QueryNotFound
from forebay_server.governance.caller import Call, Caller, TierLimits
from forebay_server.seals.cursors import Cursors
from forebay_server.seals.query_names import Asker, QueryNames
from forebay_server.seals.secrets import SealSecrets
from forebay_server.services.query_service import QueryService

SECRETS = SealSecrets(b"s" * 32)
NAMES = QueryNames(SECRETS)
CALLER = Caller(
    issuer="https://id.test",
    tenant="acme",
    subject="ada",
    tier="free",
    clearance=Visibility.VISIBILITY_PUBLIC,
    groups=(),
    scopes=frozenset(),
    limits=TierLimits(5, GenerationLimits("", 1, 1)),
    expire_time=2e9,
    policy_version="1",
)
OWN = NAMES.derive(
    Asker(CALLER.issuer, CALLER.tenant, CALLER.subject),
    UUID("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"),
    SubmitQueryRequest(text="Why?"),
)


def changed(name: str, at: int) -> str:
    return f"{name[:at]}{'c' if name[at] == 'b' else 'b'}{name[at + 1 :]}"


STRANGERS = {
    field: (replace(CALLER, **{field: "other"}), OWN) for field in ("issuer", "tenant", "subject")
}
MADE_UP = {
    "cut": OWN[:-1],
    "longer": f"{OWN}0",
    "another case": OWN.upper(),
    "zeros": f"queries/{'0' * (len(OWN) - 8)}",
    "nonsense": "queries/nonsense",
    "nothing": "queries/",
    **{f"another character {at}": changed(OWN, at) for at in range(8, len(OWN), 7)},
}
CASES = STRANGERS | {kind: (CALLER, name) for kind, name in MADE_UP.items()}


class Untouched:
    """A log, a limiter: whoever asks it anything has taken a round trip."""

    def __getattr__(self, name: str) -> Any:
        def touched(*_: object, **__: object) -> None:
            raise AssertionError(name)

        return touched


@pytest.fixture
def service() -> QueryService:
    nobody: Any = Untouched()
    return QueryService(nobody, nobody, NAMES, Cursors(SECRETS), nobody)


def test_the_name_is_its_askers_own() -> None:
    assert NAMES.opened(Asker(CALLER.issuer, CALLER.tenant, CALLER.subject), OWN) is not None


@pytest.mark.parametrize("case", CASES)
async def test_a_name_that_is_not_the_callers_is_refused_without_a_look_at_anything(
    service: QueryService, case: str
) -> None:
    caller, name = CASES[case]
    call, texts = Call(caller), set()
    following = service.stream_answer(call, StreamAnswerRequest(name=name, after_cursor="x"))
    for asked in (
        lambda: service.get_query(call, GetQueryRequest(name=name)),
        lambda: service.cancel_query(call, CancelQueryRequest(name=name)),
        lambda: anext(aiter(following)),
    ):
        with pytest.raises(QueryNotFound) as refused:
            await asked()
        texts.add((str(refused.value), *refused.value.metadata))
    assert len(texts) == 1
