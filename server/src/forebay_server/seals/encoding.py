"""Bytes as the letters and digits of a resource id (AIP-122)."""

from __future__ import annotations

from base64 import b32hexdecode, b32hexencode


def encode(data: bytes) -> str:
    """Base32hex (RFC 4648) in lower case, without padding; it sorts as the bytes do."""
    return b32hexencode(data).decode().rstrip("=").lower()


def decode(text: str) -> bytes:
    """The bytes behind a text; ValueError for one that `encode` did not make."""
    padded = text.upper() + "=" * (-len(text) % 8)
    data = b32hexdecode(padded)
    if encode(data) != text:
        raise ValueError("not the one spelling of these bytes")
    return data
