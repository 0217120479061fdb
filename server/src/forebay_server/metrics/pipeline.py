"""What the status of the pipeline says, as figures."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from forebay.pipeline.v1 import StageStatus
from forebay_kafka.errors import LogUnavailable
from forebay_kafka.publisher import Publisher
from forebay_kafka.stages import stage_word
from forebay_server.pipeline.letter_index import LetterIndex
from forebay_server.pipeline.status import PipelineStatusReader

PATIENCE_SECONDS = 8.0  # below the 10 s after which a scrape is given up by default

FIGURES: tuple[tuple[str, str, Callable[[StageStatus], float]], ...] = (
    ("lag_records", "Records that the stage has yet to finish.", lambda s: s.lag),
    ("pending_retries", "Records that it will try again later.", lambda s: s.pending_retries),
    ("workers", "Workers that report.", lambda s: s.workers),
    (
        "oldest_age_seconds",
        "Age of the oldest unfinished record; 0 when there is none.",
        lambda s: s.oldest_age.ToNanoseconds() / 1e9,
    ),
)

log = logging.getLogger(__name__)


class PipelineCollector(Collector):
    """Asks for the status when it is scraped; without the log, its figures are absent.

    Scrapes come in threads of their own, and what they ask belongs to the event loop.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        publisher: Publisher,
        status: PipelineStatusReader,
        letters: LetterIndex,
    ) -> None:
        self._loop = loop
        self._publisher = publisher
        self._status = status
        self._letters = letters

    def describe(self) -> Iterable[Metric]:
        """Nothing: the names need no scrape while this is registered."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """The figures of this moment."""
        yield GaugeMetricFamily(
            "forebay_edge_waiting_records",
            "Records that the log has not acknowledged yet.",
            self._publisher.waiting,
        )
        asked = asyncio.run_coroutine_threadsafe(self._families(), self._loop)
        try:
            yield from asked.result(PATIENCE_SECONDS)
        except (LogUnavailable, FutureTimeoutError) as error:
            asked.cancel()
            log.warning("no figures of the pipeline: %s", error)

    async def _families(self) -> list[Metric]:
        status = await self._status.read()
        families: list[Metric] = _stage_families(status.stages)
        letters = GaugeMetricFamily(
            "forebay_dead_letters",
            "Records that a stage gave up, by reason.",
            labels=("stage", "reason"),
        )
        for (stage, reason), count in self._letters.counts.items():
            letters.add_metric((stage_word(stage), reason), count)
        return [*families, letters]


def _stage_families(stages: Sequence[StageStatus]) -> list[Metric]:
    families: list[Metric] = []
    for name, text, value in FIGURES:
        family = GaugeMetricFamily(f"forebay_stage_{name}", text, labels=("stage",))
        for stage in stages:
            family.add_metric((stage.stage,), value(stage))
        families.append(family)
    return families
