"""The table of programs that a start runs as children, with the environment of each.

A program sees what it needs: the edge's keys are no worker's, each program signs in at the log
as its own stages, and what answers queries reads the database under the role that can do nothing
else.
"""

import os
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from forebay_standalone.installation import Installation
from forebay_standalone.issuer_http import HEALTH_PATH
from forebay_standalone.kafka_accounts import KafkaAccounts
from forebay_standalone.ports import LOOPBACK
from forebay_standalone.readiness import Ready, has_written, serves_grpc, serves_http
from forebay_standalone.state_folder import StateFolder

SCRIPTS = Path(sysconfig.get_path("scripts"))
EDGE = "edge"
# What edge and workers have to finish what runs: an answer that takes longer resumes elsewhere.
DRAIN_SECONDS = 8
INDEXING = ("cataloguing", "chunking", "embedding")
ANSWERING = ("retrieval", "generation")
AUDITING = ("auditing",)
# What only indexes lets others have the processor first; somebody waits for an answer.
YIELDING = ("nice", "-n", "10")
# What indexes apart from what answers: no query waits for indexing. Auditing reads most of what
# indexing reads: in one process, each envelope is verified once.
WORKERS: Mapping[str, tuple[str, ...]] = {
    "indexing": (*INDEXING, *AUDITING),
    "answering": ANSWERING,
}


@dataclass(frozen=True)
class Connections:
    """Where the programs find Kafka and Postgres; connection URIs carry passwords."""

    kafka: str
    accounts: KafkaAccounts
    admin_dsn: str
    write_dsn: str
    retrieve_dsn: str


@dataclass(frozen=True)
class Sizes:
    """How many there are: processes of the edge and of each worker program, and brokers.

    `programs` says which stages each worker program runs.
    """

    edge: int = 1
    workers: int = 1
    brokers: int = 1
    programs: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: WORKERS)


@dataclass(frozen=True)
class Step:
    """A program that runs to its end before the next part starts."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str]


@dataclass(frozen=True)
class Program:
    """A program that runs until told to stop.

    `ready_file` is removed before each start when the program says by it that it serves.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    ready: Ready
    ready_file: Path | None = None


def steps(connections: Connections, files: Installation) -> tuple[Step, ...]:
    """Give what prepares Kafka and Postgres; each may be run again and again."""
    migrate = {
        "FOREBAY_POSTGRES_ADMIN_DSN": connections.admin_dsn,
        "FOREBAY_POSTGRES_WRITE_PASSWORD": files.passwords["write"],
        "FOREBAY_POSTGRES_RETRIEVE_PASSWORD": files.passwords["retrieve"],
    }
    topics = {**_kafka(connections), **connections.accounts.topics_env()}
    return (
        Step("topics", (*_module("forebay_server"), "topics", "apply"), topics),
        Step("migrations", (*_module("forebay_postgres"), "migrate"), migrate),
    )


def issuer_program(state: StateFolder, port: int) -> Program:
    """Give the development issuer's HTTP server."""
    module = _module("forebay_standalone.issuer_http")
    command = (*module, str(state.secrets), LOOPBACK, str(port))
    return Program("issuer", command, {}, serves_http(f"{LOOPBACK}:{port}", HEALTH_PATH))


def edge_program(
    connections: Connections,
    files: Installation,
    grpc_address: str,
    http_address: str,
    issuer_url: str,
    processes: int,
) -> Program:
    """Give the edge."""
    env = {
        **_kafka(connections),
        **connections.accounts.program_env(EDGE, (EDGE,)),
        "FOREBAY_POSTGRES_WRITE_DSN": connections.write_dsn,
        "FOREBAY_POSTGRES_RETRIEVE_DSN": connections.retrieve_dsn,
        "FOREBAY_DRAIN_TIMEOUT": str(DRAIN_SECONDS),
        "FOREBAY_GRPC_ADDRESS": grpc_address,
        "FOREBAY_HTTP_ADDRESS": http_address,
        "FOREBAY_DEVELOPMENT_ISSUER": issuer_url,
        "FOREBAY_PROCESSES": str(processes),
        "FOREBAY_ISSUERS_FILE": str(files.issuers),
        "FOREBAY_POLICY_FILE": str(files.policy),
        "FOREBAY_ENVELOPE_KEY_FILE": str(files.envelope_key),
        "FOREBAY_ENVELOPE_JWKS_FILE": str(files.envelope_jwks),
        "FOREBAY_SEAL_SECRET_FILE": str(files.seal_secret),
    }
    return Program(EDGE, (_script("forebay-server"), "serve"), env, serves_grpc(grpc_address))


def worker_programs(
    state: StateFolder, connections: Connections, files: Installation, sizes: Sizes
) -> tuple[Program, ...]:
    """Give the workers; what answers alone cannot write to the database."""
    count = sizes.workers
    every = {
        **_kafka(connections),
        "FOREBAY_DRAIN_TIMEOUT": str(DRAIN_SECONDS),
        "FOREBAY_ENVELOPE_JWKS_FILE": str(files.envelope_jwks),
    }
    return tuple(
        _worker(
            f"{name}-{number}" if count > 1 else name,
            stages,
            {
                **every,
                **_own(state, connections, frozenset(stages)),
                **connections.accounts.program_env(name, stages),
            },
            state.ready,
        )
        for name, stages in sizes.programs.items()
        for number in range(1, count + 1)
    )


def _own(state: StateFolder, connections: Connections, stages: frozenset[str]) -> dict[str, str]:
    own = {}
    if not stages.isdisjoint(INDEXING):
        own["FOREBAY_POSTGRES_WRITE_DSN"] = connections.write_dsn
    if not stages.isdisjoint(INDEXING + ANSWERING):
        own["FOREBAY_POSTGRES_RETRIEVE_DSN"] = connections.retrieve_dsn
    if not stages.isdisjoint(AUDITING):
        own["FOREBAY_AUDIT_FOLDER"] = str(state.audit)
    return own


def _worker(name: str, stages: tuple[str, ...], env: Mapping[str, str], ready: Path) -> Program:
    file = ready / name
    return Program(
        name,
        (*(() if set(stages) & set(ANSWERING) else YIELDING), _script("forebay-worker"), *stages),
        {**env, "FOREBAY_READY_FILE": str(file)},
        has_written(file),
        file,
    )


def _kafka(connections: Connections) -> dict[str, str]:
    return {"FOREBAY_KAFKA_BOOTSTRAP_SERVERS": connections.kafka}


def _module(name: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name)


def _script(name: str) -> str:
    return os.fspath(SCRIPTS / name)
