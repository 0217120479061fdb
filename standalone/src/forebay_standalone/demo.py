"""`forebay demo`: three people ask the same question, and each gets the answer of their tier."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import click

from forebay.client import Answer, Client, IngestOutcome
from forebay.ingest.v1 import Document
from forebay.query.v1 import AnswerEvent
from forebay_standalone.corpus import Questions, documents, questions
from forebay_standalone.errors import StandaloneError
from forebay_standalone.issuer import TENANT, every_scope
from forebay_standalone.ports import LOOPBACK, free_port
from forebay_standalone.system import HTTP_PORT, System, SystemOptions
from forebay_standalone.up import say

STATE_DIR = Path(".demo")
AUTHOR_TIER = "enterprise"  # who writes a document must be cleared for it
TOKEN_TIME = timedelta(minutes=10)


class DemoFailed(StandaloneError):
    """An answer lacks what its tier may see, or holds what it may not."""


@click.command()
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=STATE_DIR,
    show_default=True,
    help="Folder for data, keys and logs.",
)
def demo(state_dir: Path) -> None:
    """Start everything, bring prose in, and ask one question in three tiers.

    Exits with 0 when each answer holds the fact that its tier adds and none of a higher one.
    """
    began = time.monotonic()
    http_port = free_port()
    ports = SystemOptions(free_port(frozenset({http_port})), http_port)
    with System(state_dir, ports, say) as system:
        bring_in(system)
        asked = questions()
        failures = [failure for tier in asked.facts for failure in ask(system, asked, tier)]
    if failures:
        raise DemoFailed("the demo failed:\n" + "\n".join(f"  {failure}" for failure in failures))
    click.echo(f"\nall three answers are right, after {time.monotonic() - began:.0f} s")
    click.echo(f"see for yourself: {up_with(state_dir)}, then open http://{LOOPBACK}:{HTTP_PORT}/")


def up_with(state_dir: Path) -> str:
    """What keeps the demo's documents up, as somebody would type it."""
    return f"make up ARGS='--state-dir {state_dir}'"


def bring_in(system: System) -> None:
    """Ingest the prose and wait until questions find it."""
    with client(system, AUTHOR_TIER) as author:
        for receipt in [accepted(outcome) for outcome in author.ingest_many(documents())]:
            document = author.wait_indexed(receipt.name, receipt.etag)
            click.echo(f"indexed {document.name}")


def accepted(outcome: IngestOutcome) -> Document:
    """The receipt of a document."""
    if outcome.document is None:
        raise DemoFailed(f"{outcome.source.document_id} was refused: {outcome.error}")
    return outcome.document


def ask(system: System, asked: Questions, tier: str) -> Sequence[str]:
    """Ask in one tier, print the answer as it comes, and say what is wrong with it."""
    click.secho(f"\n[{tier}] {asked.question}", bold=True)
    with client(system, tier) as asker, asker.ask(asked.question) as stream:
        for event in stream:
            show(event)
        answer = stream.answer()
    show_citations(answer)
    return wrong(answer.text, asked, tier)


def show(event: AnswerEvent) -> None:
    """Print what an event adds to the answer."""
    if event.HasField("delta"):
        click.echo(event.delta.text, nl=False)
    elif event.HasField("completed"):
        click.echo()


def show_citations(answer: Answer) -> None:
    """Print what the answer rests on, each passage once."""
    for number in dict.fromkeys(citation.passage for citation in answer.citations):
        passage = answer.passages[number]
        place = " > ".join((passage.document, *passage.headings))
        click.secho(f"  [{number + 1}] {place}", dim=True)


def wrong(text: str, asked: Questions, tier: str) -> Sequence[str]:
    """What an answer lacks, and what it should not hold."""
    tiers = list(asked.facts)
    above = tiers[tiers.index(tier) + 1 :]
    lacks = [] if asked.facts[tier] in text else [f"{tier}: lacks {asked.facts[tier]!r}"]
    leaks = [f"{tier}: holds {asked.facts[t]!r} of {t}" for t in above if asked.facts[t] in text]
    return [*lacks, *leaks]


@contextmanager
def client(system: System, tier: str) -> Iterator[Client]:
    """A client of somebody in a tier."""
    token = system.issuer.mint(TENANT, f"{tier}-user", tier, every_scope(), (), TOKEN_TIME)
    with Client(system.addresses.grpc, token) as connected:
        yield connected
