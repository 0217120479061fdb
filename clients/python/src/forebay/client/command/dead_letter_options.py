"""Options that say which dead letters are meant."""

from collections.abc import Callable
from difflib import get_close_matches
from functools import reduce
from typing import TypeAlias

import click

from forebay.client.command.moment import moment_of
from forebay.client.dead_letters import SelectionOptions
from forebay.errors.v1 import ErrorReason

Command: TypeAlias = Callable[..., None]

_PREFIX = "ERROR_REASON_"
_UNSPECIFIED = ErrorReason.ERROR_REASON_UNSPECIFIED


def _reason_of(
    _ctx: click.Context, _param: click.Parameter, value: str | None
) -> ErrorReason.ValueType | None:
    """The ErrorReason of that name, in either case and with either dash."""
    if value is None:
        return None
    known = {key.removeprefix(_PREFIX): number for key, number in ErrorReason.items()}
    known = {name: number for name, number in known.items() if number != _UNSPECIFIED}
    name = value.upper().replace("-", "_").removeprefix(_PREFIX)
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise click.BadParameter(f"{value!r} is no reason of an error{hint}")
    return known[name]


_FILTER = (
    click.option("--stage", default="", help="The stage that gave up, such as embedding."),
    click.option(
        "--reason",
        callback=_reason_of,
        metavar="REASON",
        help="Why it gave up, such as DOCUMENT_EMPTY.",
    ),
    click.option(
        "--since",
        callback=moment_of,
        metavar="TIME",
        help="Given up since this time, such as 2026-01-31T12:00, or within an age: 90s, 2h, 7d.",
    ),
    click.option(
        "--until",
        callback=moment_of,
        metavar="TIME",
        help="Given up before this time, or longer ago than an age.",
    ),
    click.option("--tenant", default="", help="The tenant whose record it was."),
)
_NAMES = click.option(
    "--name", "names", multiple=True, help="A dead letter, as `list` names it; repeatable."
)
_ALL = click.option("--all", "every", is_flag=True, help="All dead letters there are.")


def letter_filter(command: Command) -> Command:
    """Adds the options by which dead letters are told apart."""
    return _with_options(command, *_FILTER)


def letter_selection(command: Command) -> Command:
    """Adds the options of a filter, names, and all."""
    return _with_options(command, _NAMES, *_FILTER, _ALL)


def selected(selection: SelectionOptions) -> SelectionOptions:
    """What the options of a command select, as the client takes it.

    Raises:
        click.UsageError: nothing is selected, or all and some.
    """
    names = selection["names"] or ()
    every = selection["every"]
    some = any(value for key, value in selection.items() if key != "every")
    if every and some:
        raise click.UsageError("--all goes with no other selection")
    if not every and not some:
        raise click.UsageError("say which: --name, --stage, --reason, …, or --all")
    full_names = [name if "/" in name else f"deadLetters/{name}" for name in names]
    return {**selection, "names": full_names or None}


def _with_options(command: Command, *options: Callable[[Command], Command]) -> Command:
    return reduce(lambda decorated, option: option(decorated), reversed(options), command)
