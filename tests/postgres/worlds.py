"""Small seeded worlds, and by plain rules what each of their people may find.

The rules are written here once more, on purpose, from what is promised: no line of them is shared
with the code that they judge.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

COLLECTIONS, GROUPS, LABELS = ("one", "two"), ("red", "blue"), ({"k": "x"}, {"k": "y"}, {})
DOCUMENTS, WRITES, PEOPLE = 6, 6, 5
CLEARANCES = (1, 2, 3)


class Key(NamedTuple):
    tenant: str
    collection: str
    document: str


class Share(NamedTuple):
    """`collection` of `owner`, as `receiver` knows it."""

    owner: str
    collection: str
    receiver: str
    alias: str


@dataclass(frozen=True)
class Write:
    """What reaches the catalogue: PUBLISH with its text, ACCEPT before that, UPDATE or DELETE."""

    kind: str
    key: Key
    at: int
    visibility: int | None = None
    readers: tuple[str, ...] | None = None
    labels: Mapping[str, str] | None = None
    clearance: int = 3


@dataclass(frozen=True)
class Person:
    """Somebody with a question; no `collections` means all, and names may be anybody's."""

    tenant: str
    clearance: int
    groups: tuple[str, ...]
    shares: tuple[Share, ...]
    collections: tuple[str, ...] | None
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Document:
    """What is known of one document, and of the text that is found of it.

    `visibility`, `readers` and `labels` each stand beside the time of the write that set them.
    """

    newest: int = -1
    deleted: int = -1
    visibility: tuple[int, int] = (0, -1)
    readers: tuple[tuple[str, ...], int] = ((), -1)
    labels: tuple[Mapping[str, str], int] = (MappingProxyType({}), -1)
    text: int = -1
    # The readerships of the text that is found, from each time that a newer version came.
    former: tuple[tuple[int, tuple[str, ...]], ...] = ()
    refused: frozenset[int] = frozenset()

    @property
    def exists(self) -> bool:
        return self.newest > self.deleted

    @property
    def readership(self) -> tuple[int, tuple[str, ...]]:
        return self.visibility[0], self.readers[0]

    def refuses(self, write: Write) -> bool:
        return self.exists and self.visibility[0] > write.clearance


State = Mapping[Key, Document]
NOTHING = Document()


def after(state: State, write: Write) -> State:
    """The state once a write has arrived, whenever it was made."""
    before = state.get(write.key, NOTHING)
    return {**state, write.key: _written(before, write)}


def _written(before: Document, write: Write) -> Document:
    if write.at in before.refused or write.at <= before.deleted:
        return before
    changed = _CHANGES[write.kind](before, write)
    # What was accepted before its text came was judged then.
    if changed != before and write.at != before.newest and before.refuses(write):
        return replace(before, refused=before.refused | {write.at})
    return changed


def _accepted(before: Document, write: Write) -> Document:
    if write.at <= before.newest:
        return before
    former = (*before.former, before.readership) if before.text >= 0 else ()
    return replace(_updated(before, write), newest=write.at, former=former)


def _published(before: Document, write: Write) -> Document:
    accepted = _accepted(before, write)
    return replace(accepted, text=write.at, former=()) if accepted.newest == write.at else accepted


def _updated(before: Document, write: Write) -> Document:
    changes = {
        name: (value, write.at)
        for name in ("visibility", "readers", "labels")
        if (value := getattr(write, name)) is not None and getattr(before, name)[1] < write.at
    }
    return replace(before, **changes)


def _deleted(before: Document, write: Write) -> Document:
    if before.text > write.at:
        return replace(before, deleted=write.at)
    return replace(before, deleted=write.at, text=-1, former=())


_CHANGES = {
    "ACCEPT": _accepted, "PUBLISH": _published, "UPDATE": _updated, "DELETE": _deleted
}  # fmt: skip


def found(state: State, person: Person) -> set[tuple[str, str, int]]:
    """What a person finds: the name of the collection for it, the document and its version."""
    names = dict(_names(person))
    wanted = person.collections
    return {
        (names[key.tenant, key.collection], key.document, document.text)
        for key, document in state.items()
        if may_read(key, document, person)
        and (wanted is None or names[key.tenant, key.collection] in wanted)
        and all(document.labels[0].get(k) == v for k, v in person.labels.items())
    }


def may_read(key: Key, document: Document, person: Person) -> bool:
    if document.text < 0 or (key.tenant, key.collection) not in dict(_names(person)):
        return False
    readerships = (document.readership, *document.former)
    if any(visibility > person.clearance for visibility, _ in readerships):
        return False
    now = set(document.readers[0])
    former = [set(readers) for _, readers in document.former if readers]
    if key.tenant != person.tenant:
        return not now and not former
    mine = set(person.groups)
    return (not now or bool(now & mine)) and (not former or bool(set.intersection(*former) & mine))


