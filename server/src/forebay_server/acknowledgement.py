"""How long a call waits for the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from forebay_kafka.errors import LogUnavailable
from forebay_server.governance.caller import Call

MARGIN_SECONDS = 0.25  # for the refusal to reach the client before it gives up by itself


@asynccontextmanager
async def acknowledged(call: Call) -> AsyncIterator[None]:
    """Wait for the log's acknowledgement, but let the call be refused within its deadline.

    Raises LogUnavailable. The publisher's own delivery timeout bounds calls without a deadline.
    """
    try:
        async with asyncio.timeout(_patience(call)):
            yield
    except TimeoutError as error:
        raise LogUnavailable("the log did not acknowledge within the call's deadline") from error


def _patience(call: Call) -> float | None:
    if call.deadline is None:
        return None
    left = call.deadline - asyncio.get_running_loop().time()
    # A call with little time still spends half of it on the log, which takes milliseconds.
    return max(left - MARGIN_SECONDS, left / 2)
