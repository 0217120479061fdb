"""An issuer's keys, kept while they are fresh and served from memory through an outage."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

import httpx

from forebay_kafka.bounded_file import read_bounded
from forebay_server.clock import Clock
from forebay_server.errors import IssuerUnavailable
from forebay_server.governance.issuers import Issuer
from forebay_server.governance.jwks import KeysRefused, VerificationKey, parse_keys

MAX_BYTES = 256 * 1024  # 64 RSA keys with certificates stay below it
# Compressed, 256 KiB can hold 256 MiB: the size would be known when it is too late.
PLAIN = {"accept": "application/jwk-set+json, application/json", "accept-encoding": "identity"}

LoadKeys = Callable[[], Awaitable[bytes]]

_log = logging.getLogger(__name__)


class KeyCache:
    """The keys of one issuer.

    Fresh keys are used as they are. Stale ones are used while a refresh runs beside the calls, up
    to the hard age. A key that is not there leads to one refresh per cool-down, however many
    callers name it.
    """

    def __init__(self, issuer: Issuer, load: LoadKeys, clock: Clock) -> None:
        self._issuer = issuer
        self._load = load
        self._clock = clock
        self._keys: Mapping[str, VerificationKey] = {}
        self._loaded_at: float | None = None
        self._tried_at: float | None = None
        self._failed = False
        self._refresh_task: asyncio.Task[None] | None = None

    async def find(self, kid: str) -> VerificationKey | None:
        """The key of that name, None when the issuer has none; IssuerUnavailable in an outage."""
        if self._age() > self._issuer.hard_age_seconds:
            await self._refresh()
            if self._age() > self._issuer.hard_age_seconds:
                raise IssuerUnavailable(self._issuer.issuer)
        elif self._age() > self._issuer.fresh_seconds:
            self._start_refresh()
        if kid not in self._keys:
            await self._refresh()
        key = self._keys.get(kid)
        if key is None and self._failed:
            # The key may be one that the outage hides: nobody can say that the token is bad.
            raise IssuerUnavailable(self._issuer.issuer)
        return key

    async def loaded(self) -> bool:
        """Whether there are keys to judge tokens by; asks for them where there are none yet."""
        if self._age() > self._issuer.hard_age_seconds:
            await self._refresh()
        return self._age() <= self._issuer.hard_age_seconds

    async def close(self) -> None:
        """End a refresh that still runs."""
        if self._refresh_task is not None:
            self._refresh_task.cancel()
            await asyncio.gather(self._refresh_task, return_exceptions=True)

    def _age(self) -> float:
        return self._since(self._loaded_at)

    def _since(self, moment: float | None) -> float:
        if moment is None:
            return float("inf")
        elapsed = self._clock() - moment
        # A clock that was set back would otherwise keep old keys for as long as it went back. Steps
        # of a synchronised clock are small, and no reason to fetch.
        return elapsed if elapsed > -self._issuer.cool_down_seconds else float("inf")

    async def _refresh(self) -> None:
        task = self._start_refresh()
        if task is not None:
            # A caller that gives up must not end the refresh for the others.
            await asyncio.shield(task)

    def _start_refresh(self) -> asyncio.Task[None] | None:
        running = self._refresh_task
        if running is not None and not running.done():
            return running
        if self._since(self._tried_at) < self._issuer.cool_down_seconds:
            return None
        self._tried_at = self._clock()
        self._refresh_task = asyncio.create_task(self._fetch())
        return self._refresh_task

    async def _fetch(self) -> None:
        try:
            self._keys = parse_keys(await self._load())
        # KeysRefused is a ValueError; so is what no resolver takes for a host's name.
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            self._failed = True
            _log.warning(
                "the issuer's keys cannot be had",
                extra={"issuer": self._issuer.issuer, "error": repr(error)},
            )
        else:
            self._failed = False
            self._loaded_at = self._clock()


def key_loader(issuer: Issuer, client: httpx.AsyncClient) -> LoadKeys:
    """How an issuer's keys are loaded: from its file, or over HTTP."""
    if issuer.jwks_file is not None:
        path = issuer.jwks_file

        async def from_file() -> bytes:
            return await asyncio.to_thread(read_bounded, path, MAX_BYTES)

        return from_file
    url = str(issuer.jwks_url)

    async def from_url() -> bytes:
        async with asyncio.timeout(issuer.fetch_timeout_seconds):
            return await _download(client, url)

    return from_url


async def _download(client: httpx.AsyncClient, url: str) -> bytes:
    content = bytearray()
    # A redirect would let whoever controls one page of the issuer choose the keys.
    async with client.stream("GET", url, headers=PLAIN, follow_redirects=False) as response:
        if response.status_code != httpx.codes.OK:
            raise KeysRefused(f"the issuer answers {response.status_code}")
        if "content-encoding" in response.headers:
            raise KeysRefused("the set of keys is compressed")
        async for chunk in response.aiter_raw():
            content += chunk
            if len(content) > MAX_BYTES:
                raise KeysRefused("the set of keys is too large")
    return bytes(content)
