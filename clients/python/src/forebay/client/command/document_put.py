"""Brings files in and waits until questions find them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from forebay.client.command.document_files import DocumentFile
from forebay.client.command.failure_line import failure_line
from forebay.client.command.terminal import one_line
from forebay.client.document import IngestOutcome, NewDocument, VisibilityName
from forebay.client.errors import DocumentSuperseded, ForebayError
from forebay.client.sync_client import Client
from forebay.ingest.v1 import Document

_LARGEST = 4 * 1024 * 1024  # bytes; the contract's limit: a larger file is not even read


@dataclass(frozen=True)
class DocumentTraits:
    """What all files of one command have in common; the title only where there is one file."""

    collection: str
    visibility: VisibilityName | None
    labels: Mapping[str, str]
    readers: Sequence[str]
    title: str


class DocumentPut:
    """One run over some files: counts what succeeds, tells what does not."""

    def __init__(self, client: Client, traits: DocumentTraits) -> None:
        self._client = client
        self._traits = traits
        self._paths: dict[str, Path] = {}
        self._receipts: list[Document] = []
        self._console = Console(stderr=True)
        self.accepted = 0
        self.indexed = 0
        self.failed = 0

    def run(self, files: Sequence[DocumentFile], wait_seconds: float | None) -> None:
        """Brings the files in; waits for each up to `wait_seconds`, or not at all if None.

        Raises:
            ForebayError: the server takes no documents at all.
        """
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        shown = self._console.is_terminal
        with Progress(*columns, console=self._console, disable=not shown) as progress:
            self._bring_in(files, _counter(progress, "accepted", len(files)))
            if wait_seconds is not None:
                step = _counter(progress, "indexed", len(self._receipts))
                self._wait(wait_seconds, step)

    def _bring_in(self, files: Sequence[DocumentFile], step: Callable[[], None]) -> None:
        for outcome in self._client.ingest_many(self._read(files)):
            self._note(outcome)
            step()

    def _note(self, outcome: IngestOutcome) -> None:
        if outcome.document is not None:
            self.accepted += 1
            self._receipts.append(outcome.document)
        elif outcome.error is not None:
            self._fail(self._paths[outcome.source.document_id], failure_line(outcome.error))

    def _wait(self, seconds: float, step: Callable[[], None]) -> None:
        for receipt in self._receipts:
            path = self._paths[receipt.name.rpartition("/")[2]]
            try:
                self._client.wait_indexed(receipt.name, receipt.etag, seconds)
                self.indexed += 1
            except DocumentSuperseded as error:
                self._tell(f"{path}: {failure_line(error)}")
            except ForebayError as error:
                self._fail(path, failure_line(error))
            step()

    def _read(self, files: Sequence[DocumentFile]) -> Iterator[NewDocument]:
        """Reads each file when its turn comes; one that cannot be read stops no other."""
        for file in files:
            self._paths[file.document_id] = file.path
            try:
                size = file.path.stat().st_size
                content = file.path.read_bytes() if size <= _LARGEST else b""
            except OSError as error:
                self._fail(file.path, error.strerror or str(error))
                continue
            if size > _LARGEST:
                self._fail(file.path, f"{size} bytes are over the limit of {_LARGEST}")
                continue
            yield self._document(file, content)

    def _document(self, file: DocumentFile, content: bytes) -> NewDocument:
        return NewDocument(
            collection=self._traits.collection,
            document_id=file.document_id,
            # As bytes: what the encoding is, and whether it holds, is for the parser to say.
            raw=content,
            title=self._traits.title or file.title(content),
            mime_type=file.mime_type,
            visibility=self._traits.visibility,
            readers=self._traits.readers,
            labels=self._traits.labels,
        )

    def _fail(self, path: Path, why: str) -> None:
        self.failed += 1
        self._tell(f"{path}: {why}")

    def _tell(self, line: str) -> None:
        if self._console.is_terminal:
            self._console.print(one_line(line), markup=False, highlight=False, soft_wrap=True)
        else:
            click.echo(one_line(line), err=True)


def _counter(progress: Progress, what: str, total: int) -> Callable[[], None]:
    task = progress.add_task(what, total=total)
    return lambda: progress.advance(task)
