"""The one place that names concrete classes: how an edge is put together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from prometheus_client import CollectorRegistry

from forebay.ingest.v1 import IngestDocumentRequest
from forebay.pipeline.v1 import GetPipelineStatusRequest
from forebay.query.v1 import SubmitQueryRequest
from forebay.records.v1 import AnswerRecord, UsageRecord
from forebay_kafka.envelope_files import SigningKeyFile, VerificationKeyFile
from forebay_kafka.envelope_keys import public_jwks
from forebay_kafka.errors import LogUnavailable
from forebay_kafka.group_lag import GroupLag
from forebay_kafka.publisher import Publisher
from forebay_kafka.record_times import RecordTimes
from forebay_kafka.records import RecordReader
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.watched_file import ConfigurationInvalid
from forebay_postgres import CatalogueReader, PostgresSettings, open_retrieve_pool
from forebay_server.answers.delivery import AnswerDelivery
from forebay_server.answers.reader import AnswerReader
from forebay_server.audit.trail import AuditMeter, AuditTrail
from forebay_server.clock import system_clock
from forebay_server.governance.authorisation import MethodPolicies, method_path
from forebay_server.governance.chain import Chain
from forebay_server.governance.policy_source import PolicySource
from forebay_server.governance.standing import Standing
from forebay_server.governance.trusted_issuers import IssuerSource
from forebay_server.governance.validation import RequestValidator
from forebay_server.http.development_tokens import DevelopmentTokens
from forebay_server.http.server import HttpOptions, HttpServer
from forebay_server.ingest.catalogue import DocumentCatalogue
from forebay_server.ingest.intake import DocumentIntake
from forebay_server.ingest.page_tokens import PageTokens
from forebay_server.limits.backlog import Backlog
from forebay_server.limits.limiter import Limiter
from forebay_server.limits.stores import limit_store
from forebay_server.limits.usage_ledger import UsageLedger
from forebay_server.limits.usage_tail import UsageTail
from forebay_server.metrics.calls import CallMeter
from forebay_server.metrics.endpoint import metrics_endpoint
from forebay_server.metrics.pipeline import PipelineCollector
from forebay_server.metrics.refusals import RecordRefusals
from forebay_server.metrics.rules import RulesCollector, Watched
from forebay_server.pipeline.letter_changes import LetterChanges
from forebay_server.pipeline.letter_content import LetterContent
from forebay_server.pipeline.letter_index import LetterIndex
from forebay_server.pipeline.letter_list import LetterList
from forebay_server.pipeline.letter_pages import LetterPages
from forebay_server.pipeline.stage_reports import StageReports
from forebay_server.pipeline.stages import group_topics
from forebay_server.pipeline.status import PipelineStatusReader
from forebay_server.pipeline.watch import PipelineWatch
from forebay_server.queries.admission import Admission
from forebay_server.queries.intake import QueryIntake
from forebay_server.request_ids import RequestIds
from forebay_server.rpc.drain import Drain
from forebay_server.rpc.gate import Gate
from forebay_server.rpc.server import RpcServer
from forebay_server.seals.cursors import Cursors
from forebay_server.seals.query_names import QueryNames
from forebay_server.seals.secrets import SealFile
from forebay_server.services.ingest_service import IngestService
from forebay_server.services.pipeline_service import PipelineService
from forebay_server.services.query_service import QueryService
from forebay_server.settings import ServerSettings, read_settings

LOG_RETRY_SECONDS = 1.0
EDGE = "edge"  # its name among the log's accounts

QUERY_SERVICE = SubmitQueryRequest.DESCRIPTOR.file.services_by_name["QueryService"]
INGEST_SERVICE = IngestDocumentRequest.DESCRIPTOR.file.services_by_name["IngestService"]
PIPELINE_SERVICE = GetPipelineStatusRequest.DESCRIPTOR.file.services_by_name["PipelineService"]
SERVICES = (QUERY_SERVICE, INGEST_SERVICE, PIPELINE_SERVICE)
METHODS = [method_path(served) for service in SERVICES for served in service.methods]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Configuration:
    """Everything that the environment says to an edge."""

    server: ServerSettings
    kafka: KafkaSettings
    postgres: PostgresSettings

    @classmethod
    def from_environment(cls) -> Configuration:
        """Read it; ConfigurationInvalid names the variable and its rule."""
        kafka = read_settings(KafkaSettings).acting_as(EDGE)
        return cls(read_settings(ServerSettings), kafka, read_settings(PostgresSettings))


@dataclass(frozen=True)
class Edge:
    """Servers that have not started yet, and what they are to serve; `http` where it is wanted."""

    server: RpcServer
    services: Mapping[ServiceDescriptor, object]
    http: HttpServer | None


@dataclass(frozen=True)
class _Seals:
    public: VerificationKeyFile
    private: SigningKeyFile
    secrets: SealFile


@dataclass(frozen=True)
class _Parts:
    """What the services of one edge share; `stack` ends what they open."""

    configuration: Configuration
    seals: _Seals
    publisher: Publisher
    records: RecordReader
    limiter: Limiter
    standing: Standing
    catalogue: CatalogueReader
    stack: AsyncExitStack


@dataclass(frozen=True)
class _Pipeline:
    lag: GroupLag
    admission: Admission
    status: PipelineStatusReader
    letters: LetterIndex


@dataclass(frozen=True)
class _Rules:
    policy: PolicySource
    issuers: IssuerSource


@asynccontextmanager
async def edge(configuration: Configuration, *, share_port: bool) -> AsyncIterator[Edge]:
    """Build an edge, and take it down again.

    Waits for the log, without which nothing can be promised; Postgres may come later.
    """
    settings = configuration.server
    async with AsyncExitStack() as stack:
        rules = await _rules(settings, stack)
        seals, registry = await _seals(settings, stack), CollectorRegistry()
        records = RecordReader(seals.public.verifier, RecordRefusals(registry).note)
        parts = await _parts(configuration, rules, seals, records, stack)
        chain = await _chain(parts, rules, registry)
        count = await _partition_count(parts.publisher, AnswerRecord)
        pipeline = await _pipeline(parts, Admission(count))
        drain = Drain()
        meter = _metered(registry, parts, pipeline, rules)
        processes = settings.processes if share_port else 1
        await stack.enter_async_context(
            metrics_endpoint(registry, settings.metrics_address, processes)
        )
        services = {
            QUERY_SERVICE: await _query_service(parts, pipeline.admission, count),
            INGEST_SERVICE: _ingest_service(parts),
            PIPELINE_SERVICE: await _pipeline_service(parts, pipeline),
        }
        options = _http_options(settings, rules, seals.public, pipeline.lag, share_port=share_port)
        http = HttpServer(services, chain, drain, meter, options)
        yield Edge(
            RpcServer(Gate(chain, drain, meter), drain, share_port=share_port),
            services,
            http if settings.http_address else None,
        )


async def _chain(parts: _Parts, rules: _Rules, registry: CollectorRegistry) -> Chain:
    trail = AuditTrail(parts.publisher, parts.seals.private.signer, AuditMeter(registry))
    await parts.stack.enter_async_context(trail)
    return Chain(
        rules.issuers.authenticator,
        rules.policy,
        MethodPolicies(SERVICES),
        RequestValidator(),
        parts.limiter,
        trail.write,
    )


def _http_options(
    settings: ServerSettings,
    rules: _Rules,
    keys: VerificationKeyFile,
    lag: GroupLag,
    *,
    share_port: bool,
) -> HttpOptions:
    async def log_answers() -> bool:
        return bool(await lag.fresh())

    async def policy_is_good() -> bool:
        return rules.policy.problem is None

    return HttpOptions(
        envelope_jwks=lambda: public_jwks(keys.current),
        allows_origin=lambda origin: origin in rules.policy.current.origins,
        checks={"log": log_answers, "keys": rules.issuers.keys_loaded, "policy": policy_is_good},
        development=_development_tokens(settings),
        certificate_file=settings.tls_certificate_file,
        key_file=settings.tls_key_file,
        share_port=share_port,
    )


def _development_tokens(settings: ServerSettings) -> DevelopmentTokens | None:
    if settings.development_issuer is None or settings.http_address is None:
        return None
    return DevelopmentTokens(settings.development_issuer, settings.http_address)


async def _rules(settings: ServerSettings, stack: AsyncExitStack) -> _Rules:
    client = await stack.enter_async_context(httpx.AsyncClient())
    countable = settings.processes == 1 or settings.limits_url is not None
    policy = PolicySource(settings.policy_file, countable=countable)
    issuers = IssuerSource(settings.issuers_file, client, system_clock)
    await stack.enter_async_context(policy)
    await stack.enter_async_context(issuers)
    return _Rules(policy, issuers)


async def _parts(
    configuration: Configuration,
    rules: _Rules,
    seals: _Seals,
    records: RecordReader,
    stack: AsyncExitStack,
) -> _Parts:
    publisher = await stack.enter_async_context(Publisher(configuration.kafka))
    pool = await open_retrieve_pool(configuration.postgres)
    stack.push_async_callback(pool.close)
    catalogue = CatalogueReader(pool)
    return _Parts(
        configuration,
        seals,
        publisher,
        records,
        await _limiter(configuration, publisher, records, catalogue, stack),
        Standing(rules.policy, rules.issuers),
        catalogue,
        stack,
    )


async def _limiter(
    configuration: Configuration,
    publisher: Publisher,
    records: RecordReader,
    catalogue: CatalogueReader,
    stack: AsyncExitStack,
) -> Limiter:
    store = await stack.enter_async_context(limit_store(configuration.server.limits_url))
    ledger = UsageLedger(system_clock)
    count = await _partition_count(publisher, UsageRecord)
    await stack.enter_async_context(UsageTail(configuration.kafka, records, count, ledger))
    backlog = Backlog(catalogue.count_waiting)
    stack.push_async_callback(backlog.close)
    return Limiter(store, ledger, backlog)


def _metered(
    registry: CollectorRegistry, parts: _Parts, pipeline: _Pipeline, rules: _Rules
) -> CallMeter:
    loop = asyncio.get_running_loop()
    registry.register(PipelineCollector(loop, parts.publisher, pipeline.status, pipeline.letters))
    files: dict[str, Watched] = {
        "policy": rules.policy,
        "issuers": rules.issuers,
        "envelope_jwks": parts.seals.public,
        "envelope_key": parts.seals.private,
        "seal_secret": parts.seals.secrets,
    }
    registry.register(RulesCollector(files))
    return CallMeter(registry, METHODS)


async def _pipeline(parts: _Parts, admission: Admission) -> _Pipeline:
    kafka, publisher = parts.configuration.kafka, parts.publisher
    lag = GroupLag(kafka, group_topics(), admission.measured)
    reports = StageReports(kafka, publisher, admission.heard)
    letters = LetterIndex(kafka, publisher)
    times = RecordTimes(kafka)
    for part in (lag, reports, letters, times):
        await parts.stack.enter_async_context(part)
    return _Pipeline(lag, admission, PipelineStatusReader(lag, reports, times, letters), letters)


async def _pipeline_service(parts: _Parts, pipeline: _Pipeline) -> PipelineService:
    content = await parts.stack.enter_async_context(LetterContent(parts.configuration.kafka))
    return PipelineService(
        PipelineWatch(pipeline.status, parts.standing),
        LetterList(pipeline.letters, content, LetterPages(parts.seals.secrets)),
        LetterChanges(pipeline.letters, content, parts.publisher),
    )


async def _query_service(parts: _Parts, admission: Admission, count: int) -> QueryService:
    reader = await parts.stack.enter_async_context(AnswerReader(parts.configuration.kafka, count))
    names, cursors = QueryNames(parts.seals.secrets), Cursors(parts.seals.secrets)
    delivery = AnswerDelivery(reader, parts.records, cursors, parts.standing.rights)
    intake = QueryIntake(
        parts.publisher,
        parts.seals.private.signer,
        names,
        delivery,
        admission,
        parts.limiter,
    )
    return QueryService(intake, delivery, names, cursors, parts.limiter)


def _ingest_service(parts: _Parts) -> IngestService:
    catalogue = DocumentCatalogue(parts.catalogue, PageTokens(parts.seals.secrets))
    intake = DocumentIntake(
        parts.publisher, parts.seals.private.signer, RequestIds(), parts.limiter
    )
    return IngestService(intake, catalogue, parts.standing)


async def _partition_count(publisher: Publisher, record: type[Message]) -> int:
    while True:
        try:
            return await publisher.partition_count(record)
        except LogUnavailable as error:
            _log.warning("waiting for the log", extra={"error": str(error)})
            await asyncio.sleep(LOG_RETRY_SECONDS)


async def _seals(settings: ServerSettings, stack: AsyncExitStack) -> _Seals:
    public = VerificationKeyFile(settings.envelope_jwks_file)
    private = SigningKeyFile(settings.envelope_key_file, public.verifier)
    if not private.signer.may_sign():
        raise ConfigurationInvalid(
            f"{settings.envelope_key_file}: none of its keys is in force in "
            f"{settings.envelope_jwks_file}"
        )
    secrets = SealFile(settings.seal_secret_file)
    for file in (public, private, secrets):
        await stack.enter_async_context(file)
    return _Seals(public, private, secrets)
