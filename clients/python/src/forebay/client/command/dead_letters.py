"""`forebay dead-letters`."""

import sys
from typing import Unpack

import click
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message

from forebay.client.command.connection import Connection
from forebay.client.command.dead_letter_lines import print_letter
from forebay.client.command.dead_letter_options import letter_filter, letter_selection, selected
from forebay.client.dead_letters import DeadLetterOptions, SelectionOptions

_DECISION_SECONDS = 120.0  # each letter is read and its record written again
_json = click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
_dry_run = click.option("--dry-run", is_flag=True, help="Count only, and change nothing.")


@click.group(name="dead-letters")
def dead_letters() -> None:
    """Look at what stages gave up, and give it back to them or end it.

    Needs the scope `operate`.
    """


@dead_letters.command(name="list")
@letter_filter
@click.option(
    "--content",
    is_flag=True,
    help="Show what stands in the records, too. Needs the scope `inspect` as well.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, a dead letter a line.")
@click.pass_obj
def list_(
    connection: Connection,
    *,
    content: bool,
    as_json: bool,
    **options: Unpack[DeadLetterOptions],
) -> None:
    """List dead letters, newest first: all, or those that fit every option."""
    with connection.open() as client:
        for letter in client.list_dead_letters(include_content=content, **options):
            if as_json:
                click.echo(MessageToJson(letter, indent=None))
            else:
                print_letter(letter)


@dead_letters.command()
@letter_selection
@_dry_run
@click.option(
    "--rate",
    type=click.FloatRange(0, 10_000, min_open=True),
    default=10.0,
    show_default=True,
    help="How many records per second come back to the stage.",
)
@_json
@click.pass_obj
def redrive(
    connection: Connection,
    *,
    dry_run: bool,
    rate: float,
    as_json: bool,
    **selection: Unpack[SelectionOptions],
) -> None:
    """Give records back to the stage that gave them up, once its cause is mended.

    What belongs to a query stays: its asker was told that it failed. So does what was not kept.
    """
    letters = selected(selection)
    with connection.open(_DECISION_SECONDS) as client:
        done = client.redrive_dead_letters(validate_only=dry_run, rate=rate, **letters)
    if as_json:
        _print_json(done)
        return
    click.echo(f"{done.redriven_count} {'would go back' if dry_run else 'went back'}")
    if done.refused_count:
        stay = "would stay" if dry_run else "stayed"
        click.echo(
            f"{done.refused_count} {stay}: of queries, or their content was not kept", err=True
        )


@dead_letters.command()
@letter_selection
@_dry_run
@click.option("--yes", is_flag=True, help="Do not ask; needed where nobody can be asked.")
@_json
@click.pass_obj
def purge(
    connection: Connection,
    *,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    **selection: Unpack[SelectionOptions],
) -> None:
    """End dead letters for good: their records are lost."""
    letters = selected(selection)
    if not (dry_run or yes or sys.stdin.isatty()):
        raise click.UsageError(
            "what is purged is lost, and there is no terminal to ask on: "
            "add --yes, or --dry-run to count only"
        )
    with connection.open(_DECISION_SECONDS) as client:
        if not (dry_run or yes):
            counted = client.purge_dead_letters(validate_only=True, **letters).purged_count
            if counted:
                click.confirm(f"End {counted} dead letters for good?", abort=True, err=True)
        done = client.purge_dead_letters(validate_only=dry_run, **letters)
    if as_json:
        _print_json(done)
    else:
        click.echo(f"{done.purged_count} {'would end' if dry_run else 'ended'}")


def _print_json(counts: Message) -> None:
    # A script that reads a count must find it when it is zero, too.
    click.echo(MessageToJson(counts, indent=None, always_print_fields_with_no_presence=True))
