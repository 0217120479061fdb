"""Which records run: as many as the stage bears, each tenant its share, retries in their time."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from forebay_workers.record_loop.admission import Admission, soonest
from forebay_workers.record_loop.clock import Clock
from forebay_workers.record_loop.flow import Flow
from forebay_workers.record_loop.lanes import FairLanes
from forebay_workers.record_loop.pace import Pace
from forebay_workers.record_loop.partition import HeldPartition
from forebay_workers.record_loop.run import Leaving, PutBack, Run
from forebay_workers.record_loop.runner import RecordRunner
from forebay_workers.record_loop.settings import LoopSettings

STARTED_AT_ONCE = 16  # proving one takes up to 0.2 ms; more in a row delays running calls
CANCEL_SECONDS = 1.0  # for a cancelled call to end; it is fenced even if it does not

log = logging.getLogger(__name__)


class Schedule:
    """Starts records, and ends those of partitions that leave.

    `done` hears of records whose offset counts, `broke` of a defect of the loop.
    """

    def __init__(
        self,
        runner: RecordRunner,
        admission: Admission,
        flow: Flow,
        settings: LoopSettings,
        clock: Clock,
        *,
        done: Callable[[Run], None],
        broke: Callable[[Exception], None],
    ) -> None:
        self.running: set[Run] = set()
        self._later: set[Run] = set()
        self._lanes = FairLanes()
        self._runner = runner
        self._admission = admission
        self._flow = flow
        self._clock = clock
        self._done = done
        self._broke = broke
        self.pace = Pace(settings.max_in_flight, self.start)
        self._soonest = float("inf")
        self._waking: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many records wait for their turn or their time."""
        return self._lanes.waiting + len(self._later)

    def add(self, run: Run, wait: float = 0.0) -> None:
        """Let a record wait for its turn, before that for its time; it takes no slot meanwhile."""
        if wait <= 0:
            self._soonest = min(self._soonest, soonest([run]))
            self._lanes.add(run)
            return
        self._later.add(run)
        run.resting = True
        run.task = asyncio.ensure_future(self._clock.sleep(wait))
        run.task.add_done_callback(partial(self._due, run))

    def start(self) -> None:
        """Start what may start."""
        for _ in range(STARTED_AT_ONCE):
            wait = self._wait()
            if wait is None:
                return
            if wait > 0:
                self._wake_up_after(wait)
                return
            run = self._lanes.start()
            if run is None:
                return
            self._runner.breaker.started(run)
            self._launch(run, self._ended)
        asyncio.get_running_loop().call_soon(self.start)

    def expire(self) -> None:
        """End what nobody waits for any more, whether or not the stage starts anything."""
        now = self._clock.now()
        if now < self._soonest:
            return
        late = self._lanes.discard(lambda run: run.deadline is not None and run.deadline <= now)
        self._soonest = soonest(self._lanes)
        for run in late:
            self._launch(run, self._expired)

    async def leave(self, leaving: set[HeldPartition], grace: float) -> None:
        """End all records of partitions: those that only wait at once, others after `grace`."""
        for held in leaving:
            held.leaving = True
        self._lanes.discard(lambda run: run.held in leaving)
        runs = [run for run in self.running | self._later if run.held in leaving]
        for run in runs:
            run.leave()
        tasks = {run.task for run in runs if run.task is not None}
        if tasks and grace > 0:
            _, tasks = await asyncio.wait(tasks, timeout=grace)
        if tasks:
            log.warning("calls are cut off: their partitions leave", extra={"calls": len(tasks)})
        for run in runs:
            if run.task in tasks:
                run.call_ends = asyncio.get_running_loop().time()
                run.task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CANCEL_SECONDS)

    def close(self) -> None:
        """Start nothing any more."""
        if self._waking is not None:
            self._waking.cancel()

    def _wait(self) -> float | None:
        """Seconds until a record may start; None while that depends on those that run."""
        most = min(self.pace.limit, self._runner.throttle.limit)
        if self._flow.halted or len(self.running) >= most:
            return None
        halt = self._runner.breaker.wait()
        if halt is None:
            return None
        return max(halt, self._runner.throttle.wait(), self._runner.sleep.wait())

    def _wake_up_after(self, seconds: float) -> None:
        if self._waking is None and self._lanes.waiting:
            self._waking = asyncio.create_task(self._wake_up(seconds))

    async def _wake_up(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._waking = None
        self.start()

    def _due(self, run: Run, waited: asyncio.Task[None]) -> None:
        self._later.discard(run)
        run.resting = False
        if not waited.cancelled() and not run.held.leaving:
            self.add(run)
            self.start()

    def _launch(self, run: Run, ended: Callable[[Run, "asyncio.Task[None]"], None]) -> None:
        self.running.add(run)
        run.task = asyncio.create_task(self._run(run))
        run.task.add_done_callback(partial(ended, run))

    async def _run(self, run: Run) -> None:
        self._admission.prove(run)
        await self._runner.run(run)

    def _ended(self, run: Run, task: asyncio.Task[None]) -> None:
        self._runner.breaker.left(run)
        if not run.held.leaving and not task.cancelled() and isinstance(task.exception(), PutBack):
            self.running.discard(run)
            self._lanes.put_back(run)
            self._soonest = min(self._soonest, soonest([run]))
        else:
            self._lanes.finish(run)
            self._expired(run, task)
        self.start()

    def _expired(self, run: Run, task: asyncio.Task[None]) -> None:
        self.running.discard(run)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._done(run)
        elif not isinstance(error, Leaving | PutBack):
            self._broke(error if isinstance(error, Exception) else RuntimeError(str(error)))
