"""What happens when a child dies: workers, edge and issuer come back, the storage does not."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from forebay_standalone.errors import ProgramFailed
from forebay_standalone.running_program import RunningProgram
from forebay_standalone.system import Say, System

POLL_SECONDS = 0.2
RESTARTS = 5
FIRST_PAUSE_SECONDS = 0.5  # doubles, so that five restarts span 15 s
STEADY_SECONDS = 60.0  # a program that ran this long starts over with all its restarts

Clock = Callable[[], float]


@dataclass
class Comeback:
    """The restarts of one program: when it last started, and when it may start next."""

    started: float
    deaths: int = 0
    due: float | None = None

    def died(self, now: float) -> float | None:
        """Note a death; give the pause before the next start, None when there were too many."""
        if now - self.started > STEADY_SECONDS:
            self.deaths = 0
        self.deaths += 1
        if self.deaths > RESTARTS:
            return None
        pause = FIRST_PAUSE_SECONDS * 2.0 ** (self.deaths - 1)
        self.due = now + pause
        return pause

    def restarted(self, now: float) -> None:
        """Note a start."""
        self.started, self.due = now, None


class Supervisor:
    """Looks after the parts of a running system."""

    def __init__(self, system: System, say: Say, clock: Clock = time.monotonic) -> None:
        """Watch `system` and tell `say` who died; `clock` gives seconds."""
        self._system = system
        self._say = say
        self._clock = clock
        self._comebacks = {name: Comeback(clock()) for name in system.programs}

    def watch(self) -> None:
        """Look after all parts until interrupted.

        Raises ProgramFailed when Kafka or Postgres ends, or another program too often.
        """
        while True:
            self.look()
            time.sleep(POLL_SECONDS)

    def look(self) -> None:
        """Look at every part once."""
        system = self._system
        if not system.broker.alive:
            raise ProgramFailed("kafka", "ended", system.broker.log)
        if not system.postgres.alive:
            raise ProgramFailed("postgres", "ended", system.postgres.log)
        for name, program in system.programs.items():
            if not program.alive:
                self._revive(name, program)

    def _revive(self, name: str, program: RunningProgram) -> None:
        comeback, now, log = self._comebacks[name], self._clock(), program.launch.log
        if comeback.due is None:
            pause = comeback.died(now)
            if pause is None:
                raise ProgramFailed(name, f"ended {RESTARTS + 1} times", log)
            how = f"ended with status {program.status}"
            self._say(f"{name} {how}; again in {pause:.1f} s; its log is {log}")
        elif now >= comeback.due:
            program.start()
            comeback.restarted(now)
            self._say(f"{name} started again")
