"""The one place that names concrete classes: how an edge is put together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx
import jwt
from google.protobuf.descriptor import ServiceDescriptor

from forebay.ingest.v1 import IngestDocumentRequest
from forebay.query.v1 import SubmitQueryRequest
from forebay.records.v1 import AnswerRecord
from forebay_kafka.envelope import EnvelopeSigner, EnvelopeVerifier
from forebay_kafka.errors import LogUnavailable
from forebay_kafka.publisher import Publisher
from forebay_kafka.records import RecordReader
from forebay_kafka.settings import KafkaSettings
from forebay_postgres import CatalogueReader, PostgresSettings, open_retrieve_pool
from forebay_server.answers.delivery import AnswerDelivery
from forebay_server.answers.reader import AnswerReader
from forebay_server.clock import system_clock
from forebay_server.governance.authorisation import MethodPolicies
from forebay_server.governance.chain import Chain
from forebay_server.governance.configuration_file import ConfigurationInvalid
from forebay_server.governance.issuers import read_issuers
from forebay_server.governance.key_cache import KeyCache, key_loader
from forebay_server.governance.policy import Policy
from forebay_server.governance.tokens import TokenAuthenticator, TrustedIssuer
from forebay_server.governance.validation import RequestValidator
from forebay_server.ingest.catalogue import DocumentCatalogue
from forebay_server.ingest.intake import DocumentIntake
from forebay_server.ingest.page_tokens import PageTokens
from forebay_server.queries.intake import QueryIntake
from forebay_server.request_ids import RequestIds
from forebay_server.rpc.drain import Drain
from forebay_server.rpc.gate import Gate
from forebay_server.rpc.server import RpcServer
from forebay_server.seals.cursors import Cursors
from forebay_server.seals.query_names import QueryNames
from forebay_server.seals.secrets import SealSecrets
from forebay_server.services.ingest_service import IngestService
from forebay_server.services.query_service import QueryService
from forebay_server.settings import ServerSettings, read_settings

LOG_RETRY_SECONDS = 1.0

QUERY_SERVICE = SubmitQueryRequest.DESCRIPTOR.file.services_by_name["QueryService"]
INGEST_SERVICE = IngestDocumentRequest.DESCRIPTOR.file.services_by_name["IngestService"]

LoadedT = TypeVar("LoadedT")
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
        return cls(
            read_settings(ServerSettings),
            read_settings(KafkaSettings),
            read_settings(PostgresSettings),
        )


@dataclass(frozen=True)
class Edge:
    """A server that has not started yet, and what it is to serve."""

    server: RpcServer
    services: Mapping[ServiceDescriptor, object]


@dataclass(frozen=True)
class _Seals:
    signer: EnvelopeSigner
    verifier: EnvelopeVerifier
    secrets: SealSecrets


@asynccontextmanager
async def edge(configuration: Configuration, *, share_port: bool) -> AsyncIterator[Edge]:
    """Build an edge, and take it down again.

    Waits for the log, without which nothing can be promised; Postgres may come later.
    """
    settings = configuration.server
    seals = _seals(settings)
    async with AsyncExitStack() as stack:
        chain = await _chain(settings, stack)
        drain = Drain()
        server = RpcServer(Gate(chain, drain), drain, share_port=share_port)
        publisher = await stack.enter_async_context(Publisher(configuration.kafka))
        services = {
            QUERY_SERVICE: await _query_service(configuration, seals, publisher, stack),
            INGEST_SERVICE: await _ingest_service(configuration, seals, publisher, stack),
        }
        yield Edge(server, services)


async def _chain(settings: ServerSettings, stack: AsyncExitStack) -> Chain:
    policy = Policy.from_file(settings.policy_file)
    issuers = read_issuers(settings.issuers_file)
    client = await stack.enter_async_context(httpx.AsyncClient())
    trusted = [
        TrustedIssuer(issuer, KeyCache(issuer, key_loader(issuer, client), system_clock))
        for issuer in issuers
    ]
    authenticator = TokenAuthenticator(trusted, system_clock)
    stack.push_async_callback(authenticator.close)
    methods = MethodPolicies([QUERY_SERVICE, INGEST_SERVICE])
    return Chain(authenticator, policy, methods, RequestValidator())


async def _query_service(
    configuration: Configuration, seals: _Seals, publisher: Publisher, stack: AsyncExitStack
) -> QueryService:
    count = await _answer_partitions(publisher)
    reader = await stack.enter_async_context(AnswerReader(configuration.kafka, count))
    names, cursors = QueryNames(seals.secrets), Cursors(seals.secrets)
    delivery = AnswerDelivery(reader, RecordReader(seals.verifier), cursors)
    intake = QueryIntake(publisher, seals.signer, names, RequestIds(), delivery)
    return QueryService(intake, delivery, names, cursors)


async def _ingest_service(
    configuration: Configuration, seals: _Seals, publisher: Publisher, stack: AsyncExitStack
) -> IngestService:
    pool = await open_retrieve_pool(configuration.postgres)
    stack.push_async_callback(pool.close)
    catalogue = DocumentCatalogue(CatalogueReader(pool), PageTokens(seals.secrets))
    intake = DocumentIntake(publisher, seals.signer, RequestIds(), system_clock)
    return IngestService(intake, catalogue)


async def _answer_partitions(publisher: Publisher) -> int:
    while True:
        try:
            return await publisher.partition_count(AnswerRecord)
        except LogUnavailable as error:
            _log.warning("waiting for the log", extra={"error": str(error)})
            await asyncio.sleep(LOG_RETRY_SECONDS)


def _seals(settings: ServerSettings) -> _Seals:
    return _Seals(
        _loaded(EnvelopeSigner.from_file, settings.envelope_key_file),
        _loaded(EnvelopeVerifier.from_file, settings.envelope_jwks_file),
        _loaded(SealSecrets.from_file, settings.seal_secret_file),
    )


def _loaded(load: Callable[[Path], LoadedT], path: Path) -> LoadedT:
    try:
        return load(path)
    except OSError as error:
        raise ConfigurationInvalid(f"{path}: {error.strerror}") from error
    # A JWK's wrong member surfaces as any of these; its text names no key.
    except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
        raise ConfigurationInvalid(f"{path}: {type(error).__name__}: {error}") from error
