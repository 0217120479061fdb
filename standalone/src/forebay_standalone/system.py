"""The whole system on one machine: every part started in order, offered by name, ended in order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from forebay_standalone.broker import KafkaBroker
from forebay_standalone.broker_security import ADMIN
from forebay_standalone.cache import cache_folder
from forebay_standalone.cluster import broker_ports, brokers, detour_port
from forebay_standalone.environment import refuse_owned
from forebay_standalone.installation import install
from forebay_standalone.issuer import DevelopmentIssuer
from forebay_standalone.jars import kafka_classpath
from forebay_standalone.kafka_accounts import KafkaAccounts
from forebay_standalone.ports import LOOPBACK, remembered_ports, require_free
from forebay_standalone.postgres_server import PostgresServer
from forebay_standalone.programs import (
    EDGE,
    Connections,
    Program,
    Sizes,
    Step,
    edge_program,
    issuer_program,
    steps,
    worker_programs,
)
from forebay_standalone.running_program import STOP_SECONDS, RunningProgram, run_step
from forebay_standalone.state_folder import StateFolder

GRPC_PORT = 50_051  # what gRPC's own examples listen on
HTTP_PORT = 8_080

Say = Callable[[str], None]


@dataclass(frozen=True)
class Detours:
    """Ports that programs use in place of the storage's own: those of somebody in between."""

    kafka: int | None = None
    postgres: int | None = None


@dataclass(frozen=True)
class SystemOptions:
    """How a system is started.

    `env` reaches every child and replaces what it would get otherwise, `program_env` one program
    by its name; `start_seconds` is what each part has to begin serving.
    """

    grpc_port: int = GRPC_PORT
    http_port: int = HTTP_PORT
    sizes: Sizes = field(default_factory=Sizes)
    env: Mapping[str, str] = field(default_factory=dict)
    program_env: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    detours: Detours = field(default_factory=Detours)
    start_seconds: float = 60.0


@dataclass(frozen=True)
class Addresses:
    """Where a system serves: host:port each."""

    grpc: str
    http: str
    kafka: str
    postgres: str


