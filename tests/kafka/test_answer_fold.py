"""One reading of an answer for everybody, whatever order the log decided on."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from forebay.query.v1 import AnswerEvent
from forebay_kafka.answer_fold import TERMINAL, AnswerFold

KINDS = {
    "accepted": AnswerEvent.Accepted,
    "retrieved": AnswerEvent.Retrieved,
    "delta": AnswerEvent.Delta,
    "restarted": AnswerEvent.Restarted,
    "completed": AnswerEvent.Completed,
    "failed": AnswerEvent.Failed,
    "cancelled": AnswerEvent.Cancelled,
}


def event(kind: str, attempt: str = "", sequence: int = 0) -> AnswerEvent:
    # The constructor takes the oneof's member by its name.
    return AnswerEvent(attempt=attempt, sequence=sequence, **{kind: KINDS[kind]()})


def attempt(name: str, *kinds: str) -> list[AnswerEvent]:
    opened = ("restarted", *kinds)
    return [event(kind, name, number) for number, kind in enumerate(opened, start=1)]


def shown(log: Iterable[AnswerEvent]) -> list[AnswerEvent]:
    fold = AnswerFold()
    return [each for each in log if fold.counts(each)]


def merges(*lists: Sequence[AnswerEvent]) -> Iterator[list[AnswerEvent]]:
    """Every order of several lists that keeps the order within each."""
    if not any(lists):
        yield []
    for index, each in enumerate(lists):
        if each:
            rest = [*lists[:index], each[1:], *lists[index + 1 :]]
            yield from ([each[0], *tail] for tail in merges(*rest))


def oracle(log: list[AnswerEvent]) -> list[AnswerEvent]:
    """The rules said again, by looking at the whole log for each record."""
    result: list[AnswerEvent] = []
    for index, each in enumerate(log):
        if any(former.WhichOneof("event") in TERMINAL for former in result):
            break
        if _counts(log, index):
            result.append(each)
    return result


def _is_opening(log: list[AnswerEvent], index: int) -> bool:
    each = log[index]
    opens = each.attempt and each.sequence == 1 and each.WhichOneof("event") == "restarted"
    return bool(opens) and each not in log[:index]


def _counts(log: list[AnswerEvent], index: int) -> bool:
    each, kind = log[index], log[index].WhichOneof("event")
    openings = [place for place in range(index + 1) if _is_opening(log, place)]
    if not each.attempt:
        is_first = each not in log[:index]
        is_failure = kind == "failed" and not openings
        return is_failure or kind == "cancelled" or (kind == "accepted" and is_first)
    if not openings or log[openings[-1]].attempt != each.attempt:
        return False
    if each.sequence == 1:
        return openings[-1] == index and len(openings) > 1
    since = [r.sequence for r in log[openings[-1] : index + 1] if r.attempt == each.attempt]
    expected = 1
    for sequence in since[:-1]:
        expected += sequence == expected + 1
    return since[-1] == expected + 1


def kinds_of(events: Iterable[AnswerEvent]) -> list[str]:
    return [str(each.WhichOneof("event")) for each in events]


def contiguous(events: list[AnswerEvent]) -> bool:
    """Whether the events of each attempt follow one another without a gap."""
    place: dict[str, int] = {}
    for each in events:
        if each.attempt:
            if each.sequence != place.get(each.attempt, 1) + (each.sequence > 1):
                return False
            place[each.attempt] = each.sequence
    return True


def test_an_answer_of_one_attempt_is_shown_without_its_opening() -> None:
    log = [event("accepted"), *attempt("a", "retrieved", "delta", "completed")]
    assert kinds_of(shown(log)) == ["accepted", "retrieved", "delta", "completed"]


def test_every_merge_of_two_attempts_a_zombie_and_a_cancel_ends_once_and_without_gaps() -> None:
    zombie = attempt("z", "delta")
    first = attempt("a", "delta", "completed")
    second = attempt("b", "failed")
    seen = 0
    for log in merges([event("accepted")], first, second, zombie[1:], [event("cancelled")]):
        # The zombie opened before anything else and still writes.
        whole = [zombie[0], *log]
        events = shown(whole)
        terminal = [each for each in events if each.WhichOneof("event") in TERMINAL]
        assert len(terminal) == 1
        assert events[-1] is terminal[0]
        assert contiguous(events)
        assert events == oracle(whole)
        seen += 1
    assert seen == 3_360  # 8! / (3! · 2!) orders of lists of 1, 3, 2, 1 and 1


def test_a_second_reading_sees_the_same() -> None:
    log = [event("accepted"), *attempt("a", "delta"), *attempt("b", "delta", "completed")]
    assert shown(log) == shown(log)


kinds = st.sampled_from(["delta", "restarted", "completed", "failed", "retrieved"])
records = st.one_of(
    st.builds(event, kinds, st.sampled_from("ab"), st.integers(0, 4)),
    st.sampled_from([event("accepted"), event("cancelled"), event("failed"), event("delta")]),
)


@settings(max_examples=1_000, deadline=None)
@given(st.lists(records, max_size=14))
def test_whatever_the_log_holds_the_rules_decide(log: list[AnswerEvent]) -> None:
    events = shown(log)
    assert events == oracle(log)
    assert contiguous(events)
    assert sum(each.WhichOneof("event") in TERMINAL for each in events) <= 1


@settings(max_examples=300, deadline=None)
@given(st.lists(records, max_size=14), st.data())
def test_a_record_that_the_log_holds_twice_changes_nothing_but_terminals_stay_one(
    log: list[AnswerEvent], data: st.DataObject
) -> None:
    tail = [event("accepted"), *attempt("c", "delta", "completed")]
    whole = [*log, *tail]
    index = data.draw(st.integers(0, len(whole) - 1))
    doubled = [*whole[: index + 1], *whole[index:]]
    assert shown(doubled) == shown(whole)


def test_an_attempt_that_does_not_open_with_restarted_is_none() -> None:
    assert shown([event("delta", "a", 1), event("completed", "a", 2)]) == []


def test_a_failure_of_no_attempt_ends_what_nobody_began() -> None:
    assert kinds_of(shown([event("accepted"), event("failed"), *attempt("a", "delta")])) == [
        "accepted",
        "failed",
    ]


def test_a_failure_of_no_attempt_ends_no_attempt() -> None:
    log = [event("accepted"), *attempt("a", "delta"), event("failed"), event("completed", "a", 3)]
    assert kinds_of(shown(log)) == ["accepted", "delta", "completed"]


def test_a_failure_of_a_former_attempt_ends_nothing() -> None:
    zombie, successor = attempt("a", "delta", "failed"), attempt("b", "delta", "completed")
    log = [*zombie[:2], *successor[:2], zombie[2], successor[2]]
    assert kinds_of(shown(log)) == ["delta", "restarted", "delta", "completed"]


def test_a_failure_behind_a_gap_ends_nothing() -> None:
    opening, _, failed = attempt("a", "delta", "failed")
    assert shown([opening, failed]) == []


def test_nothing_follows_an_end() -> None:
    for end, after in product(("cancelled", "failed"), KINDS):
        assert len(shown([event(end), event(after), *attempt("a", after)])) == 1
