"""What a caller has left, as draft-ietf-httpapi-ratelimit-headers-10 says it."""

from __future__ import annotations

import math

from forebay_server.limits.allowances import Limit
from forebay_server.limits.store import WINDOW_SECONDS

WINDOWS = {Limit.REQUESTS_PER_MINUTE: f";w={WINDOW_SECONDS:.0f}"}  # the other limits have none


def rate_limit_headers(limit: str, quota: int, remaining: int, seconds: float) -> dict[str, str]:
    """The headers of a limit of `quota`; `seconds` is when there is more than `remaining` again."""
    window = WINDOWS.get(Limit(limit), "")
    return {
        "RateLimit": f'"{limit}";r={remaining};t={math.ceil(seconds)}',
        "RateLimit-Policy": f'"{limit}";q={quota}{window}',
    }
