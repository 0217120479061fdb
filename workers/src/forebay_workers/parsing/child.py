"""The process that parses: reads documents from standard input until it ends.

Run as `python -m forebay_workers.parsing.child LIMITS`, with `ParserLimits` as JSON.
"""

import json
import os
import resource
import sys
from typing import BinaryIO

from forebay_workers.parsing.errors import (
    DocumentEmpty,
    DocumentTextTooLarge,
    DocumentUnparseable,
)
from forebay_workers.parsing.limits import ParserLimits
from forebay_workers.parsing.messages import LENGTHS, READY, Message, reply_of
from forebay_workers.parsing.parsers import parse_here


def main() -> None:
    """Serve one document after another."""
    limits = ParserLimits(**json.loads(sys.argv[1]))
    incoming, outgoing = sys.stdin.buffer, _private_output()
    _confine(limits)
    outgoing.write(READY)
    outgoing.flush()
    while lengths := incoming.read(LENGTHS.size):
        head_bytes, body_bytes = LENGTHS.unpack(lengths)
        request = Message.of(incoming.read(head_bytes), incoming.read(body_bytes))
        _allow_processor_time(limits.cpu_seconds)
        reply = _answer(str(request.head["mime_type"]), request.body, limits)
        outgoing.write(reply.packed())
        outgoing.flush()


def _private_output() -> BinaryIO:
    """Keep standard output to ourselves: a library that prints would break the protocol."""
    private = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(private, "wb")


def _confine(limits: ParserLimits) -> None:
    """Take away what a parser never needs: memory without end, files, core dumps."""
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _allow_processor_time(seconds: int) -> None:
    """Move the limit on: it counts from the start of the process, documents come one by one."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = int(usage.ru_utime + usage.ru_stime)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (used + seconds + 1, hard))


def _answer(mime_type: str, content: bytes, limits: ParserLimits) -> Message:
    try:
        return reply_of(parse_here(mime_type, content, limits.text_bytes))
    except DocumentEmpty:
        return Message({"error": "empty"}, b"")
    except DocumentTextTooLarge:
        return Message({"error": "too-large"}, b"")
    except DocumentUnparseable as error:
        return Message({"error": "unparseable", "detail": error.detail}, b"")
    except MemoryError:
        return Message({"error": "memory"}, b"")
    except Exception:  # noqa: BLE001 - parsers raise anything at all on damaged documents
        return Message({"error": "unparseable"}, b"")


if __name__ == "__main__":
    main()
