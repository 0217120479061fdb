"""Bad records of every kind on every topic: each is named, none stops a partition."""

import asyncio
import random
from collections import Counter

from forebay.records.v1 import DeadLetter
from forebay_kafka.failure import error_info
from forebay_kafka.records import Received
from forebay_kafka.topics import TOPICS, TopicSpec, topic_of
from forebay_standalone.system import System

from .accountant import Accountant
from .fault_table import FaultTable
from .load import Load
from .log_books import GROUPS, LogBooks
from .poison import Poison, is_tombstone, poison_for, send
from .stand import nothing
from .strike import strike


async def test_poison_of_every_kind_on_every_topic_is_named_and_stops_nothing(
    system: System, load: Load, accountant: Accountant, table: FaultTable, rolls: random.Random
) -> None:
    with table.fault(
        "poison of every kind on every topic",
        "G7",
        "a dead letter for each and each group that reads it; everybody else goes on",
    ) as row:
        await strike(load, rolls, nothing, questions=40, documents=80)
        leaving = next(iter(load.accepted))
        await load.client(leaving.tenant).delete_document(leaving.name)
        books = LogBooks(system)
        before = await asyncio.to_thread(books.letters)
        poisons = await asyncio.to_thread(every_poison, books)
        rolls.shuffle(poisons)
        await asyncio.to_thread(send, system, poisons)
        del load.accepted[leaving]
        await strike(load, rolls, nothing, questions=40, documents=80)
        row.saw(*await accountant.close([]))
        known = {place_of(letter) for letter in before}
        letters = await asyncio.to_thread(books.letters)
        new = [letter for letter in letters if place_of(letter) not in known]
        row.saw(f"{len(poisons)} records on {len(TOPICS)} topics, {len(new)} dead letters")
        require_letters(poisons, new)
        assert all(program.alive for program in system.programs.values())


def every_poison(books: LogBooks) -> list[Poison]:
    return [poison for spec in TOPICS for poison in poison_for(spec, sample(books, spec))]


def sample(books: LogBooks, spec: TopicSpec) -> Received:
    """A record of the topic; where it has none yet, one that says nothing."""
    found = [each for each in books.records(spec.record) if each.value is not None]
    return found[0] if found else Received(spec.name, 0, 0, 0, b"group/topic/0/0", b"", ())


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
