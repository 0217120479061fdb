"""When a token counts (RFC 7519, sections 4.1.4 to 4.1.6), by the edge's clock."""

from __future__ import annotations

import math
from typing import Any

from forebay_server.errors import TokenExpired, TokenInvalid
from forebay_server.governance.issuers import Issuer


def expiry_of(claims: dict[str, Any], issuer: Issuer, now: float) -> float:
    """Until when the edge believes the token: `exp` and the leeway, in seconds since 1970.

    Raises TokenExpired when that is over, and TokenInvalid when a time is no number, not reached
    yet, or when the token lives longer than its issuer may grant.
    """
    leeway = issuer.leeway_seconds
    expiry = _time(claims, "exp")
    if expiry is None:
        raise TokenInvalid("exp")
    issued, not_before = _time(claims, "iat"), _time(claims, "nbf")
    require_alive(expiry + leeway, now)
    if not_before is not None and not_before > now + leeway:
        raise TokenInvalid("nbf")
    if issued is not None and issued > now + leeway:
        raise TokenInvalid("iat")
    lifetime = expiry - (now if issued is None else issued)
    if lifetime > issuer.lifetime_limit_seconds:
        raise TokenInvalid("lifetime")
    return expiry + leeway


def require_alive(expire_time: float, now: float) -> None:
    """TokenExpired when the edge does not believe the token any more."""
    if now >= expire_time:
        raise TokenExpired


def _time(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    # bool is an int to Python, and no time to anybody else.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenInvalid(name)
    if not 0 <= value < 2**53 or not math.isfinite(value):
        raise TokenInvalid(name)
    return float(value)
