"""`forebay documents`."""

from pathlib import Path
from typing import get_args

import click
from google.protobuf.json_format import MessageToJson

from forebay.client.command.connection import Connection
from forebay.client.command.document_files import FoundFiles, SameId, UnknownKind, find_files
from forebay.client.command.document_put import DocumentPut, DocumentTraits
from forebay.client.command.failure_line import failure_line
from forebay.client.command.labels import labels_of
from forebay.client.command.terminal import one_line
from forebay.client.document import VisibilityName, collection_name
from forebay.client.document_change import DocumentChanges
from forebay.client.failure import failure_of_status
from forebay.ingest.v1 import Document
from forebay.policy.v1 import Visibility

_collection = click.option(
    "--collection", default="default", show_default=True, help="The collection."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, a document a line.")


@click.group()
def documents() -> None:
    """Bring documents in, look at them and take them out."""


@documents.command()
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    metavar="PATH...",
    type=click.Path(exists=True, path_type=Path),
)
@_collection
@click.option(
    "--visibility",
    type=click.Choice(get_args(VisibilityName)),
    help="Who may read them; confidential when not said.",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    callback=labels_of,
    metavar="KEY=VALUE",
    help="What questions may filter by; repeatable.",
)
@click.option("--reader", "readers", multiple=True, help="A group that may read; repeatable.")
@click.option("--title", default="", help="The title; for a single file.")
@click.option(
    "--wait/--no-wait", default=True, help="Wait until questions find them. Default: wait."
)
@click.option(
    "--wait-timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=300.0,
    show_default=True,
    help="Seconds to wait for a document.",
)
@click.pass_obj
def put(  # noqa: PLR0913 - an argument for each option
    connection: Connection,
    *,
    paths: tuple[Path, ...],
    collection: str,
    visibility: VisibilityName | None,
    labels: dict[str, str],
    readers: tuple[str, ...],
    title: str,
    wait: bool,
    wait_timeout: float,
) -> None:
    """Bring in the files, and the files in the folders, at each PATH.

    Markdown, text, HTML and PDF by extension; other files in a folder are skipped.
    """
    found = _find(paths)
    if title and len(found.files) != 1:
        raise click.UsageError("--title is for a single file")
    traits = DocumentTraits(collection, visibility, labels, readers, title)
    with connection.open() as client:
        run = DocumentPut(client, traits)
        run.run(found.files, wait_timeout if wait else None)
    indexed = f", {run.indexed} indexed" if wait else ""
    click.echo(f"{run.accepted} accepted{indexed}, {run.failed} failed")
    if run.failed:
        raise click.exceptions.Exit(1)


@documents.command()
@click.argument("name")
@_collection
@_json
@click.pass_obj
def get(connection: Connection, *, name: str, collection: str, as_json: bool) -> None:
    """Show the document NAME.

    NAME is its id, or collections/{collection}/documents/{id}.
    """
    with connection.open() as client:
        document = client.get_document(_full_name(name, collection))
    if as_json:
        click.echo(MessageToJson(document, indent=None))
        return
    for key, value in _lines(document):
        click.echo(f"{key:<11} {one_line(value)}")


@documents.command(name="list")
@_collection
@_json
@click.pass_obj
def list_(connection: Connection, *, collection: str, as_json: bool) -> None:
    """List the documents of a collection that you may see."""
    with connection.open() as client:
        for document in client.list_documents(collection):
            if as_json:
                click.echo(MessageToJson(document, indent=None))
            else:
                cells = (document.name, _state(document), _visibility(document), document.title)
                click.echo("  ".join(one_line(cell) for cell in cells))


@documents.command()
@click.argument("name")
@_collection
@click.option("--visibility", type=click.Choice(get_args(VisibilityName)), help="Who may read it.")
@click.option("--reader", "readers", multiple=True, help="A group that may read; repeatable.")
@click.option("--no-readers", is_flag=True, help="Everybody with the clearance may read it.")
@click.option(
    "--label",
    "labels",
    multiple=True,
    callback=labels_of,
    metavar="KEY=VALUE",
    help="What questions may filter by; repeatable, replaces all labels.",
)
@click.option("--etag", default="", help="Refuse unless the document still has this etag.")
@click.pass_obj
def update(  # noqa: PLR0913 - an argument for each option
    connection: Connection,
    *,
    name: str,
    collection: str,
    visibility: VisibilityName | None,
    readers: tuple[str, ...],
    no_readers: bool,
    labels: dict[str, str],
    etag: str,
) -> None:
    """Change who may read the document NAME, or its labels, without new content."""
    changes = DocumentChanges(etag=etag)
    if visibility:
        changes["visibility"] = visibility
    if readers or no_readers:
        changes["readers"] = readers
    if labels:
        changes["labels"] = labels
    if readers and no_readers:
        raise click.UsageError("--reader and --no-readers contradict each other")
    if not changes.keys() - {"etag"}:
        raise click.UsageError("say what changes: --visibility, --reader, --no-readers or --label")
    with connection.open() as client:
        document = client.update_document(_full_name(name, collection), **changes)
    click.echo(f"{one_line(document.name)}  changed, etag {one_line(document.etag)}")


@documents.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@_collection
@click.pass_obj
def delete(connection: Connection, *, names: tuple[str, ...], collection: str) -> None:
    """Take out each document NAME, with all its versions; one that is not there is no error."""
    with connection.open() as client:
        for name in names:
            full_name = _full_name(name, collection)
            client.delete_document(full_name)
            click.echo(f"{one_line(full_name)}  deleted")


def _find(paths: tuple[Path, ...]) -> FoundFiles:
    try:
        found = find_files(paths)
    except (UnknownKind, SameId) as error:
        raise click.UsageError(one_line(str(error))) from error
    for path in found.skipped:
        click.echo(one_line(f"{path}: skipped, its kind is not known"), err=True)
    if not found.files:
        raise click.UsageError("there is no document in what was named")
    return found


def _full_name(name: str, collection: str) -> str:
    return name if "/" in name else f"{collection_name(collection)}/documents/{name}"


def _state(document: Document) -> str:
    return Document.State.Name(document.state).removeprefix("STATE_")


def _visibility(document: Document) -> str:
    return Visibility.Name(document.visibility).removeprefix("VISIBILITY_").lower()


def _lines(document: Document) -> list[tuple[str, str]]:
    lines = [
        ("name", document.name),
        ("state", _state(document)),
        ("title", document.title),
        ("kind", document.mime_type),
        ("visibility", _visibility(document)),
        ("readers", ", ".join(document.readers)),
        ("labels", ", ".join(f"{key}={value}" for key, value in sorted(document.labels.items()))),
        ("source", document.source_uri),
        ("version", document.etag),
        ("replaced by", document.superseded_by),
        (
            "updated",
            document.update_time.ToJsonString() if document.HasField("update_time") else "",
        ),
    ]
    if document.state == Document.STATE_FAILED:
        lines.append(("why", failure_line(failure_of_status(document.error))))
    return [(key, value) for key, value in lines if value]
