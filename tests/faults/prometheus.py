"""The figures of a program, as Prometheus would read them."""

from collections.abc import Iterator
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

SCRAPE_SECONDS = 20.0
Sample = tuple[str, dict[str, str], float]


def samples(address: str) -> Iterator[Sample]:
    """Name, labels and value of each figure at `host:port`."""
    with urlopen(f"http://{address}/metrics", timeout=SCRAPE_SECONDS) as answer:
        text = answer.read().decode()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield sample.name, dict(sample.labels), sample.value
