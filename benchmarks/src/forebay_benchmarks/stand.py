"""What the figures stand on: the whole system in a temporary folder, and a model server."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from forebay.client import Client, IngestOutcome
from forebay.ingest.v1 import Document
from forebay_benchmarks.errors import BenchmarkError
from forebay_benchmarks.model_server import ModelServer
from forebay_standalone.corpus import documents, questions
from forebay_standalone.issuer import every_scope
from forebay_standalone.ports import free_port
from forebay_standalone.system import System, SystemOptions

TENANT = "aldersund"
MODEL = "paced"
FIRST_TOKEN_SECONDS = 0.5  # what is taken off each latency: the model's own
ANSWER_TOKENS = 80  # a paragraph
TOKENS_PER_SECOND = 40.0  # a mid-sized hosted model at work
_TOKEN_TIME = timedelta(hours=2)  # no run takes longer
_WORKERS = ("indexing", "answering")
_DRAIN_SECONDS = 10.0


@dataclass(frozen=True)
class Stand:
    """A running system and its model server."""

    system: System
    model_url: str

    @property
    def grpc(self) -> str:
        """Where the edge serves."""
        return self.system.addresses.grpc

    @property
    def kafka(self) -> Mapping[str, str]:
        """What a client of the broker is given, in librdkafka's words."""
        return {"bootstrap.servers": self.system.addresses.kafka, **self.system.kafka_login()}

    @property
    def question(self) -> str:
        """A question that the corpus answers."""
        return questions().question

    def token(self, tenant: str = TENANT) -> str:
        """A token of somebody who may see and do everything in a tenant."""
        mint = self.system.issuer.mint
        return mint(tenant, "bench", "enterprise", every_scope(), (), _TOKEN_TIME)

    def dsn(self, role: str) -> str:
        """The connection string of a role (`write`, `retrieve`), as the workers have it."""
        env = self.system.programs["indexing"].program.env
        return env[f"FOREBAY_POSTGRES_{role.upper()}_DSN"]

    def stop_workers(self) -> None:
        """End indexing and answering for good; edge, broker, Postgres and issuer stay."""
        for name, program in self.system.programs.items():
            if name.startswith(_WORKERS):
                program.stop(_DRAIN_SECONDS)


@contextmanager
def stand(say: Callable[[str], None]) -> Iterator[Stand]:
    """Start everything on free ports of loopback, bring the corpus in, and end it all."""
    with (
        tempfile.TemporaryDirectory(prefix="forebay-bench-") as folder,
        ModelServer.start(
            first_token_seconds=FIRST_TOKEN_SECONDS,
            tokens_per_second=TOKENS_PER_SECOND,
            answer_tokens=ANSWER_TOKENS,
        ) as model,
        System(Path(folder), _options(model.base_url), say) as system,
    ):
        running = Stand(system, model.base_url)
        _bring_in(running)
        yield running


def _options(model_url: str) -> SystemOptions:
    grpc_port = free_port()
    return SystemOptions(
        grpc_port=grpc_port,
        http_port=free_port(frozenset({grpc_port})),
        env={
            "FOREBAY_GENERATION_PROVIDER": "openai",
            "FOREBAY_GENERATION_BASE_URL": model_url,
            "FOREBAY_GENERATION_MODEL": MODEL,
        },
    )


def _bring_in(running: Stand) -> None:
    with Client(running.grpc, running.token()) as author:
        for receipt in [_accepted(outcome) for outcome in author.ingest_many(documents())]:
            author.wait_indexed(receipt.name, receipt.etag)


def _accepted(outcome: IngestOutcome) -> Document:
    if outcome.document is None:
        raise BenchmarkError(f"the corpus was refused: {outcome.error}")
    return outcome.document
