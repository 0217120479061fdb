"""The scenarios, in the order in which they run: those that end workers come last."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from forebay_benchmarks.figures import Figure
from forebay_benchmarks.rounds import Plan
from forebay_benchmarks.scenarios.first_delta import first_delta, first_delta_alone
from forebay_benchmarks.scenarios.http_events import (
    event_alone,
    events,
    events_burst,
    events_burst_two,
    events_two,
)
from forebay_benchmarks.scenarios.http_idle import http_idle
from forebay_benchmarks.scenarios.http_submit import http_submit, http_submit_two
from forebay_benchmarks.scenarios.ingest_accepted import ingest_accepted
from forebay_benchmarks.scenarios.ingest_indexed import ingest_indexed
from forebay_benchmarks.scenarios.retrieve import retrieve
from forebay_benchmarks.scenarios.submit_query import submit_query
from forebay_benchmarks.stand import Stand

Scenario = Callable[[Stand, Plan], Figure]

SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        "retrieve": retrieve,
        "first_delta_alone": first_delta_alone,
        "first_delta": first_delta,
        "ingest_indexed": ingest_indexed,
        "ingest_accepted": ingest_accepted,
        "submit_query": submit_query,
        "http_submit": http_submit,
        "http_submit_two": http_submit_two,
        "http_idle": http_idle,
        "event_alone": event_alone,
        "events": events,
        "events_two": events_two,
        "events_burst": events_burst,
        "events_burst_two": events_burst_two,
    }
)
