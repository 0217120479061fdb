"""Bad records of every kind on every topic: each is named, none stops a partition."""

import asyncio
import random
import time
from collections import Counter, deque
from dataclasses import replace

import pytest

from forebay.client import AsyncClient
from forebay.query.v1 import AnswerEvent, Query
from forebay.records.v1 import AnswerRecord, DeadLetter, UsageRecord
from forebay_benchmarks.model_server.process import ModelServer
from forebay_kafka.errors import RecordInvalid
from forebay_kafka.failure import error_info, status_of
from forebay_kafka.records import UNVOUCHED_RECORDS, Received
from forebay_kafka.topics import TOPICS, TopicSpec, topic_of
from forebay_standalone.system import System

from .accountant import Accountant
from .conftest import mint
from .fault_table import FaultTable
from .forgers import Forgers
from .load import Load
from .log_books import GROUPS, LogBooks
from .poison import Poison, copies_of, forgeries_of, is_tombstone, poison_for, send, whole_of
from .prometheus import samples
from .stand import nothing
from .strike import strike

COUNTED_SECONDS = 20.0
LOOK_SECONDS = 0.2
REPEATED = 20
VOUCHED = [spec for spec in TOPICS if spec.record not in UNVOUCHED_RECORDS]
REPLY = "The keeper does."
OF_THE_RECORD = ("with the value of another", "under the key of another")


async def test_poison_of_every_kind_on_every_topic_is_named_and_stops_nothing(
    system: System, load: Load, accountant: Accountant, table: FaultTable, rolls: random.Random
) -> None:
    with table.fault(
        "poison of every kind on every topic",
        "G7",
        "a dead letter for each and each group that reads it; everybody else goes on",
    ) as row:
        await strike(load, rolls, nothing, questions=40, documents=80)
        leaving = list({canary.tenant: canary for canary in load.accepted}.values())
        for canary in leaving:
            await load.client(canary.tenant).delete_document(canary.name)
        books = LogBooks(system)
        before = await asyncio.to_thread(books.letters)
        forgers = Forgers(system.state.path / "envelope-jwks.json")
        poisons = await asyncio.to_thread(every_poison, books, forgers)
        rolls.shuffle(poisons)
        await asyncio.to_thread(send, system, poisons)
        for canary in leaving:
            del load.accepted[canary]
        await strike(load, rolls, nothing, questions=40, documents=80)
        row.saw(*await accountant.close([]))
        known = {place_of(letter) for letter in before}
        letters = await asyncio.to_thread(books.letters)
        new = [letter for letter in letters if place_of(letter) not in known]
        row.saw(f"{len(poisons)} records on {len(TOPICS)} topics, {len(new)} dead letters")
        require_letters(poisons, new)
        await asyncio.to_thread(wait_counted, system, poisons)
        assert all(program.alive for program in system.programs.values())


@pytest.mark.slow_faults
async def test_a_record_that_is_written_once_more_has_no_second_effect(
    system: System, load: Load, accountant: Accountant, table: FaultTable, rolls: random.Random
) -> None:
    with table.fault(
        "good records of every topic written a second time",
        "G2 G3 G8",
        "every document and answer as before, paid for once, no dead letter",
    ) as row:
        await strike(load, rolls, nothing, questions=20, documents=40)
        books = LogBooks(system)
        await accountant.close([])
        before = await asyncio.to_thread(letter_places, books)
        repeated = await asyncio.to_thread(newest, books)
        await asyncio.to_thread(send, system, repeated)
        row.saw(f"{len(repeated)} records repeated", *await accountant.close([]))
        assert await asyncio.to_thread(letter_places, books) == before


def newest(books: LogBooks) -> list[Poison]:
    """The last records of every topic whose records the edge vouches for, in their order."""
    return [
        whole_of(spec, verified.source)
        for spec in VOUCHED
        for verified in deque(books.believed(spec.record), REPEATED)
    ]


def every_poison(books: LogBooks, forgers: Forgers) -> list[Poison]:
    samples = {spec.name: sample(books, spec) for spec in TOPICS}
    poisons = [poison for spec in TOPICS for poison in poison_for(spec, samples[spec.name][0])]
    for spec in VOUCHED:
        poisons += forgeries_of(spec, *samples[spec.name], forgers)
        for other in (each for each in VOUCHED if each is not spec):
            poisons += copies_of(samples[other.name][0], spec)
    return poisons


def sample(books: LogBooks, spec: TopicSpec) -> tuple[Received, Received]:
    """Two records of the topic with different keys; where it has none, some that say nothing."""
    nothing_said = Received(spec.name, 0, 0, 0, b"group/topic/0/0", b"", ())
    found = [each for each in books.records(spec.record) if each.value is not None]
    first = found[0] if found else nothing_said
    others = (each for each in found if each.key != first.key and each.value != first.value)
    return first, next(others, first)


