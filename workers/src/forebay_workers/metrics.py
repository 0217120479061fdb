"""The figures of a worker's stages for Prometheus. They name stages, never tenants."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from forebay.records.v1 import Stage
from forebay_kafka.envelope_files import VerificationKeyFile
from forebay_kafka.stages import stage_word
from forebay_workers.record_loop.counters import LoopSnapshot, LoopState
from forebay_workers.record_loop.loop import RecordLoop

SCRAPE_SECONDS = 5.0  # a loop that does not answer by then is blocked; the scrape fails, as it must
OUTCOMES = ("processed", "expired", "put_off", "dead_lettered", "tombstones", "passed_over")


class MetricsAddress(NamedTuple):
    """Where the figures are served."""

    host: str
    port: int


class StageCollector(Collector):
    """Reads snapshots, in the event loop of the stages, whenever somebody asks."""

    def __init__(self, loops: Sequence[RecordLoop], keys: VerificationKeyFile) -> None:
        self._loops = loops
        self._keys = keys
        self._event_loop = asyncio.get_running_loop()

    def collect(self) -> Iterator[Metric]:
        """Yield every figure; called in a thread of the server."""
        asked = asyncio.run_coroutine_threadsafe(self._snapshots(), self._event_loop)
        snapshots = asked.result(SCRAPE_SECONDS)
        yield _outcomes(snapshots)
        retries = CounterMetricFamily(
            "forebay_stage_retries", "Attempts repeated since the start.", labels=["stage"]
        )
        for stage, now in snapshots.items():
            retries.add_metric([stage], now.counts.retried)
        yield retries
        for name, text, values in self._gauges(snapshots):
            gauge = GaugeMetricFamily(f"forebay_stage_{name}", text, labels=["stage"])
            for stage, value in values.items():
                gauge.add_metric([stage], value)
            yield gauge
        yield GaugeMetricFamily(
            "forebay_worker_keys_refused",
            "1 while the file of envelope keys is wrong, so that its last good state counts.",
            float(self._keys.problem is not None),
        )

    async def _snapshots(self) -> dict[str, LoopSnapshot]:
        return {stage_word(Stage.ValueType(loop.stage)): loop.snapshot() for loop in self._loops}

    def _gauges(
        self, snapshots: Mapping[str, LoopSnapshot]
    ) -> Iterator[tuple[str, str, dict[str, float]]]:
        each = snapshots.items()
        yield "in_flight", "Records being worked on.", {s: now.in_flight for s, now in each}
        yield "waiting", "Records fetched that wait.", {s: now.waiting for s, now in each}
        yield "stuck_calls", "Calls that go on past their end.", {s: now.stuck for s, now in each}
        yield "held_bytes", "Bytes of unfinished records.", {s: now.held_bytes for s, now in each}
        for state in (LoopState.HALTED, LoopState.THROTTLED):
            word = state.name.lower()
            values = {stage: float(now.state is state) for stage, now in each}
            yield word, f"1 while the stage is {word}.", values
        ages = {stage: _oldest_age(now) for stage, now in each}
        yield "oldest_record_age_seconds", "Age of the oldest unfinished record.", ages


@contextmanager
def serve_metrics(
    address: MetricsAddress, loops: Sequence[RecordLoop], keys: VerificationKeyFile
) -> Iterator[int]:
    """Serve `/metrics` meanwhile; yields the port. Raises OSError."""
    registry = CollectorRegistry()
    registry.register(StageCollector(loops, keys))
    server, thread = start_http_server(address.port, address.host, registry)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _oldest_age(now: LoopSnapshot) -> float:
    times = [each.oldest_ms for each in now.partitions if each.oldest_ms is not None]
    return max(0.0, now.time - min(times) / 1000) if times else 0.0


def _outcomes(snapshots: Mapping[str, LoopSnapshot]) -> Metric:
    records = CounterMetricFamily(
        "forebay_stage_records", "Records done with, by outcome.", labels=["stage", "outcome"]
    )
    for stage, now in snapshots.items():
        for outcome in OUTCOMES:
            records.add_metric([stage, outcome], getattr(now.counts, outcome))
    return records
