"""`forebay pipeline`."""

from collections.abc import Iterable

import click
from google.protobuf.json_format import MessageToJson
from rich.console import Console
from rich.live import Live

from forebay.client.command.connection import Connection
from forebay.client.command.pipeline_table import drawn, heading, lines
from forebay.pipeline.v1 import PipelineStatus


@click.command()
@click.option(
    "--interval",
    type=click.FloatRange(1, 60),
    default=2.0,
    show_default=True,
    help="Seconds from one status to the next.",
)
@click.option("--once", is_flag=True, help="Show one status and end.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print each status as a line of JSON, zeros included."
)
@click.pass_obj
def pipeline(connection: Connection, *, interval: float, once: bool, as_json: bool) -> None:
    """Show how the stages of the pipeline keep up, until Ctrl-C.

    Columns: records that are yet to be finished (lag), records finished per second (rate), age of
    the oldest unfinished record (oldest), records being worked on (in flight), attempts that were
    repeated (retries), records that wait to be tried again later (pending), and records that the
    stage gave up (dead letters; see `forebay dead-letters`). Needs the scope `operate`.

    On a terminal the table is drawn anew with each status; elsewhere each stage is a line of each
    status, its time in front.
    """
    with connection.open() as client:
        statuses: Iterable[PipelineStatus]
        statuses = [client.pipeline_status()] if once else client.watch_pipeline(interval)
        console = Console()
        if as_json:
            _print_json(statuses)
        elif not console.is_terminal:
            _print_lines(statuses)
        elif once:
            for status in statuses:
                console.print(drawn(status))
        else:
            _draw(statuses, console)


def _print_json(statuses: Iterable[PipelineStatus]) -> None:
    for status in statuses:
        # A script that reads a count must find it when it is zero, too.
        click.echo(MessageToJson(status, indent=None, always_print_fields_with_no_presence=True))


def _print_lines(statuses: Iterable[PipelineStatus]) -> None:
    for number, status in enumerate(statuses):
        if number == 0:
            click.echo(heading())
        for line in lines(status):
            click.echo(line)


def _draw(statuses: Iterable[PipelineStatus], console: Console) -> None:
    with Live(console=console, auto_refresh=False) as live:
        for status in statuses:
            live.update(drawn(status), refresh=True)
