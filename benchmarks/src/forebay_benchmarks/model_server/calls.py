"""The record of calls, by which tests tell what was asked, how often, and how it ended."""

import hashlib
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from forebay_benchmarks.model_server.behaviour import Kind

Outcome = Literal["running", "completed", "refused", "cut", "disconnected"]


@dataclass(slots=True)
class Call:
    """One call. `sha256` holds a digest per text: the question, or the texts to embed.

    `request` is the body of a chat call, where the behaviour says that it is kept.
    """

    kind: Kind
    model: str
    sha256: list[str]
    started: float = field(default_factory=time.time)
    status: int = 0
    chunks: int = 0
    outcome: Outcome = "running"
    request: dict[str, Any] | None = None


@dataclass(slots=True)
class CallLog:
    """Every call since the last reset."""

    calls: list[Call] = field(default_factory=list)

    def open(self, kind: Kind, model: str, texts: list[str]) -> Call:
        """Note a call as it arrives."""
        digests = [hashlib.sha256(text.encode("utf-8", "replace")).hexdigest() for text in texts]
        call = Call(kind=kind, model=model, sha256=digests)
        self.calls.append(call)
        return call

    def reset(self) -> None:
        """Forget all calls, running ones too."""
        self.calls = []

    def as_json(self) -> dict[str, object]:
        """Return all calls, how many there were of each kind, and how many run now."""
        return {
            "chat": sum(call.kind == "chat" for call in self.calls),
            "embeddings": sum(call.kind == "embeddings" for call in self.calls),
            "running": sum(call.outcome == "running" for call in self.calls),
            "calls": [asdict(call) for call in self.calls],
        }
