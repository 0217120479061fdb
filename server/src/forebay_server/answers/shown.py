"""What an answer rests on, as far as its reader has come."""

from __future__ import annotations

from collections.abc import Sequence

from forebay.policy.v1 import Visibility
from forebay.query.v1 import AnswerEvent
from forebay_kafka.identity import Grant
from forebay_server.errors import ClearanceTooLow, GroupMissing, ShareWithdrawn
from forebay_server.governance.standing import Rights


class Shown:
    """Of an answer's passages the highest visibility, their readers, and what others share."""

    def __init__(self) -> None:
        self._highest: Visibility.ValueType = Visibility.VISIBILITY_PUBLIC
        self._used: set[Grant] = set()
        self._readers: set[frozenset[str]] = set()

    def take(self, event: AnswerEvent, grants: Sequence[Grant]) -> None:
        """Take an event in before it is shown; `grants` are those that its query searched."""
        for passage in event.retrieved.passages:
            self._highest = max(self._highest, passage.visibility)
            if passage.groups:
                self._readers.add(frozenset(passage.groups))
            self._used.update(
                grant
                for grant in grants
                if passage.document.startswith(f"collections/{grant.alias}/")
            )

    def require(self, rights: Rights) -> None:
        """Raise unless the rights cover all of it.

        ClearanceTooLow, GroupMissing or ShareWithdrawn.
        """
        if self._highest > rights.clearance:
            raise ClearanceTooLow(rights.clearance, self._highest)
        for readers in self._readers:
            if readers.isdisjoint(rights.groups):
                raise GroupMissing
        for grant in self._used:
            if grant not in rights.grants:
                raise ShareWithdrawn(grant.alias)
