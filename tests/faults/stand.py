"""What faults strike: a system with each stage in a process of its own, and its model server."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.ports import free_port
from forebay_standalone.programs import Sizes
from forebay_standalone.readiness import has_written
from forebay_standalone.running_program import RunningProgram
from forebay_standalone.system import System, SystemOptions

from .log_books import LogBooks

START_SECONDS = 120.0
DIMENSIONS = 1024  # so many that few words share a place in the model server's vectors
LOOK_SECONDS = 0.02
SILENCE_SECONDS = 10  # of a model, until its call is given up
SESSION_SECONDS = 6.0  # FOREBAY_KAFKA_SESSION_TIMEOUT, by default
STAGES = ("cataloguing", "chunking", "embedding", "retrieval", "generation", "auditing")
APART: Mapping[str, tuple[str, ...]] = {stage: (stage,) for stage in STAGES}
POLICY = """
tiers:
  enterprise: {clearance: CONFIDENTIAL, top_k: 20}
  free: {clearance: PUBLIC, top_k: 20}
"""


def options(models: ModelServer, **changes: object) -> SystemOptions:
    """A system whose models are the model server; each stage runs alone unless `sizes` differ."""
    grpc_port = free_port()
    usual = SystemOptions(
        grpc_port,
        free_port(frozenset({grpc_port})),
        sizes=Sizes(programs=APART),
        env=model_variables(models.base_url),
        start_seconds=START_SECONDS,
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


def model_variables(base_url: str) -> dict[str, str]:
    return {
        "FOREBAY_EMBEDDING_PROVIDER": "openai",
        "FOREBAY_EMBEDDING_BASE_URL": base_url,
        "FOREBAY_EMBEDDING_MODEL": "test-embedding",
        "FOREBAY_EMBEDDING_DIMENSIONS": str(DIMENSIONS),
        "FOREBAY_GENERATION_PROVIDER": "openai",
        "FOREBAY_GENERATION_BASE_URL": base_url,
        "FOREBAY_GENERATION_MODEL": "test-generation",
        # What is put off comes back within a test's time.
        "FOREBAY_RETRY_ROUNDS": "2,5,10",
        # Hanging calls are given up within a test's time.
        "FOREBAY_EMBEDDING_TIMEOUT": str(SILENCE_SECONDS),
        "FOREBAY_GENERATION_TIMEOUT": str(SILENCE_SECONDS),
    }


@contextmanager
def running(
    wanted: SystemOptions, described: Callable[[System], object] = lambda _: None
) -> Iterator[System]:
    """A system in a folder of its own that Postgres's account may pass through.

    `described` is given it before it starts.
    """
    with tempfile.TemporaryDirectory(prefix="forebay-faults-") as folder:
        path = Path(folder)
        path.chmod(0o755)
        (path / "policy.yaml").write_text(POLICY)
        system = System(path, wanted)
        described(system)
        with system:
            yield system


async def until_running(models: ModelServer, kind: str, count: int, seconds: float = 60.0) -> None:
    """Return once `count` calls of a kind are under way at the model server."""
    deadline = time.monotonic() + seconds
    while True:
        calls = (await asyncio.to_thread(models.calls))["calls"]
        under_way = sum(c["kind"] == kind and c["outcome"] == "running" for c in calls)
        if under_way >= count:
            return
        assert time.monotonic() < deadline, f"{under_way} of {count} {kind} calls are under way"
        await asyncio.sleep(LOOK_SECONDS)


async def kill(system: System, name: str) -> None:
    await asyncio.to_thread(system.programs[name].kill)


async def start(system: System, name: str) -> None:
    program = system.programs[name]
    await asyncio.to_thread(program.start)
    await asyncio.to_thread(program.wait_ready, START_SECONDS)


@contextmanager
def twin(
    system: System, name: str, extra: Mapping[str, str] | None = None
) -> Iterator[RunningProgram]:
    """A second worker of the same kind, with its share; `extra` adds to its environment."""
    program = system.programs[name].program
    ready = system.state.ready / f"{name}-twin"
    env = {**program.env, "FOREBAY_READY_FILE": str(ready)}
    second = replace(
        program, name=f"{name}-twin", env=env, ready=has_written(ready), ready_file=ready
    )
    running_program = RunningProgram(
        second, system.state.logs, {**system.options.env, **(extra or {})}
    )
    running_program.start()
    try:
        running_program.wait_ready(START_SECONDS)
        # A worker is ready with its first share, which may be nothing.
        LogBooks(system).wait_shared(f"forebay.{name}", 2)
        yield running_program
    finally:
        running_program.resume()
        running_program.stop(12)


async def nothing() -> None:
    """The fault of a load that goes well."""
