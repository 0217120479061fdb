"""Calls by method and code."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# From a refusal in memory to an answer of a minute and the longest timeout of a query.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 600)
UNKNOWN = "unknown"  # strangers may name any method; a label for each would fill the memory


@dataclass
class Outcome:
    """How a call ends: the name of its gRPC code."""

    code: str = "OK"


class CallMeter:
    """Counts and times the calls of the methods at `/package.Service/Method`."""

    def __init__(self, registry: CollectorRegistry, methods: Iterable[str]) -> None:
        self._methods = frozenset(methods)
        calls = Counter(
            "forebay_edge_calls",
            "Calls that ended.",
            ("method", "code"),
            registry=registry,
        )
        seconds = Histogram(
            "forebay_edge_call_seconds",
            "How long calls took, streams included.",
            ("method",),
            buckets=SECONDS,
            registry=registry,
        )
        still_open = Gauge(
            "forebay_edge_open_calls",
            "Calls and streams that go on.",
            ("method",),
            registry=registry,
        )
        # A look-up of labels takes 5 us; there are only as many as methods and codes.
        self._calls = cache(calls.labels)
        self._seconds = cache(seconds.labels)
        self._open = cache(still_open.labels)

    @contextmanager
    def running(self, path: str) -> Iterator[Outcome]:
        """Meter a call; a body that is cancelled from outside ends it with CANCELLED."""
        method = path if path in self._methods else UNKNOWN
        outcome, began = Outcome(), time.monotonic()
        still_open = self._open(method)
        still_open.inc()
        try:
            yield outcome
        except Exception:
            if outcome.code == "OK":
                outcome.code = "UNKNOWN"
            raise
        except BaseException:
            outcome.code = "CANCELLED"
            raise
        finally:
            still_open.dec()
            self._calls(method, outcome.code).inc()
            self._seconds(method).observe(time.monotonic() - began)
