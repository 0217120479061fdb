"""The command `forebay-worker`: runs stages until it is told to stop.

Exit codes: 0 stopped, 1 a stage ended by itself, 2 the configuration is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TypeVar

import uvloop
from pydantic import ValidationError
from pydantic_settings import BaseSettings
from pythonjsonlogger.json import JsonFormatter

from forebay_kafka.settings import KafkaSettings
from forebay_postgres import PostgresSettings
from forebay_postgres.errors import StorageMisconfigured
from forebay_workers.composition import Configuration, record_loops, stage_names
from forebay_workers.models.settings import ModelSettings
from forebay_workers.record_loop.loop import RecordLoop
from forebay_workers.settings import WorkerSettings

FAILED = 1
INVALID_CONFIGURATION = 2
SettingsT = TypeVar("SettingsT", bound=BaseSettings)

log = logging.getLogger(__name__)


class ConfigurationInvalid(Exception):
    """A variable breaks a rule; the text names both."""


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
    async with record_loops(configuration, names) as loops:
        running = [asyncio.create_task(loop.run(stop)) for loop in loops]
        announcing = asyncio.create_task(_announce(configuration.worker, loops))
        await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        announcing.cancel()
        # Stages that share a process share its fate: a supervisor starts all of them anew.
        stop.set()
        await asyncio.wait(running)
        for name, each in zip(names, loops, strict=True):
            log.info("stage done", extra={"stage": name, **asdict(each.snapshot())})
    return max(_exit_code(task) for task in running)


async def _announce(settings: WorkerSettings, loops: Sequence[RecordLoop]) -> None:
    for loop in loops:
        await loop.joined.wait()
    # What was loaded up to now stays: collections need not look at it again.
    gc.collect()
    gc.freeze()
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
    return Configuration(
        _settings(WorkerSettings),
        _settings(KafkaSettings),
        _settings(PostgresSettings),
        _settings(ModelSettings),
    )


def _settings(kind: type[SettingsT]) -> SettingsT:
    try:
        return kind()
    except ValidationError as error:
        prefix = kind.model_config.get("env_prefix", "")
        wrong = [
            f"{prefix}{'_'.join(map(str, each['loc']))}".upper() + f": {each['msg']}"
            for each in error.errors(include_input=False)
        ]
        raise ConfigurationInvalid("; ".join(wrong)) from error


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
