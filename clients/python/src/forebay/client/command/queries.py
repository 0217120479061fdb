"""`forebay queries`."""

import click
from google.protobuf.json_format import MessageToJson

from forebay.client.command.answer_printer import cited, print_passages
from forebay.client.command.ask import show
from forebay.client.command.connection import Connection
from forebay.client.command.failure_line import failure_line
from forebay.client.command.terminal import one_line, plain
from forebay.client.failure import failure_of_status
from forebay.query.v1 import Query


@click.group()
def queries() -> None:
    """Look at questions that were asked.

    NAME is `queries/…`, or what follows the slash. Queries are kept for a day, for their asker.
    """


@queries.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def get(connection: Connection, *, name: str, as_json: bool) -> None:
    """Show the query NAME as far as it has come."""
    with connection.open() as client:
        query = client.get_query(_full_name(name))
    if as_json:
        click.echo(MessageToJson(query, indent=None))
        return
    _print(query)


@queries.command()
@click.argument("name")
@click.option(
    "--after",
    "cursor",
    default="",
    help="Begin behind this cursor: one of the events that --json prints.",
)
@click.option("--json", "as_json", is_flag=True, help="Print each event as a line of JSON.")
@click.pass_obj
def follow(connection: Connection, *, name: str, cursor: str, as_json: bool) -> None:
    """Show the answer of the query NAME as it is written."""
    with connection.open() as client:
        show(client.follow(_full_name(name), cursor), as_json=as_json)


@queries.command()
@click.argument("name")
@click.pass_obj
def cancel(connection: Connection, *, name: str) -> None:
    """End the query NAME, if it has not ended."""
    with connection.open() as client:
        query = client.cancel_query(_full_name(name))
    click.echo(f"{one_line(query.name)}  {_state(query)}")


def _full_name(name: str) -> str:
    return name if "/" in name else f"queries/{name}"


def _state(query: Query) -> str:
    return Query.State.Name(query.state).removeprefix("STATE_")


def _print(query: Query) -> None:
    click.echo(f"{one_line(query.name)}  {_state(query)}")
    click.echo(one_line(query.text))
    if query.answer:
        click.echo(f"\n{plain(query.answer)}")
    print_passages(cited(query.passages, query.citations))
    if query.state == Query.STATE_FAILED:
        click.echo(f"Why: {failure_line(failure_of_status(query.error))}")
