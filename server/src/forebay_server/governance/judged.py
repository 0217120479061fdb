"""A message of a stream, and what the contract's rules say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message

from forebay_server.errors import EdgeError

MessageT = TypeVar("MessageT", bound=Message)


@dataclass(frozen=True, slots=True)
class Judged(Generic[MessageT]):
    """One message of a client's stream; with a refusal when it breaks the contract's rules.

    The stream's service decides whether that ends the stream.
    """

    message: MessageT
    refusal: EdgeError | None = None
