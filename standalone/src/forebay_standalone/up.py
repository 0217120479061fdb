"""`forebay up`: the whole system on this machine, until interrupted."""

import signal
import sys
from pathlib import Path

import click

from forebay_standalone.programs import Sizes
from forebay_standalone.state_folder import STATE_DIR
from forebay_standalone.supervision import Supervisor
from forebay_standalone.system import GRPC_PORT, HTTP_PORT, System, SystemOptions

PORT = click.IntRange(1, 65_535)


@click.command()
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=STATE_DIR,
    show_default=True,
    help="Folder for data, keys and logs.",
)
@click.option("--grpc-port", type=PORT, default=GRPC_PORT, show_default=True, help="gRPC.")
@click.option("--http-port", type=PORT, default=HTTP_PORT, show_default=True, help="HTTP.")
@click.option("--processes", type=click.IntRange(1), default=1, help="Processes of the edge.")
@click.option("--workers", type=click.IntRange(1), default=1, help="Processes per worker program.")
def up(state_dir: Path, grpc_port: int, http_port: int, processes: int, workers: int) -> None:
    """Run Kafka, Postgres, a development issuer, the edge and the workers on this machine.

    FOREBAY_ variables of the environment reach the edge and the workers. Prints one line that
    begins with `ready` when all parts serve; ends all parts on SIGINT or SIGTERM.
    """
    sizes = Sizes(edge=processes, workers=workers)
    system = System(state_dir, SystemOptions(grpc_port, http_port, sizes), say)
    # SIGINT too: a shell starts background commands with it ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        system.start()
        click.echo(ready_line(system))
        say(f"the page is at http://{system.addresses.http}/")
        Supervisor(system, say).watch()
    except KeyboardInterrupt:
        say("stopping; interrupt again to end at once")
    finally:
        end(system)


def end(system: System) -> None:
    """Stop the system; a second interrupt kills what is left."""
    try:
        system.stop()
    except KeyboardInterrupt:
        system.kill()


def ready_line(system: System) -> str:
    """Give the line that says where everything serves."""
    at = system.addresses
    return (
        f"ready grpc={at.grpc} http={at.http} kafka={at.kafka} postgres={at.postgres} "
        f"state={system.state.path}"
    )


def say(line: str) -> None:
    """Tell how it goes, apart from the ready line on standard output."""
    click.echo(line, file=sys.stderr)