def _names(person: Person) -> Iterator[tuple[tuple[str, str], str]]:
    """The collections that a person can read at all, and what they are called there."""
    aliases = {share.alias for share in person.shares}
    for collection in (*COLLECTIONS, "lent"):
        if collection not in aliases:
            yield (person.tenant, collection), collection
    for share in person.shares:
        yield (share.owner, share.collection), share.alias


@dataclass(frozen=True)
class World:
    """`states[n]` is what holds after the first n of `writes`; the first writes make it up."""

    seed: int
    tenants: tuple[str, ...]
    shares: tuple[Share, ...]
    first: tuple[Write, ...]
    writes: tuple[Write, ...]
    people: tuple[Person, ...]
    states: tuple[State, ...]


def world(seed: int) -> World:
    """The world of a seed, the same on every machine."""
    dice = random.Random(seed)  # noqa: S311 repeatable, not secret
    tenants = tuple(f"w{seed}-{letter}" for letter in "abc")
    shares = tuple(_shares(dice, tenants))
    keys = [
        Key(dice.choice(tenants), dice.choice((*COLLECTIONS, "lent")), f"d{dice.randrange(3)}")
        for _ in range(DOCUMENTS)
    ]
    first = tuple(
        _version(dice, "PUBLISH", key, 2 * number) for number, key in enumerate(dict.fromkeys(keys))
    )
    writes = tuple(_writes(dice, keys))
    people = tuple(_person(dice, tenants, shares) for _ in range(PEOPLE))
    state: State = {}
    for write in first:
        state = after(state, write)
    states = [state]
    for write in writes:
        states.append(after(states[-1], write))
    return World(seed, tenants, shares, first, writes, people, tuple(states))


def _shares(dice: random.Random, tenants: tuple[str, ...]) -> list[Share]:
    """One or two; an alias is new where it is received, or hides an own collection."""
    made: dict[tuple[str, str], Share] = {}
    for owner in dice.sample(tenants, dice.choice((1, 1, 2))):
        receiver = dice.choice([each for each in tenants if each != owner])
        alias = dice.choice((f"from-{owner}", "lent"))
        made[receiver, alias] = Share(owner, dice.choice(COLLECTIONS), receiver, alias)
    return list(made.values())


def _writes(dice: random.Random, keys: list[Key]) -> Iterator[Write]:
    """Each with its place in time, and some of them late; what was accepted may get its text."""
    waiting: list[Write] = []
    for number in range(WRITES):
        key = dice.choice(keys)
        at = dice.choice((100 + 2 * number, 100 + 2 * number, 2 * number + 1))
        clearance = dice.choice((3, 3, 3, 2, 1))
        match dice.choice(("UPDATE", "UPDATE", "ACCEPT", "ACCEPT", "TEXT", "DELETE")):
            case "UPDATE":
                what = dice.choice(("visibility", "readers", "labels"))
                yield replace(
                    Write("UPDATE", key, at, clearance=clearance),
                    **{what: getattr(_version(dice, "", key, at), what)},
                )
            case "DELETE":
                yield Write("DELETE", key, at, clearance=clearance)
            case "TEXT" if waiting:
                yield replace(waiting.pop(), kind="PUBLISH")
            case _:
                waiting.append(replace(_version(dice, "ACCEPT", key, at), clearance=clearance))
                yield waiting[-1]


def _version(dice: random.Random, kind: str, key: Key, at: int) -> Write:
    readers = dice.choice(((), (), GROUPS[:1], GROUPS[1:], GROUPS))
    return Write(kind, key, at, dice.choice(CLEARANCES), readers, dice.choice(LABELS))


def _person(dice: random.Random, tenants: tuple[str, ...], shares: tuple[Share, ...]) -> Person:
    tenant = dice.choice(tenants)
    mine = [share for share in shares if share.receiver == tenant]
    names = list(dict.fromkeys((*COLLECTIONS, "lent", *(share.alias for share in shares))))
    return Person(
        tenant=tenant,
        clearance=dice.choice((*CLEARANCES, 3)),
        groups=dice.choice(((), GROUPS[:1], GROUPS[1:], GROUPS)),
        shares=tuple(share for share in mine if dice.random() < 0.8),
        collections=dice.choice((None, None, tuple(dice.sample(names, 2)))),
        labels=dice.choice(({}, {}, *LABELS)),
    )
