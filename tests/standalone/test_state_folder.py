import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from forebay_standalone.errors import StateFolderInUse, UnsuitableFolder
from forebay_standalone.state_folder import StateFolder

# Holds a folder and runs a child, as a start does, until it is killed.
HOLDER = """
import json, sys
from pathlib import Path
from forebay_standalone.child import ChildProcess, Launch
from forebay_standalone.state_folder import StateFolder
state = StateFolder(Path(sys.argv[1]))
state.acquire()
child = ChildProcess(Launch("child", sys.argv[2:], state.logs / "child.log"))
child.start()
print(json.dumps(child.pid), flush=True)
sys.stdin.read()
"""
STUBBORN = ["/bin/sh", "-c", "trap '' TERM; while :; do sleep 60; done"]


def test_a_second_start_on_the_same_state_folder_says_who_holds_it(folder: Path) -> None:
    state = StateFolder(folder / "state")
    state.acquire()
    try:
        with pytest.raises(StateFolderInUse, match=f"in use by process {os.getpid()}"):
            StateFolder(folder / "state").acquire()
    finally:
        state.release()


def test_a_released_state_folder_can_be_taken_at_once(folder: Path) -> None:
    for _ in range(3):
        state = StateFolder(folder / "state")
        state.acquire()
        state.release()


def test_a_released_state_folder_is_free_while_another_is_still_held(folder: Path) -> None:
    first, second = StateFolder(folder / "first"), StateFolder(folder / "second")
    first.acquire()
    second.acquire()
    second.release()
    again = StateFolder(folder / "second")
    again.acquire()
    again.release()
    with pytest.raises(StateFolderInUse):
        StateFolder(folder / "first").acquire()
    first.release()


@pytest.mark.parametrize("command", [["/bin/sleep", "300"], STUBBORN], ids=["sleeping", "stubborn"])
def test_a_start_after_a_kill_waits_until_no_child_is_left(
    folder: Path, command: list[str]
) -> None:
    started = [sys.executable, "-c", HOLDER, str(folder / "state"), *command]
    with subprocess.Popen(started, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        child = json.loads(holder.stdout.readline())
        assert running(child)
        holder.send_signal(signal.SIGKILL)
    state = StateFolder(folder / "state")
    state.acquire()
    try:
        assert not running(child)
    finally:
        state.release()


def running(pid: int) -> bool:
    """Whether a process lives; one that ended and was not collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_folder_that_cannot_be_written_is_named_with_the_option(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(
        UnsuitableFolder, match=f"cannot write to {folder}/file/state: .*--state-dir"
    ):
        StateFolder(folder / "file" / "state").acquire()


def test_other_accounts_read_no_secret_and_list_no_folder(folder: Path) -> None:
    state = StateFolder(folder / "state")
    state.acquire()
    state.release()
    assert state.path.stat().st_mode & 0o066 == 0
    assert state.secrets.stat().st_mode & 0o077 == 0
