"""Files on their way to becoming documents."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

MIME_TYPES = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".txt": "text/plain",
    ".html": "text/html",
    ".htm": "text/html",
    ".pdf": "application/pdf",
}
_ID_LENGTH = 63
_HASH_LENGTH = 10  # 40 bits beside a like slug: a million files collide about never
_PLAIN_EXTENSION = ".md"  # one extension alone may vanish, or notes.md and notes.txt would meet


@dataclass(frozen=True)
class DocumentFile:
    """A file and the id that it gets."""

    path: Path
    document_id: str

    @property
    def mime_type(self) -> str:
        """By its extension."""
        return MIME_TYPES[self.path.suffix.lower()]

    def title(self, content: bytes) -> str:
        """A Markdown file's first heading; otherwise the file's name without extension."""
        if self.mime_type == "text/markdown":
            heading = re.search(rb"^#[ \t]+(\S.*?)[ \t#]*\r?$", content, re.MULTILINE)
            if heading is not None:
                return heading[1].decode("utf-8", "replace")[:200].replace("\0", "")
        return self.path.stem[:200]


@dataclass(frozen=True)
class FoundFiles:
    """What paths hold: files to bring in, and files whose kind is not known."""

    files: tuple[DocumentFile, ...]
    skipped: tuple[Path, ...]


class UnknownKind(ValueError):
    """A file that was named has an extension that stands for no document."""


class SameId(ValueError):
    """Two files would become one document."""


def find_files(paths: Iterable[Path]) -> FoundFiles:
    """The files that paths name, and those in the folders that they name.

    An id comes from the path within the folder that was named, so the same folder gives the
    same ids wherever it lies. Files and folders whose name begins with a dot are left out.

    Raises:
        UnknownKind: a path names a file of no known kind.
        SameId: two files would get one id.
    """
    found: dict[str, DocumentFile] = {}
    skipped: list[Path] = []
    for path, relative in _walk(paths):
        if path.suffix.lower() not in MIME_TYPES:
            skipped.append(path)
            continue
        file = DocumentFile(path, document_id(relative))
        other = found.setdefault(file.document_id, file)
        if other.path.resolve() != path.resolve():
            raise SameId(f"{other.path} and {path} would both become {file.document_id}")
    return FoundFiles(tuple(found.values()), tuple(skipped))


def document_id(relative: PurePosixPath) -> str:
    """An id `[a-z0-9-]{1,63}` of a path: readable, and another one for every other path.

    A lower-case name of letters, digits and dashes with the extension .md becomes the id as it
    is; whatever else a path holds is replaced, and a hash of the path tells it apart.
    """
    stem, extension = str(relative.with_suffix("")), relative.suffix
    slug = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")
    if slug == stem and extension == _PLAIN_EXTENSION and len(slug) <= _ID_LENGTH:
        return slug
    digest = hashlib.sha256(str(relative).encode("utf-8", "surrogateescape")).hexdigest()
    head = slug[: _ID_LENGTH - _HASH_LENGTH - 1].strip("-")
    return "-".join(part for part in (head, digest[:_HASH_LENGTH]) if part)


def _walk(paths: Iterable[Path]) -> Iterator[tuple[Path, PurePosixPath]]:
    for path in paths:
        if path.is_dir():
            for file in sorted(path.rglob("*")):
                relative = PurePosixPath(file.relative_to(path).as_posix())
                hidden = any(part.startswith(".") for part in relative.parts)
                if file.is_file() and not hidden:
                    yield file, relative
        elif path.suffix.lower() in MIME_TYPES:
            yield path, PurePosixPath(path.name)
        else:
            kinds = " ".join(MIME_TYPES)
            raise UnknownKind(f"{path} is of no known kind; known are {kinds}")
