"""Runs the model server as a child process, for tests and benchmarks."""

import http.client
import json
import socket
import subprocess
import sys
from types import TracebackType
from typing import Any, Self

from forebay_benchmarks.model_server.behaviour import Behaviour

_HOST = "127.0.0.1"
_BACKLOG = 2048
_START_SECONDS = 20.0  # it takes 0.5 s alone; a machine under test load takes longer
_LEAVE_SECONDS = 5.0


class ModelServer:
    """A running model server. Use `start`, then `stop`, or a `with` block."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        """Take over a process that listens, or soon will, on `port` of the loopback address."""
        self._process = process
        self._port = port
        self.base_url = f"http://{_HOST}:{port}/v1"

    @classmethod
    def start(
        cls, *, dimensions: int = 256, embeddings: str = "hashed", **behaviour: object
    ) -> Self:
        """Start on a free port and return once it answers; `behaviour` as in `Behaviour`.

        Raises TimeoutError when it does not answer in time, and ValueError for a bad behaviour.
        """
        wanted = Behaviour.model_validate(behaviour)
        # The socket is made here and inherited: no other process can take the port in between.
        with socket.create_server((_HOST, 0), backlog=_BACKLOG) as listener:
            port: int = listener.getsockname()[1]
            command = [sys.executable, "-m", "forebay_benchmarks.model_server.command"]
            command += ["--fd", str(listener.fileno()), "--until-stdin-closes"]
            command += ["--dimensions", str(dimensions), "--embeddings", embeddings]
            process = subprocess.Popen(  # noqa: S603 - our own module
                command,
                pass_fds=[listener.fileno()],
                stdin=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        server = cls(process, port)
        try:
            server._control("PUT", "/control", wanted.model_dump())
        except OSError:
            server.stop()
            raise
        return server

    def behave(self, **behaviour: object) -> None:
        """Replace the behaviour as a whole; without arguments the server behaves well again."""
        self._control("PUT", "/control", Behaviour.model_validate(behaviour).model_dump())

    def calls(self) -> dict[str, Any]:
        """Return `chat`, `embeddings` and `running` (counts) and `calls` (see `Call`)."""
        return self._control("GET", "/control/calls")

    def forget_calls(self) -> None:
        """Reset the record of calls."""
        self._control("DELETE", "/control/calls")

    def stop(self) -> None:
        """End the process; running streams break off."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(_LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _control(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection(_HOST, self._port, timeout=_START_SECONDS)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None)
            reply: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return reply

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
