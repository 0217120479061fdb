"""The policy in force, as its file says it now."""

from __future__ import annotations

import logging
from pathlib import Path

from forebay_kafka.watched_file import INTERVAL_SECONDS, ConfigurationInvalid, WatchedFile
from forebay_server.governance.policy import Policy

_log = logging.getLogger(__name__)


class PolicySource(WatchedFile[Policy]):
    """Watches the policy file: `current` is its last good state, `problem` what is wrong now."""

    def __init__(
        self,
        path: Path,
        interval_seconds: float = INTERVAL_SECONDS,
        *,
        countable: bool = True,
    ) -> None:
        """Read it once; ConfigurationInvalid when there is no policy to begin with.

        `countable` says whether calls are counted for all processes together. A policy whose
        limits need that does not count otherwise.
        """
        self._countable = countable
        super().__init__(path, self._parsed, interval_seconds)

    def _parsed(self, content: bytes, path: Path) -> Policy:
        policy = Policy.parse(content, path)
        if policy.counts_calls and not self._countable:
            raise ConfigurationInvalid(
                f"{path}: limits of calls or answers need FOREBAY_LIMITS_URL where several "
                "processes serve"
            )
        return policy

    def adopted(self, value: Policy) -> None:
        """Say in the log which version counts, as envelopes and audit name it."""
        _log.info("a policy is in force", extra={"policy_version": value.version})
