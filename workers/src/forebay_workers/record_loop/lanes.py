"""Which record starts next: in order within a lane, fair between tenants."""

from collections import Counter, deque
from collections.abc import Callable, Iterator

from forebay_workers.record_loop.run import Run


class FairLanes:
    """Waiting records by lane.

    One record of a lane runs at a time. The turn that holds the fewest slots is next, and among
    equals the one that waits longest (max-min fairness). A turn is a tenant's on one topic: what
    it deletes does not wait behind what it brings in.
    """

    def __init__(self) -> None:
        self.waiting = 0
        self._lanes: dict[str, deque[Run]] = {}  # a lane stays here while it runs
        self._running: set[str] = set()
        self._startable: dict[str, deque[str]] = {}  # lanes by turn, longest waiting first
        self._slots: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Run]:
        """All that wait."""
        return (run for lane in self._lanes.values() for run in lane)

    def add(self, run: Run) -> None:
        """Put a record at the end of its lane."""
        self.waiting += 1
        lane = self._lanes.setdefault(run.lane, deque())
        lane.append(run)
        if len(lane) == 1 and run.lane not in self._running:
            self._offer(run.lane)

    def start(self) -> Run | None:
        """Take the next record that may run; `finish` it or `put_back` later."""
        if not self._startable:
            return None
        # Linear in the turns that wait just now: 10 µs for a hundred of them.
        turn = min(self._startable, key=self._slots.__getitem__)
        lanes = self._startable.pop(turn)
        run = self._lanes[lanes.popleft()].popleft()
        if lanes:
            self._startable[turn] = lanes  # to the end: equals take turns
        self.waiting -= 1
        self._running.add(run.lane)
        self._slots[run.turn] += 1
        return run

    def put_back(self, run: Run) -> None:
        """Let a started record wait again, before the others of its lane."""
        self._lanes[run.lane].appendleft(run)
        self.waiting += 1
        self.finish(run)

    def finish(self, run: Run) -> None:
        """Give a started record's lane and slot back."""
        self._running.remove(run.lane)
        self._slots[run.turn] -= 1
        if not self._slots[run.turn]:
            del self._slots[run.turn]
        if self._lanes[run.lane]:
            self._offer(run.lane)
        else:
            del self._lanes[run.lane]

    def discard(self, unwanted: Callable[[Run], bool]) -> list[Run]:
        """Drop waiting records and return them; what runs is not touched."""
        dropped = [run for run in self if unwanted(run)]
        if not dropped:
            return dropped
        self._startable.clear()
        self.waiting -= len(dropped)
        for name, lane in list(self._lanes.items()):
            kept = self._lanes[name] = deque(run for run in lane if not unwanted(run))
            if name in self._running:
                continue
            if kept:
                self._offer(name)
            else:
                del self._lanes[name]
        return dropped

    def _offer(self, lane: str) -> None:
        turn = self._lanes[lane][0].turn
        self._startable.setdefault(turn, deque()).append(lane)
