"""Sealed page tokens (AIP-158): where in one list the next page begins."""

from __future__ import annotations

from forebay_server.errors import PageTokenInvalid
from forebay_server.seals.encoding import decode, encode
from forebay_server.seals.secrets import SEAL_BYTES, Seals

PURPOSE = "page-token"


class PageTokens:
    """Makes and opens page tokens; each is good for one tenant's list of one collection."""

    def __init__(self, seals: Seals) -> None:
        self._seals = seals

    def behind(self, tenant: str, parent: str, last_id: str) -> str:
        """The token of the page that begins behind the document with that id."""
        last = last_id.encode()
        seal = self._seals.seal(PURPOSE, last, tenant.encode(), parent.encode())
        return encode(last + seal)

    def last_id(self, tenant: str, parent: str, token: str) -> str:
        """The id behind which the page begins, empty for no token. Raises PageTokenInvalid."""
        if not token:
            return ""
        try:
            data = decode(token)
        except ValueError:
            raise PageTokenInvalid from None
        last, seal = data[:-SEAL_BYTES], data[-SEAL_BYTES:]
        if not self._seals.holds(seal, PURPOSE, last, tenant.encode(), parent.encode()):
            raise PageTokenInvalid
        return last.decode()
