"""Whom a limit counts."""

from __future__ import annotations

import hashlib
import json

from forebay_server.governance.caller import Caller

HOLDER_BYTES = 16  # of a digest: nobody finds two callers that share one


def holder_of(caller: Caller, *, of_tenant: bool) -> str:
    """Under what a store counts a caller: it has a fixed length and gives no name away."""
    who = [caller.tenant] if of_tenant else [caller.issuer, caller.tenant, caller.subject]
    return hashlib.blake2b(json.dumps(who).encode(), digest_size=HOLDER_BYTES).hexdigest()
