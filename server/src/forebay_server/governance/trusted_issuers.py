"""The issuers in force, as their file says it now, each with its keys."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import httpx

from forebay_kafka.watched_file import INTERVAL_SECONDS, WatchedFile
from forebay_server.clock import Clock
from forebay_server.governance.issuers import Issuer, parse_issuers
from forebay_server.governance.key_cache import KeyCache, key_loader
from forebay_server.governance.tokens import TokenAuthenticator, TrustedIssuer

_log = logging.getLogger(__name__)


class IssuerSource(WatchedFile[Sequence[Issuer]]):
    """Watches the issuers file, and tells its authenticator whom to believe from now on.

    An issuer whose rules stay keeps its keys in memory: a change of another one's costs no fetch.
    """

    def __init__(
        self,
        path: Path,
        client: httpx.AsyncClient,
        clock: Clock,
        interval_seconds: float = INTERVAL_SECONDS,
    ) -> None:
        """Read it once; ConfigurationInvalid when there is nobody to believe."""
        super().__init__(path, parse_issuers, interval_seconds)
        self._client = client
        self._clock = clock
        self._trusted = [self._trust(rules) for rules in self.current]
        self._caches = [issuer.keys for issuer in self._trusted]
        self.authenticator = TokenAuthenticator(self._trusted, clock)

    async def keys_loaded(self) -> bool:
        """Whether there are keys of every issuer."""
        return all([await issuer.keys.loaded() for issuer in self._trusted])

    def adopted(self, value: Sequence[Issuer]) -> None:
        """Believe these issuers from now on, and no other."""
        known = {issuer.rules.issuer: issuer for issuer in self._trusted}
        self._trusted = [self._kept(rules, known.get(rules.issuer)) for rules in value]
        self._caches += [issuer.keys for issuer in self._trusted if issuer.keys not in self._caches]
        self.authenticator.trust(self._trusted)
        _log.info("issuers are in force", extra={"issuers": [rules.issuer for rules in value]})

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Watch no longer, and end what still fetches keys."""
        await super().__aexit__(kind, error, trace)
        for cache in self._caches:
            await cache.close()

    def _kept(self, rules: Issuer, known: TrustedIssuer | None) -> TrustedIssuer:
        return known if known is not None and known.rules == rules else self._trust(rules)

    def _trust(self, rules: Issuer) -> TrustedIssuer:
        return TrustedIssuer(rules, KeyCache(rules, key_loader(rules, self._client), self._clock))
