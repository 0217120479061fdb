"""What parent and child say to each other: lengths and JSON, nothing that runs when it is read.

The child has read a hostile document when it answers, so its answer is data to check, not a pickle.
"""

import json
import struct
from dataclasses import dataclass
from typing import Any, Self

from forebay_workers.parsing.parsed_document import ParsedDocument, Section

LENGTHS = struct.Struct("!II")  # bytes of the JSON head, bytes of the body
READY = b"ready\n"


@dataclass(frozen=True, slots=True)
class Message:
    """A JSON object and a body of bytes: content on the way there, text on the way back."""

    head: dict[str, Any]
    body: bytes

    def packed(self) -> bytes:
        """Return the bytes on the wire: lengths, head, body."""
        head = json.dumps(self.head).encode()
        return LENGTHS.pack(len(head), len(self.body)) + head + self.body

    @classmethod
    def of(cls, head: bytes, body: bytes) -> Self:
        """Read a message; raises ValueError when the head is not a JSON object."""
        parsed = json.loads(head)
        if not isinstance(parsed, dict):
            raise ValueError("the head is not an object")  # noqa: TRY004 - one error for a bad head
        return cls(parsed, body)


def reply_of(parsed: ParsedDocument) -> Message:
    """Pack a parsed document."""
    sections = [[list(part.heading_path), part.start, part.end] for part in parsed.sections]
    return Message({"sections": sections}, parsed.text.encode())


def document_of(message: Message) -> ParsedDocument:
    """Unpack a parsed document; raises ValueError or TypeError when it is anything else."""
    sections = tuple(
        Section(tuple(str(heading) for heading in path), int(start), int(end))
        for path, start, end in message.head["sections"]
    )
    if any(not 0 <= part.start <= part.end <= len(message.body) for part in sections):
        raise ValueError("a section lies outside the text")
    return ParsedDocument(message.body.decode(), sections)
