"""`forebay ask`."""

import click

from forebay.client.command.answer_printer import print_answer, print_events
from forebay.client.command.connection import Connection
from forebay.client.command.labels import labels_of
from forebay.client.sync_client import AnswerStream
from forebay.query.v1 import SubmitQueryRequest

INTERRUPTED = 130  # what a shell reports for SIGINT: 128 + 2


@click.command()
@click.argument("question")
@click.option(
    "--collection",
    "collections",
    multiple=True,
    help="Where to look; everywhere that you may when not given. Repeatable.",
)
@click.option(
    "--filter",
    "labels",
    multiple=True,
    callback=labels_of,
    metavar="KEY=VALUE",
    help="A label that documents must carry; repeatable.",
)
@click.option(
    "--top-k",
    type=click.IntRange(0, 50),
    default=0,
    help="How many passages to find; as many as your tier has when 0 or not given.",
)
@click.option("--retrieve-only", is_flag=True, help="Show passages; pay no model.")
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 600),
    default=60.0,
    show_default=True,
    help="Seconds that the answer may take.",
)
@click.option("--json", "as_json", is_flag=True, help="Print each event as a line of JSON.")
@click.pass_obj
def ask(  # noqa: PLR0913 - an argument for each option
    connection: Connection,
    *,
    question: str,
    collections: tuple[str, ...],
    labels: dict[str, str],
    top_k: int,
    retrieve_only: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Ask a QUESTION and show its answer as it is written.

    Below it stand the passages that it rests on. Ctrl-C leaves the query running, and says how to
    follow it again.
    """
    answer, passages = SubmitQueryRequest.MODE_ANSWER, SubmitQueryRequest.MODE_RETRIEVE_ONLY
    with connection.open() as client:
        stream = client.ask(
            question,
            collections=collections,
            filter=labels,
            top_k=top_k,
            mode=passages if retrieve_only else answer,
            timeout=timeout,
        )
        show(stream, as_json=as_json)


def show(stream: AnswerStream, *, as_json: bool) -> None:
    """Prints a query's events; an interrupt says how to follow the query again.

    Raises:
        ForebayError: the query failed or was cancelled.
        click.exceptions.Exit: Ctrl-C.
    """
    try:
        if as_json:
            print_events(stream)
        else:
            print_answer(stream)
    except KeyboardInterrupt:
        click.echo(err=True)
        if stream.query:
            click.echo(f"The query goes on: forebay queries follow {stream.query}", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None