class System:
    """All parts of one state folder.

    `programs` holds the issuer, the edge and the workers by name (`edge`, `issuer`, `indexing`,
    `answering`; with n workers each `indexing-1` to `indexing-n`); `brokers` and `postgres` have
    the same verbs, and `broker` is the first of the brokers.
    """

    brokers: tuple[KafkaBroker, ...]
    postgres: PostgresServer
    issuer: DevelopmentIssuer

    def __init__(
        self,
        state_dir: Path,
        options: SystemOptions | None = None,
        say: Say = lambda _line: None,
    ) -> None:
        """Describe a system; nothing is written before `start`. `say` hears of each part."""
        self.state = StateFolder(state_dir)
        self.options = options or SystemOptions()
        self.programs: dict[str, RunningProgram] = {}
        self._say = say
        self._storage: tuple[PostgresServer | KafkaBroker, ...] = ()

    @property
    def broker(self) -> KafkaBroker:
        """The broker, or the first of several."""
        return self.brokers[0]

    @property
    def detoured_kafka(self) -> int:
        """The port at which whoever stands in between reaches the first broker."""
        return self._detoured_kafka

    @property
    def addresses(self) -> Addresses:
        """Where the parts serve."""
        return Addresses(
            grpc=f"{LOOPBACK}:{self.options.grpc_port}",
            http=f"{LOOPBACK}:{self.options.http_port}",
            kafka=",".join(each.bootstrap_servers for each in self.brokers),
            postgres=f"{LOOPBACK}:{self.postgres.port}",
        )

    def kafka_login(self, user: str = ADMIN) -> dict[str, str]:
        """Give what a client signs in with at the log, in librdkafka's words.

        `user` is a stage; by default the one who may do everything.
        """
        return self._accounts.accounts.client_options(user)

    def start(self) -> None:
        """Start every part and wait until all serve; call `stop` also when this raises.

        Raises StateFolderInUse, UnsuitableFolder, PortInUse, OwnedVariable, DownloadFailed,
        NoPostgresAccount and ProgramFailed.
        """
        self.state.acquire()
        require_free(self.options.grpc_port, "--grpc-port")
        require_free(self.options.http_port, "--http-port")
        self._describe_storage()
        preparing, table = self._table()
        refuse_owned([*(each.env for each in preparing), *(each.env for each in table)])
        self._start_storage()
        for step in preparing:
            self._say(f"preparing {step.name}")
            run_step(step, self.state.logs, self.options.env)
        self._start_programs(table)

    def stop(self) -> None:
        """End every part in order: edge, workers, issuer, Postgres, Kafka; each in bounded time."""
        if EDGE in self.programs:
            self.programs[EDGE].stop(STOP_SECONDS)
        others = [each for name, each in self.programs.items() if name != EDGE]
        for program in others:
            program.signal(program.launch.stop_signal)  # all drain at the same time
        for program in others:
            program.stop(STOP_SECONDS)
        for storage in self._storage:
            storage.stop()
        self.state.release()

    def kill(self) -> None:
        """End every part at once."""
        for program in self.programs.values():
            program.kill()
        for storage in self._storage:
            storage.kill()
        self.state.release()

    def __enter__(self) -> Self:
        """Start; what had started is stopped again when one part fails."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    def _describe_storage(self) -> None:
        count = self.options.sizes.brokers
        ports = remembered_ports(self.state.ports, (*broker_ports(count), "postgres", "issuer"))
        path, logs = self.state.path, self.state.logs
        self._accounts = KafkaAccounts(self.state.secrets)
        self.brokers = brokers(
            path,
            logs,
            ports,
            count,
            self._accounts.accounts,
            classpath=lambda: kafka_classpath(cache_folder(path / "cache"), self._say),
            detour=self.options.detours.kafka,
        )
        self._detoured_kafka = detour_port(ports)
        postgres = path / "postgres"
        self.postgres = PostgresServer(postgres, ports["postgres"], log=logs / "postgres.log")
        self._issuer_port = ports["issuer"]
        url = f"http://{LOOPBACK}:{self._issuer_port}"
        self.issuer = DevelopmentIssuer(self.state.secrets, url)

    def _table(self) -> tuple[tuple[Step, ...], tuple[Program, ...]]:
        files = install(self.state, self.issuer)
        passwords, options = files.passwords, self.options
        detours, port = options.detours, self.postgres.port
        kafka = f"{LOOPBACK}:{detours.kafka}" if detours.kafka else self.addresses.kafka
        write = self.postgres.dsn("forebay_write", passwords["write"])
        retrieve = self.postgres.dsn("forebay_retrieve", passwords["retrieve"])
        connections = Connections(
            kafka=kafka,
            accounts=self._accounts,
            admin_dsn=self.postgres.admin_dsn,
            write_dsn=_by(detours.postgres, port, write),
            retrieve_dsn=_by(detours.postgres, port, retrieve),
        )
        return steps(connections, files), (
            issuer_program(self.state, self._issuer_port),
            edge_program(
                connections,
                files,
                self.addresses.grpc,
                self.addresses.http,
                self.issuer.issuer_url,
                options.sizes.edge,
            ),
            *worker_programs(self.state, connections, files, options.sizes),
        )

    def _start_storage(self) -> None:
        self._say("starting Kafka and Postgres")
        self._storage = (self.postgres, *self.brokers)
        for storage in self._storage:
            storage.start()
        for storage in self._storage:
            storage.wait_ready(self.options.start_seconds)

    def _start_programs(self, table: tuple[Program, ...]) -> None:
        self._say("starting " + ", ".join(program.name for program in table))
        for program in table:
            env = {**self.options.env, **self.options.program_env.get(program.name, {})}
            running = RunningProgram(program, self.state.logs, env)
            self.programs[program.name] = running
            running.start()
        for running in self.programs.values():
            running.wait_ready(self.options.start_seconds)


def _by(detour: int | None, port: int, dsn: str) -> str:
    return dsn.replace(f":{port}/", f":{detour}/") if detour else dsn
