"""The command `forebay-worker`: runs stages until it is told to stop.

Exit codes: 0 stopped, 1 a stage ended by itself, 2 the configuration is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any, get_type_hints

import uvloop
from pydantic import ValidationError
from pydantic_settings import BaseSettings
from pythonjsonlogger.json import JsonFormatter

from forebay_kafka.heap import settle_heap
from forebay_kafka.watched_file import ConfigurationInvalid
from forebay_postgres.errors import StorageMisconfigured
from forebay_workers.blocked_loop import BlockedLoopDetector
from forebay_workers.composition import Configuration, Worker, stage_names, worker_of
from forebay_workers.metrics import serve_metrics
from forebay_workers.record_loop.loop import RecordLoop
from forebay_workers.settings import WorkerSettings

FAILED = 1
INVALID_CONFIGURATION = 2

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    chosen = _parser().parse_args(arguments)
    _configure_log()
    try:
        return uvloop.run(_work(_configuration(), tuple(dict.fromkeys(chosen.stages))))
    except (ConfigurationInvalid, StorageMisconfigured, OSError, ValueError) as error:
        print(f"forebay-worker: {error}", file=sys.stderr)  # noqa: T201 a command speaks
        return INVALID_CONFIGURATION


async def _work(configuration: Configuration, names: tuple[str, ...]) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with worker_of(configuration, names) as worker:
        with ExitStack() as served:
            served.enter_context(BlockedLoopDetector())
            if (address := configuration.worker.metrics_address) is not None:
                figures = serve_metrics(address, worker.loops, worker.keys)
                served.enter_context(figures)
            running = await _run(worker, configuration.worker, stop)
        for name, each in zip(names, worker.loops, strict=True):
            log.info("stage done", extra={"stage": name, **asdict(each.snapshot().counts)})
        exit_code = max([_exit_code(task) for task in running])
        if any(each.snapshot().in_flight for each in worker.loops):
            # A call that ignores its cancellation would hold up every other way out.
            log.error("calls go on; the process leaves without them")
            logging.shutdown()
            os._exit(exit_code)
    return exit_code


async def _run(
    worker: Worker, settings: WorkerSettings, stop: asyncio.Event
) -> Sequence[asyncio.Task[None]]:
    running = [asyncio.create_task(loop.run(stop)) for loop in worker.loops]
    beside = [
        asyncio.create_task(_announce(settings, worker.loops)),
        *(asyncio.create_task(reports.run()) for reports in worker.reports),
    ]
    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    # Stages that share a process share its fate: a supervisor starts all of them anew.
    stop.set()
    await asyncio.wait(running)
    for task in beside:
        task.cancel()
    await asyncio.gather(*(reports.leave() for reports in worker.reports))
    return running


async def _announce(settings: WorkerSettings, loops: Sequence[RecordLoop]) -> None:
    for loop in loops:
        await loop.joined.wait()
    settle_heap()
    log.info("every stage has its partitions")
    if settings.ready_file is None:
        return
    try:
        settings.ready_file.touch()
    except OSError as error:
        # The stages work; whoever waits for the file must learn why there is none.
        log.error("cannot create %s: %s", settings.ready_file, error.strerror)  # noqa: TRY400


def _exit_code(task: asyncio.Task[None]) -> int:
    error = task.exception()
    if error is not None:
        log.error("a stage ended: %s", type(error).__name__, exc_info=error)
    return FAILED if error is not None else 0


def _configuration() -> Configuration:
    wrong: list[str] = []
    kinds = get_type_hints(Configuration)
    found = {name: _settings(kind, wrong) for name, kind in kinds.items()}
    if wrong:
        raise ConfigurationInvalid("; ".join(wrong))
    return Configuration(**found)


def _settings(kind: type[BaseSettings], wrong: list[str]) -> Any:  # noqa: ANN401 see Configuration
    try:
        return kind()
    except ValidationError as error:
        prefix = kind.model_config.get("env_prefix", "")
        wrong += [
            f"{prefix}{'_'.join(map(str, each['loc'][:1]))}".upper() + f": {each['msg']}"
            for each in error.errors(include_input=False)
        ]
        return None


def _configure_log() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(
        JsonFormatter(
            "{levelname}{name}{message}",
            style="{",
            rename_fields={"levelname": "level", "name": "logger", "timestamp": "time"},
            timestamp=True,
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # One line per model call says nothing that a failure does not say better.
    for client in ("httpx", "httpx2"):
        logging.getLogger(client).setLevel(logging.WARNING)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="forebay-worker", description="Stages of Forebay.")
    parser.add_argument(
        "stages",
        nargs="+",
        choices=stage_names(),
        metavar="STAGE",
        help=f"one or more of {', '.join(stage_names())}",
    )
    return parser
