"""Prints an answer as it arrives, then what it rests on."""

import sys
from collections.abc import Sequence

import click
from google.protobuf.json_format import MessageToJson

from forebay.client.answer import Answer
from forebay.client.command.terminal import one_line, plain
from forebay.client.sync_client import AnswerStream
from forebay.query.v1 import AnswerEvent, Citation, Passage

_EXCERPT = 240  # characters: about three lines
_NOTES = {
    AnswerEvent.Completed.FINISH_REASON_LENGTH: "The answer reached your tier's output limit.",
    AnswerEvent.Completed.FINISH_REASON_NO_EVIDENCE: "Nothing that you may see supports an answer.",
}


def print_events(stream: AnswerStream) -> None:
    """One JSON object per line, in protobuf's JSON form; ASCII, so safe anywhere.

    Raises:
        ForebayError: the query failed or was cancelled, after its last event was printed.
    """
    for event in stream:
        click.echo(MessageToJson(event, indent=None))
    stream.answer()


def print_answer(stream: AnswerStream) -> None:
    """The text as it grows, then the passages that it cites.

    Raises:
        ForebayError: the query failed or was cancelled.
    """
    open_line = False
    for event in stream:
        match event.WhichOneof("event"):
            case "delta":
                click.echo(plain(event.delta.text), nl=False)
                sys.stdout.flush()
                open_line = True
            case "restarted":
                _end_line(open_line=open_line)
                click.echo("The answer begins anew.", err=True)
                open_line = False
            case "completed" if not open_line and event.completed.answer:
                # Followed from behind the deltas.
                click.echo(plain(event.completed.answer), nl=False)
                open_line = True
            case "completed" | "failed" | "cancelled":
                pass
            case _:
                continue
    _end_line(open_line=open_line)
    _print_basis(stream.answer())


def _end_line(*, open_line: bool) -> None:
    if open_line:
        click.echo()


def _print_basis(answer: Answer) -> None:
    if answer.finish_reason == AnswerEvent.Completed.FINISH_REASON_RETRIEVED:
        print_passages(answer.passages)
    else:
        print_passages(cited(answer.passages, answer.citations))
    if answer.finish_reason in _NOTES:
        click.echo(_NOTES[answer.finish_reason], err=True)


def cited(passages: Sequence[Passage], citations: Sequence[Citation]) -> list[Passage]:
    """The passages that are cited, each once, in the order in which they first are."""
    order = dict.fromkeys(citation.passage for citation in citations)
    return [passages[index] for index in order if 0 <= index < len(passages)]


def print_passages(passages: Sequence[Passage]) -> None:
    """A numbered list: document, title and headings, excerpt."""
    for number, passage in enumerate(passages, start=1):
        headings = " / ".join(one_line(heading) for heading in passage.headings)
        where = " — ".join(part for part in (one_line(passage.title), headings) if part)
        click.echo(f"\n[{number}] {one_line(passage.document)}{f'  {where}' if where else ''}")
        click.echo(f"    {one_line(passage.text, _EXCERPT)}")
