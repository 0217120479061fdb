"""What parsing one document may take."""

from dataclasses import dataclass

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ParserLimits:
    """Limits of one child process; the defaults fit documents of up to 4 MiB."""

    cpu_seconds: int = 60  # also ends a child whose parent died in the meantime
    memory_bytes: int = 1024 * _MIB  # of address space; 4 MiB of markup take about 250 MiB
    text_bytes: int = 4 * _MIB  # so that all chunks of a document fit a record of 8 MiB
    documents_per_child: int = 2_048  # then a new one: what parsers leak stays bounded
