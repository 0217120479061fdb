"""Keys of records, and the partition that each belongs to.

The partition is CRC-32 of the partition key modulo the partition count, which is what librdkafka
calls the `consistent` partitioner. Documents keep one key per version and one partition per
document, so the two keys differ there.
"""

from __future__ import annotations

from zlib import crc32


def document_partition_key(tenant: str, name: str) -> str:
    """`tenant/collection/document` of `collections/{collection}/documents/{document}`."""
    _, collection, _, document = name.split("/")
    return f"{tenant}/{collection}/{document}"


def document_key(tenant: str, name: str, version: str) -> str:
    """`tenant/collection/document@version`."""
    return f"{document_partition_key(tenant, name)}@{version}"


def chunk_set_key(tenant: str, name: str, version: str, chunking: str) -> str:
    """`tenant/collection/document@version/chunking`."""
    return f"{document_key(tenant, name, version)}/{chunking}"


def source_key(group: str, topic: str, partition: int, offset: int) -> str:
    """`group/topic/partition/offset`, of what a group puts off or gives up."""
    return f"{group}/{topic}/{partition}/{offset}"


def partition_for(partition_key: str, count: int) -> int:
    """The partition of a key among `count` partitions."""
    return crc32(partition_key.encode()) % count
