"""Calls that come in while the policy changes, by a chain that watches its file."""

import asyncio
from pathlib import Path

import pytest

from forebay.policy.v1 import Visibility
from forebay_server.audit.activity import Activity, unheard
from forebay_server.clock import system_clock
from forebay_server.composition import QUERY_SERVICE
from forebay_server.errors import TierUnknown
from forebay_server.governance.authorisation import MethodPolicies
from forebay_server.governance.caller import Caller
from forebay_server.governance.chain import Chain
from forebay_server.governance.policy import Policy
from forebay_server.governance.policy_source import PolicySource
from forebay_server.governance.tokens import TokenAuthenticator
from forebay_server.governance.validation import RequestValidator

from .judging import KEY, trusted
from .keys import public_jwk, token
from .limited import Edge as Limited

HIGH = "tiers: {enterprise: {clearance: CONFIDENTIAL}}"
LOWERED = "tiers: {enterprise: {clearance: INTERNAL}}"
GONE = "tiers: {free: {clearance: PUBLIC}}"
LOWERED_FOR_ACME = f"{HIGH}\ntenants: {{acme: {{tiers: {{enterprise: {{clearance: PUBLIC}}}}}}}}"
METHOD = "/forebay.query.v1.QueryService/GetCaller"


class Edge:
    """A chain over a watched policy, and one remembered token per tenant."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._write(HIGH)
        self._source = PolicySource(path)
        self._tokens = {tenant: token(KEY, tenant=tenant) for tenant in ("acme", "globex")}
        authenticator = TokenAuthenticator([trusted([public_jwk(KEY, "k1")])], system_clock)
        methods = MethodPolicies([QUERY_SERVICE])
        limiter = Limited().limiter
        self._chain = Chain(
            authenticator, self._source, methods, RequestValidator(), limiter, unheard
        )

    async def call(self, tenant: str = "acme") -> Caller:
        return await self._chain.admit(Activity(METHOD), [f"Bearer {self._tokens[tenant]}"])

    async def change(self, text: str) -> None:
        self._write(text)
        await self._source.look()
        await self._source.look()

    def version(self, text: str) -> str:
        return Policy.parse(text.encode(), self._path).version

    def _write(self, text: str) -> None:
        self._path.write_text(text)


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    return Edge(tmp_path / "policy.yaml")


async def test_a_remembered_token_gets_what_the_policy_grants_now(edge: Edge) -> None:
    assert (await edge.call()).clearance == Visibility.VISIBILITY_CONFIDENTIAL
    await edge.change(LOWERED)
    caller = await edge.call()
    assert caller.clearance == Visibility.VISIBILITY_INTERNAL
    assert caller.policy_version == edge.version(LOWERED) != edge.version(HIGH)
    await edge.change(GONE)
    with pytest.raises(TierUnknown):
        await edge.call()


async def test_a_rule_of_one_tenant_holds_for_its_remembered_tokens_alone(edge: Edge) -> None:
    await edge.call()
    await edge.call("globex")
    await edge.change(LOWERED_FOR_ACME)
    assert (await edge.call()).clearance == Visibility.VISIBILITY_PUBLIC
    assert (await edge.call("globex")).clearance == Visibility.VISIBILITY_CONFIDENTIAL


async def test_no_call_fails_or_mixes_two_policies_while_they_change(edge: Edge) -> None:
    seen: set[tuple[str, Visibility.ValueType]] = set()
    over = asyncio.Event()

    async def calling() -> None:
        while not over.is_set():
            caller = await edge.call()
            seen.add((caller.policy_version, caller.clearance))
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as calls:
        for _ in range(10):
            calls.create_task(calling())
        for text in (LOWERED, HIGH) * 5:
            await edge.change(text)
            assert (await edge.call()).policy_version == edge.version(text)
        over.set()
    assert seen == {
        (edge.version(HIGH), Visibility.VISIBILITY_CONFIDENTIAL),
        (edge.version(LOWERED), Visibility.VISIBILITY_INTERNAL),
    }
