"""The rules of the head row give the same document whatever order writes arrive in."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay_postgres import AccessUpdate, Outcome, head
from forebay_postgres.head import Head

NAMES = ("tax", "board", "staff")


def apply(write: tuple[str, int, int], before: Head, make: Any) -> Head:
    kind, at, choice = write
    if kind == "version":
        labels = {"choice": NAMES[choice]}
        version = make.version(at, visibility=choice + 1, readers=[NAMES[choice]], labels=labels)
        return head.accept(before, version)[0]
    if kind == "deletion":
        time = make.version(at).accept_time
        return head.delete(before, make.id(at), writer_clearance=3, accept_time=time)[0]
    update = AccessUpdate(
        key=make.key,
        version=make.id(at),
        accept_time=make.version(at).accept_time,
        writer_clearance=3,
        visibility=choice + 1 if kind == "visibility" else None,
        readers=(NAMES[choice],) if kind == "readers" else None,
        labels={"choice": NAMES[choice]} if kind == "labels" else None,
    )
    return head.update(before, update)[0]


def outcome(writes: Sequence[tuple[str, int, int]], make: Any) -> object:
    final = Head()
    for write in writes:
        final = apply(write, final, make)
    if not final.exists:
        return None
    return final.newest_version, final.title, final.visibility, final.readers, dict(final.labels)


KINDS = st.sampled_from(["version", "version", "deletion", "visibility", "readers", "labels"])
WRITES = st.lists(
    st.tuples(KINDS, st.integers(1, 30), st.integers(0, 2)), unique_by=lambda write: write[1]
)


@given(data=st.data(), writes=WRITES)
def test_every_order_of_arrival_gives_the_same_document(
    data: st.DataObject, writes: list[tuple[str, int, int]], make_once: Any
) -> None:
    arrival = data.draw(st.permutations(writes))
    assert outcome(arrival, make_once) == outcome(sorted(writes, key=lambda w: w[1]), make_once)


@given(data=st.data(), writes=WRITES)
def test_deliveries_that_repeat_change_nothing(
    data: st.DataObject, writes: list[tuple[str, int, int]], make_once: Any
) -> None:
    repeats = data.draw(st.lists(st.sampled_from(writes))) if writes else []
    assert outcome([*writes, *repeats], make_once) == outcome(writes, make_once)


@pytest.mark.parametrize("at", [1, 2])
def test_a_deletion_covers_its_own_version_and_all_before(make: Any, at: int) -> None:
    deleted, _ = head.delete(
        Head(), make.id(2), writer_clearance=3, accept_time=make.version(2).accept_time
    )
    assert head.accept(deleted, make.version(at))[1].outcome is Outcome.DELETED


def test_a_deletion_ends_all_that_it_covers_and_nothing_else(make: Any) -> None:
    kept = head.keep(head.keep(head.keep(Head(), make.id(1)), make.id(2)), make.id(3))
    time = make.version(2).accept_time
    deleted, _ = head.delete(kept, make.id(2), writer_clearance=3, accept_time=time)
    assert head.lost(deleted) == (make.id(1), make.id(2))
