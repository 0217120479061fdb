import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from forebay_standalone.child import ChildProcess, Launch


def shell(folder: Path, script: str) -> ChildProcess:
    child = ChildProcess(Launch("child", ["/bin/sh", "-c", script], folder / "child.log"))
    child.start()
    return child


def test_a_child_that_ignores_its_signal_is_killed_after_the_time_it_has(folder: Path) -> None:
    os.mkfifo(folder / "deaf")
    child = shell(folder, f"trap '' TERM; echo >{folder}/deaf; while :; do sleep 60; done")
    (folder / "deaf").read_text()  # returns once the signal is ignored
    assert not child.stop(0.2)
    assert child.status == -signal.SIGKILL


def test_a_suspended_child_still_ends_in_order(folder: Path) -> None:
    child = shell(folder, "exec sleep 300")
    child.suspend()
    assert child.stop(10)
    assert child.status == -signal.SIGTERM


def test_what_a_child_started_does_not_outlive_it(folder: Path) -> None:
    child = shell(folder, "sleep 300 & kill -9 $$")
    child.wait(10)
    child.kill()
    group = child.pid
    alive = [
        stat
        for stat in (path.read_text() for path in Path("/proc").glob("[0-9]*/stat"))
        if stat.rpartition(")")[2].split()[2] == str(group)
        and stat.rpartition(")")[2].split()[0] != "Z"
    ]
    assert alive == []


def test_output_of_every_start_is_in_the_log(folder: Path) -> None:
    child = shell(folder, "echo hello")
    child.wait(10)
    child.start()
    child.wait(10)
    assert child.launch.log.read_text() == "hello\nhello\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts a child as somebody else")
def test_a_child_of_another_account_is_started_without_the_fork_handlers_of_libraries(
    folder: Path,
) -> None:
    # Handlers cannot be taken back: a process of its own registers them (glibc's pthread_atfork).
    script = """
import ctypes, os, sys
from pathlib import Path
from forebay_standalone.account import Account
from forebay_standalone.child import ChildProcess, Launch
ran = []
handler = ctypes.CFUNCTYPE(None)(lambda: ran.append("handler"))
ctypes.CDLL(None).__register_atfork(handler, None, None, None)
os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
assert not ran
if not os.fork():
    os._exit(0)
assert ran.pop() == "handler"
account = Account("any", 4711, 4711)
child = ChildProcess(Launch("child", ["/usr/bin/id", "-u"], Path(sys.argv[1]), account=account))
child.start()
child.wait(10)
assert not ran
"""
    log = folder / "child.log"
    done = subprocess.run(
        [sys.executable, "-c", script, str(log)], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert log.read_text() == "4711\n"
