"""A program of the table as a child: started until it serves, and restarted alone."""

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from forebay_standalone.child import ChildProcess, Launch
from forebay_standalone.environment import child_environment
from forebay_standalone.errors import ProgramFailed
from forebay_standalone.programs import DRAIN_SECONDS, Program, Step

STOP_SECONDS = DRAIN_SECONDS + 4.0  # leaving Kafka and Postgres comes after the drain
STEP_SECONDS = 60.0
POLL_SECONDS = 0.05


class RunningProgram(ChildProcess):
    """One program with its log; verbs of ChildProcess, and readiness."""

    def __init__(self, program: Program, logs: Path, extra: Mapping[str, str]) -> None:
        """Describe the child; nothing runs before `start`."""
        log = logs / f"{program.name}.log"
        env = child_environment(program.env, extra)
        super().__init__(Launch(program.name, program.command, log, env=env))
        self.program = program

    def start(self) -> None:
        """Start it; `wait_ready` tells when it serves."""
        if self.program.ready_file:
            self.program.ready_file.unlink(missing_ok=True)
        super().start()

    def wait_ready(self, timeout: float) -> None:
        """Wait until it serves; raises ProgramFailed after `timeout` seconds or at its end."""
        name, log = self.program.name, self.launch.log
        deadline = time.monotonic() + timeout
        while not self.program.ready():
            if not self.alive:
                raise ProgramFailed(name, f"ended with status {self.status} while starting", log)
            if time.monotonic() > deadline:
                raise ProgramFailed(name, f"did not serve within {timeout:.0f} s", log)
            time.sleep(POLL_SECONDS)

    def restart(self, timeout: float) -> None:
        """Stop it cleanly, start it again, and wait up to `timeout` seconds until it serves."""
        self.stop(STOP_SECONDS)
        self.start()
        self.wait_ready(timeout)


def run_step(step: Step, logs: Path, extra: Mapping[str, str]) -> None:
    """Run a step to its end; raises ProgramFailed unless it ends with status 0."""
    log = logs / f"{step.name}.log"
    env = child_environment(step.env, extra)
    child = ChildProcess(Launch(step.name, step.command, log, env=env))
    child.start()
    try:
        status = child.wait(STEP_SECONDS)
    except subprocess.TimeoutExpired:
        raise ProgramFailed(step.name, f"did not end within {STEP_SECONDS:.0f} s", log) from None
    finally:
        child.kill()
    if status:
        raise ProgramFailed(step.name, f"ended with status {status}", log)
