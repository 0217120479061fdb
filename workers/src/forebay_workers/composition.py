"""The one place that names concrete classes: how a worker is put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from forebay.records.v1 import AnswerRecord, ContextRecord
from forebay.records.v1 import Stage as StageValue
from forebay_kafka.envelope_files import VerificationKeyFile
from forebay_kafka.group_consumer import GroupConsumer
from forebay_kafka.group_membership import GroupOptions
from forebay_kafka.publisher import Publisher
from forebay_kafka.records import RecordReader
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.stages import group_of
from forebay_kafka.topics import topic_of
from forebay_postgres import (
    CatalogueWriter,
    IndexRegistry,
    IndexWriter,
    PostgresSettings,
    Retriever,
    open_retrieve_pool,
    open_write_pool,
)
from forebay_workers.auditing.day_files import DayFiles
from forebay_workers.auditing.stage import Auditing
from forebay_workers.cataloguing.stage import Cataloguing
from forebay_workers.chunking.chunker import CHUNKING
from forebay_workers.chunking.stage import Chunking
from forebay_workers.embedding.serving_index import ServingIndex
from forebay_workers.embedding.stage import Embedding
from forebay_workers.generation.stage import Generation
from forebay_workers.ledger.answers import AnswerLedger
from forebay_workers.ledger.names import SeenNames
from forebay_workers.ledger.output_tail import OutputTail
from forebay_workers.models.choice import embedding_model, generation_model
from forebay_workers.models.embedding_model import EmbeddingModel
from forebay_workers.models.settings import ModelSettings
from forebay_workers.parsing.pool import ParserPool
from forebay_workers.record_loop.clock import SystemClock
from forebay_workers.record_loop.dead_letters import DeadLetters
from forebay_workers.record_loop.loop import RecordLoop
from forebay_workers.record_loop.retry_topic import RETRIES, RetryTopic
from forebay_workers.record_loop.settings import BreakerPolicy, LoopSettings, RetryPolicy
from forebay_workers.record_loop.stage import Stage
from forebay_workers.retrieval.search import Search
from forebay_workers.retrieval.stage import Retrieval
from forebay_workers.settings import (
    BreakerSettings,
    GroupSettings,
    RetrySettings,
    WorkerSettings,
)
from forebay_workers.stage_reports import StageReports

SLOTS_PER_PARSER = 4  # one in the parser, one that is cut, one that is written, one that comes
QUESTION_SLOTS = 200  # with more at once, a crowd starves the search that it waits for
LOCAL_MODEL_SLOTS = 4  # the model has one thread; the database works meanwhile


@dataclass(frozen=True)
class Configuration:
    """Everything that the environment says to a worker."""

    worker: WorkerSettings
    retry: RetrySettings
    breaker: BreakerSettings
    group: GroupSettings
    kafka: KafkaSettings
    postgres: PostgresSettings
    models: ModelSettings


@dataclass(frozen=True)
class Parts:
    """What a stage is made from; `stack` ends what it opens."""

    configuration: Configuration
    publisher: Publisher
    reader: RecordReader
    stack: AsyncExitStack


StageFactory = Callable[[Parts], Awaitable[Stage[Any]]]


@dataclass(frozen=True)
class Worker:
    """What a process runs."""

    loops: tuple[RecordLoop, ...]
    reports: tuple[StageReports, ...]
    keys: VerificationKeyFile


@asynccontextmanager
async def worker_of(configuration: Configuration, names: tuple[str, ...]) -> AsyncIterator[Worker]:
    """Build the loops of the named stages, and take them down again.

    Needs neither the log nor the database to be there yet.
    """
    keys = VerificationKeyFile(configuration.worker.envelope_jwks_file)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(keys)
        reader = RecordReader(keys.verifier)
        loops, reports = [], []
        for name in names:
            parts = await _parts_of(name, configuration, reader, stack)
            loop = _record_loop(parts, await STAGES[name](parts))
            loops.append(loop)
            reports.append(StageReports(parts.publisher, (loop,)))
        yield Worker(tuple(loops), tuple(reports), keys)


async def _parts_of(
    name: str, configuration: Configuration, reader: RecordReader, stack: AsyncExitStack
) -> Parts:
    # Each stage signs in at the log as itself, and may do there what the contract gives it.
    own = replace(configuration, kafka=configuration.kafka.acting_as(name))
    publisher = await stack.enter_async_context(Publisher(own.kafka))
    return Parts(own, publisher, reader, stack)


def stage_names() -> tuple[str, ...]:
    """The stages that a worker can run, in the order of the pipeline."""
    return tuple(STAGES)


async def _cataloguing(parts: Parts) -> Stage[Any]:
    pool = await open_write_pool(parts.configuration.postgres)
    parts.stack.push_async_callback(pool.close)
    return Cataloguing(CatalogueWriter(pool), parts.publisher)


async def _chunking(parts: Parts) -> Stage[Any]:
    parsers = ParserPool(parts.configuration.worker.parser_processes)
    parts.stack.push_async_callback(parsers.close)
    window = _embedding_model(parts).window_tokens
    return Chunking(parsers, parts.publisher, window)


async def _embedding(parts: Parts) -> Stage[Any]:
    pool = await open_write_pool(parts.configuration.postgres)
    parts.stack.push_async_callback(pool.close)
    model = _embedding_model(parts)
    index = ServingIndex(IndexRegistry(pool), model, CHUNKING)
    return Embedding(CatalogueWriter(pool), IndexWriter(pool), index, model, parts.publisher)


async def _retrieval(parts: Parts) -> Stage[Any]:
    pool = await open_retrieve_pool(parts.configuration.postgres)
    parts.stack.push_async_callback(pool.close)
    answers, contexts = AnswerLedger(parts.reader), SeenNames(parts.reader)
    kafka = parts.configuration.kafka
    tails = (
        OutputTail(kafka, AnswerRecord, answers.take),
        OutputTail(kafka, ContextRecord, contexts.take),
    )
    for tail in tails:
        await parts.stack.enter_async_context(tail)
    search = Search(Retriever(pool), _embedding_model(parts))
    return Retrieval(search, parts.publisher, answers, contexts, tails)


async def _generation(parts: Parts) -> Stage[Any]:
    model = generation_model(parts.configuration.models)
    parts.stack.push_async_callback(model.close)
    answers = AnswerLedger(parts.reader)
    tail = OutputTail(parts.configuration.kafka, AnswerRecord, answers.take)
    await parts.stack.enter_async_context(tail)
    return Generation(model, parts.publisher, answers, tail)


async def _auditing(parts: Parts) -> Stage[Any]:
    return Auditing(DayFiles.within(parts.configuration.worker.audit_folder))


STAGES: Mapping[str, StageFactory] = {
    "cataloguing": _cataloguing,
    "chunking": _chunking,
    "embedding": _embedding,
    "retrieval": _retrieval,
    "generation": _generation,
    "auditing": _auditing,
}


def _embedding_model(parts: Parts) -> EmbeddingModel:
    # One for each stage: a question never waits for the texts of documents.
    model = embedding_model(parts.configuration.models)
    parts.stack.push_async_callback(model.close)
    return model


def _record_loop(parts: Parts, stage: Stage[Any]) -> RecordLoop:
    configuration, publisher = parts.configuration, parts.publisher
    # Deadlines are the edge's: a worker whose own clock is off would fail questions.
    clock = SystemClock(publisher.log_time.now)
    group = group_of(StageValue.ValueType(stage.stage))
    settings = _loop_settings(configuration, stage)
    topics, retries = [topic_of(record).name for record in stage.reads], None
    if settings.retry.rounds:
        topics.append(RETRIES)
        retries = RetryTopic(publisher, stage.stage, group, clock.wall_time)
    return RecordLoop(
        stage,
        GroupConsumer(configuration.kafka, group, topics, _group_options(configuration.group)),
        parts.reader,
        DeadLetters(publisher, stage.stage, group, clock.wall_time),
        settings,
        clock,
        retries,
    )


def _loop_settings(configuration: Configuration, stage: Stage[Any]) -> LoopSettings:
    worker = configuration.worker
    settings = LoopSettings(
        max_in_flight=worker.max_in_flight,
        max_uncommitted_records=worker.max_uncommitted_records,
        max_held_bytes=worker.max_held_bytes,
        call_timeout=worker.call_timeout,
        stuck_limit=worker.stuck_limit,
        drain_timeout=worker.drain_timeout,
        retry=_retry_policy(configuration.retry),
        breaker=_breaker_policy(configuration.breaker),
    )
    settings = replace(settings, max_in_flight=_slots(configuration, stage))
    if isinstance(stage, Auditing):
        # That it was asked stays true.
        return replace(settings, heeds_deadlines=False, paced=True)
    if isinstance(stage, Retrieval | Generation):
        # An error at once is worth more to who waits than a stage that holds out.
        return replace(settings, retry=replace(settings.retry, rounds=()), breaker=None)
    return replace(settings, paced=True)


def _slots(configuration: Configuration, stage: Stage[Any]) -> int:
    """How many records a stage works on at once.

    What waits for a processor only waits longer in a slot, and there is no tenant's turn behind
    it any more.
    """
    most = configuration.worker.max_in_flight
    if isinstance(stage, Retrieval):
        return min(most, QUESTION_SLOTS)
    if isinstance(stage, Chunking):
        return min(most, SLOTS_PER_PARSER * configuration.worker.parser_processes)
    if isinstance(stage, Embedding):
        local = configuration.models.embedding_provider == "wordllama"
        return min(most, LOCAL_MODEL_SLOTS if local else configuration.models.embedding_concurrency)
    # What waits for a connection beyond those of the pool only waits longer.
    return (
        min(most, configuration.postgres.write_pool_size)
        if isinstance(stage, Cataloguing)
        else most
    )


def _retry_policy(settings: RetrySettings) -> RetryPolicy:
    return RetryPolicy(
        budget=settings.budget,
        first_delay=settings.first_delay,
        longest_delay=settings.longest_delay,
        unknown_attempts=settings.unknown_attempts,
        rounds=settings.rounds,
    )


def _breaker_policy(settings: BreakerSettings) -> BreakerPolicy | None:
    return BreakerPolicy(settings.records, settings.share) if settings.records else None


def _group_options(settings: GroupSettings) -> GroupOptions:
    return GroupOptions(protocol=settings.protocol, instance_id=settings.instance_id)
