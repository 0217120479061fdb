"""The command `forebay-server`.

Exit codes: 0 done, 1 it could not be done or topics differ, 2 the configuration is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import ExitStack

import uvloop

from forebay_kafka.errors import KafkaError
from forebay_kafka.watched_file import ConfigurationInvalid
from forebay_postgres.errors import StorageMisconfigured
from forebay_server.composition import SERVICES, Configuration
from forebay_server.governance.policy_command import add_policy_arguments, run_policy
from forebay_server.log_lines import configure_log
from forebay_server.port import PortInUse, require_free, reserved_port
from forebay_server.serving import Addresses, serve
from forebay_server.supervisor import INVALID_CONFIGURATION, Supervisor
from forebay_server.topics_command import run_topics

FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    chosen = _parser().parse_args(arguments)
    configure_log()
    try:
        if chosen.command == "topics":
            return run_topics(chosen.action)
        if chosen.command == "policy":
            return run_policy(chosen, SERVICES)
        if chosen.command == "serve-shared":
            addresses = Addresses(*chosen.addresses)
            return _serve(Configuration.from_environment(), addresses, shared=True)
        return _serve_all(Configuration.from_environment())
    except (ConfigurationInvalid, StorageMisconfigured) as error:
        print(f"forebay-server: {error}", file=sys.stderr)  # noqa: T201 a command speaks
        return INVALID_CONFIGURATION
    except (PortInUse, KafkaError) as error:
        print(f"forebay-server: {error}", file=sys.stderr)  # noqa: T201 a command speaks
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="forebay-server", description="Forebay's edge.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="serve until SIGTERM, in FOREBAY_PROCESSES processes")
    shared = commands.add_parser("serve-shared", help="what the supervisor runs; not for people")
    shared.add_argument("addresses", nargs="+")
    topics = commands.add_parser("topics", help="the topics of the log")
    topics.add_argument(
        "action",
        choices=("plan", "apply", "check"),
        help="plan: print what differs; apply: change it; check: exit 1 when anything differs",
    )
    add_policy_arguments(commands.add_parser("policy", help="the policy file"))
    return parser


def _serve_all(configuration: Configuration) -> int:
    settings = configuration.server
    wanted = [each for each in (settings.grpc_address, settings.http_address) if each]
    if settings.processes == 1:
        for address in wanted:
            require_free(address)
        return _serve(configuration, Addresses(*wanted), shared=False)
    with ExitStack() as reserved:
        addresses = [reserved.enter_context(reserved_port(address)) for address in wanted]
        supervisor = Supervisor(settings.processes, addresses, settings.drain_timeout)
        return asyncio.run(supervisor.run())


def _serve(configuration: Configuration, addresses: Addresses, *, shared: bool) -> int:
    try:
        uvloop.run(serve(configuration, addresses, shared=shared))
    except asyncio.CancelledError:
        # Told to leave before it had begun to serve: nothing was promised to anybody.
        return 0
    return 0
