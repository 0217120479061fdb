import os
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import pytest

from forebay_standalone.ports import free_port
from forebay_standalone.readiness import serves_grpc, serves_http

UP = [str(Path(sysconfig.get_path("scripts")) / "forebay"), "up"]


def refused(*options: str, **env: str) -> str:
    """What a start says that must end with status 1."""
    done = subprocess.run(
        [*UP, *options], capture_output=True, text=True, check=False, env={**os.environ, **env}
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


@contextmanager
def started(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    command = [*UP, "--state-dir", str(folder / "state"), *options]
    with ExitStack() as stack:
        up = stack.enter_context(
            subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        )
        stack.callback(up.kill)
        yield up


def await_line(stream: IO[str] | None, beginning: str) -> str:
    assert stream
    for line in stream:
        if line.startswith(beginning):
            return line
        sys.stdout.write(line)  # shown when the test fails
    raise AssertionError(f"ended without a line that begins with {beginning!r}")


def children(pid: int) -> dict[str, int]:
    """The children of a process: process id by command line."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                found[(entry / "cmdline").read_text().replace("\0", " ")] = int(entry.name)
        except FileNotFoundError:
            continue
    return found


def test_all_parts_serve_a_killed_worker_comes_back_and_a_stop_leaves_nothing(folder: Path) -> None:
    grpc, http = free_port(), free_port()
    with started(folder, "--grpc-port", str(grpc), "--http-port", str(http)) as up:
        ready = await_line(up.stdout, "ready ")
        assert f"grpc=127.0.0.1:{grpc} http=127.0.0.1:{http}" in ready
        assert serves_grpc(f"127.0.0.1:{grpc}")()
        assert serves_http(f"127.0.0.1:{http}", "/healthz")()
        assert f"http://127.0.0.1:{http}/" in await_line(up.stderr, "the page is at")
        [worker] = [pid for line, pid in children(up.pid).items() if "retrieval" in line]
        os.kill(worker, signal.SIGKILL)
        said = await_line(up.stderr, "answering ended with status -9")
        assert str(folder / "state" / "logs" / "answering.log") in said
        await_line(up.stderr, "answering started again")
        assert f"in use by process {up.pid}" in refused(
            "--state-dir", str(folder / "state"), "--grpc-port", str(free_port())
        )
        left = children(up.pid)
        up.send_signal(signal.SIGTERM)
        assert up.wait(60) == 0
    assert len(left) >= 6
    assert not [pid for pid in left.values() if Path(f"/proc/{pid}/cwd").exists()]


@pytest.mark.slow_faults
def test_an_interrupt_while_starting_ends_in_order(folder: Path) -> None:
    ports = ("--grpc-port", str(free_port()), "--http-port", str(free_port()))
    with started(folder, *ports) as up:
        await_line(up.stderr, "preparing migrations")
        up.send_signal(signal.SIGINT)
        assert up.wait(60) == 0
        assert up.stdout
        assert up.stdout.read() == ""


@pytest.mark.parametrize("option", ["--grpc-port", "--http-port"])
def test_a_port_in_use_is_named_with_its_option(folder: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ports = {"--grpc-port": free_port(), "--http-port": free_port(), option: port}
        options = [str(each) for pair in ports.items() for each in pair]
        said = refused("--state-dir", str(folder / "state"), *options)
    assert said == f"Error: port {port} is already in use; choose another with {option}\n"


def test_a_variable_that_a_start_decides_is_refused(folder: Path) -> None:
    ports = ("--grpc-port", str(free_port()), "--http-port", str(free_port()))
    where = {"FOREBAY_KAFKA_BOOTSTRAP_SERVERS": "elsewhere:9092"}
    said = refused("--state-dir", str(folder / "state"), *ports, **where)
    assert "FOREBAY_KAFKA_BOOTSTRAP_SERVERS: decided by `forebay up`" in said
