"""A dead letter as a line, and what stands in it below."""

import click

from forebay.client.command.failure_line import failure_line
from forebay.client.command.terminal import one_line
from forebay.client.failure import failure_of_status
from forebay.pipeline.v1 import DeadLetter

_EXCERPT = 240  # characters of a value: about three lines; --json has all of it


def print_letter(letter: DeadLetter) -> None:
    """When, which, what it was about and why; empty cells are a dash."""
    error = failure_of_status(letter.error)
    cells = (
        letter.give_up_time.ToDatetime().strftime("%Y-%m-%dT%H:%M:%SZ"),
        letter.name,
        letter.stage,
        letter.tenant,
        letter.resource,
        error.reason_name,
        f"attempts={letter.attempts}",
        f"bytes={letter.size_bytes}",
        failure_line(error),
    )
    click.echo("  ".join(one_line(cell) or "-" for cell in cells))
    if letter.HasField("content"):
        _print_content(letter.content)


def _print_content(content: DeadLetter.Content) -> None:
    key = _text(content.key) if content.HasField("key") else "none"
    value = _text(content.value) if content.HasField("value") else "none"
    click.echo(f"    key    {one_line(key)}")
    click.echo(f"    value  {one_line(value, _EXCERPT)}")


def _text(data: bytes) -> str:
    """What of it is text: records are binary, with the texts that they carry in them."""
    return data.decode("utf-8", errors="replace")
