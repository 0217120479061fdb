"""Names of metadata that nobody but Forebay gives: a client that sends one is mistaken or lying."""

from __future__ import annotations

import re
from collections.abc import Iterable

from forebay_kafka.failure import DOMAIN
from forebay_server.errors import FieldInvalid, Violation

# As gateways spell them, too: some write underscores for hyphens, some put a prefix before them.
# What other programs call an identity (`x-tenant`, `x-forwarded-user`) is not refused, because
# proxies add it to good calls; it is never looked at.
RESERVED = re.compile(rf"(?:grpc[-_]metadata[-_])?{DOMAIN}[-_]", re.IGNORECASE)
MAX_NAME_CHARACTERS = 64


def require_unreserved(names: Iterable[str]) -> None:
    """Raise FieldInvalid for metadata or headers of a reserved name."""
    for name in names:
        if RESERVED.match(name):
            broken = "is reserved: the token alone says who calls"
            raise FieldInvalid(Violation(name[:MAX_NAME_CHARACTERS], "metadata.reserved", broken))
