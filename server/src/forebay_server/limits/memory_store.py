"""Counting in the memory of one process."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable

from forebay_server.limits.store import WINDOW_SECONDS, Counted, Held

# Looked over with each call, oldest first, so that whoever stays away is forgotten: holders that
# are gone leave faster than new ones can come.
SWEPT = 2


class MemoryStore:
    """The LimitStore of an edge with one process; nothing in it waits.

    A holder's calls take memory for a minute, a lease until it ends. `clock` counts seconds from
    anywhere, but never back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._calls: OrderedDict[str, deque[float]] = OrderedDict()
        self._leases: OrderedDict[str, dict[str, float]] = OrderedDict()

    async def count_call(self, holder: str, limit: int) -> Counted:
        """See LimitStore."""
        now = self._clock()
        self._forget_calls(now)
        calls = self._calls.get(holder) or deque()
        _drop_before(calls, now - WINDOW_SECONDS)
        admitted = len(calls) < limit
        if admitted:
            calls.append(now)
            self._calls[holder] = calls
            self._calls.move_to_end(holder)
        reset_in = calls[-1] + WINDOW_SECONDS - now if calls else 0.0
        return Counted(admitted, len(calls), _free_in(calls, limit, now, admitted), reset_in)

    async def hold(self, holder: str, name: str, limit: int | None, seconds: float) -> Held:
        """See LimitStore."""
        now = self._clock()
        self._forget_leases(now)
        leases = {n: end for n, end in self._leases.get(holder, {}).items() if end > now}
        new = name not in leases
        granted = not new or limit is None or len(leases) < limit
        if granted:
            leases[name] = now + seconds
        if leases:
            self._leases[holder] = leases
        free_in = min(leases.values(), default=now) - now
        return Held(granted, new, len(leases), free_in)

    async def release(self, holder: str, name: str) -> None:
        """See LimitStore."""
        leases = self._leases.get(holder, {})
        leases.pop(name, None)
        if not leases:
            self._leases.pop(holder, None)

    def _forget_calls(self, now: float) -> None:
        # The order is that of the last calls, and all windows are equally long.
        for holder in _first(self._calls):
            if self._calls[holder][-1] > now - WINDOW_SECONDS:
                return
            del self._calls[holder]

    def _forget_leases(self, now: float) -> None:
        for holder in _first(self._leases):
            if all(end <= now for end in self._leases[holder].values()):
                del self._leases[holder]
            else:
                self._leases.move_to_end(holder)


def _first(held: OrderedDict[str, deque[float]] | OrderedDict[str, dict[str, float]]) -> list[str]:
    return [holder for holder, _ in zip(held, range(SWEPT), strict=False)]


def _drop_before(calls: deque[float], start: float) -> None:
    while calls and calls[0] <= start:
        calls.popleft()


def _free_in(calls: deque[float], limit: int, now: float, admitted: bool) -> float:  # noqa: FBT001
    if admitted or not limit:
        return 0.0
    # Behind a limit that was lowered there are more than it allows.
    return calls[len(calls) - limit] + WINDOW_SECONDS - now
