"""Whether the files that say who may do what are in force as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Watched(Protocol):
    """A file that is read again when it changes."""

    @property
    def problem(self) -> str | None:
        """Why the file as it is now does not count; None when it does."""
        ...


class RulesCollector(Collector):
    """1 for each file that is wrong as it is, and whose last good state counts."""

    def __init__(self, files: Mapping[str, Watched]) -> None:
        self._files = files

    def collect(self) -> Iterable[Metric]:
        """The figures of this moment."""
        family = GaugeMetricFamily(
            "forebay_edge_file_refused",
            "Whether a file is wrong as it is, so that its last good state counts.",
            labels=("file",),
        )
        for name, file in self._files.items():
            family.add_metric((name,), float(file.problem is not None))
        yield family