def letter_places(books: LogBooks) -> set[tuple[str, str, int, int]]:
    return {place_of(letter) for letter in books.letters()}


def place_of(letter: DeadLetter) -> tuple[str, str, int, int]:
    return letter.group, letter.topic, letter.partition, letter.offset


def require_letters(poisons: list[Poison], letters: list[DeadLetter]) -> None:
    """One letter for each bad record and group, with the reason."""
    due: Counter[tuple[str, str]] = Counter()
    for group, records in GROUPS.items():
        for poison in poisons:
            if poison.spec.record in records and not is_tombstone(poison):
                due[group, poison.spec.name] += 1
    inputs = {topic_of(record).name for records in GROUPS.values() for record in records}
    found = Counter((each.group, each.topic) for each in letters if each.topic in inputs)
    assert found == due, f"too few or too many letters: {due - found} {found - due}"
    assert all(error_info(letter.error).reason for letter in letters)


def wait_counted(system: System, poisons: list[Poison]) -> None:
    """Return once the edge has counted what it reads itself and did not believe."""
    usage = topic_of(UsageRecord).name
    due = sum(poison.spec.name == usage for poison in poisons)
    deadline = time.monotonic() + COUNTED_SECONDS
    while (counted := refused(system, usage)) < due:
        assert time.monotonic() < deadline, f"{counted} of {due} are counted"
        time.sleep(LOOK_SECONDS)


def refused(system: System, topic: str) -> int:
    """How often the edge has read a record of a topic and not believed it."""
    name = "forebay_edge_records_refused_total"
    address = system.options.program_env["edge"]["FOREBAY_METRICS_ADDRESS"]
    return sum(
        int(value)
        for found, labels, value in samples(address)
        if found == name and labels["topic"] == topic
    )


async def test_what_nobody_vouches_for_changes_no_answer(
    system: System, models: ModelServer, table: FaultTable
) -> None:
    with table.fault(
        "forged ends, attempts and words in an answer that is being written",
        "G3 G5",
        "the answer is what the model says, and every forgery is counted",
    ) as row:
        answers, books = topic_of(AnswerRecord), LogBooks(system)
        forgers = Forgers(system.state.path / "envelope-jwks.json")
        models.behave(first_token_seconds=1.5, reply=REPLY)
        before = await asyncio.to_thread(refused, system, answers.name)
        async with AsyncClient(system.addresses.grpc, mint(system)) as client:
            receipt = await client.ingest("notes", "weir", text="The keeper opens the weir.")
            await client.wait_indexed(receipt.name, receipt.etag)
            other = await client.ask("Who else opens the weir?").answer()
            stream = client.ask("Who opens the weir?")
            name = (await anext(aiter(stream))).query
            good = await asyncio.to_thread(first_of, books, name)
            strange = await asyncio.to_thread(first_of, books, other.query)
            forged = [
                forgery
                for event in intrusions(name)
                for forgery in forgeries_of(
                    answers, replace(good, value=event.SerializeToString()), strange, forgers
                )
                # A derived record's value is its writer's: access rules say who that may be.
                if forgery.kind not in OF_THE_RECORD
            ]
            await asyncio.to_thread(send, system, forged)
            answer = await stream.answer()
            assert answer.text == REPLY
            query = await client.get_query(name)
            assert (query.state, query.answer) == (Query.STATE_COMPLETED, REPLY)
        seen = await asyncio.to_thread(refused, system, answers.name) - before
        row.saw(f"{len(forged)} records, refused {seen} times")
        assert seen >= len(forged)


def first_of(books: LogBooks, name: str) -> Received:
    """The first record of an answer."""
    return next(each for each in books.records(AnswerRecord) if each.key == name.encode())


def intrusions(name: str) -> list[AnswerRecord]:
    """What would end an answer, take it over, or speak in it."""
    attempt, failed = "f" * 32, AnswerEvent.Failed(error=status_of(RecordInvalid("forged")))
    return [
        AnswerRecord(event=AnswerEvent(query=name, cancelled=AnswerEvent.Cancelled())),
        AnswerRecord(event=AnswerEvent(query=name, failed=failed)),
        AnswerRecord(
            event=AnswerEvent(
                query=name, attempt=attempt, sequence=1, restarted=AnswerEvent.Restarted()
            )
        ),
        AnswerRecord(
            event=AnswerEvent(
                query=name, attempt=attempt, sequence=2, delta=AnswerEvent.Delta(text="forged")
            )
        ),
    ]
