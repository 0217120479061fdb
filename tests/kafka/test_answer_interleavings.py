"""Whatever two attempts, a zombie, a cancel and doubled records make of a log, it reads well."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from forebay.query.v1 import AnswerEvent, Query
from forebay_kafka.answer_fold import TERMINAL, AnswerFold
from forebay_kafka.query_view import query_of

from .interleavings import ATTEMPTS, CANCELLED, FAILED, answer_logs

MANY = settings(max_examples=300, deadline=None)
NAME = "queries/abc"


def shown(log: list[AnswerEvent]) -> list[AnswerEvent]:
    fold = AnswerFold()
    return [each for each in log if fold.counts(each)]


def is_terminal(event: AnswerEvent) -> bool:
    return event.WhichOneof("event") in TERMINAL


def is_opening(event: AnswerEvent) -> bool:
    return event.sequence == 1 and event.HasField("restarted")


def opened_last(log: list[AnswerEvent]) -> str:
    """The attempt that was opened last; a copy of an opening opens nothing."""
    openings = [each for each in log if is_opening(each)]
    firsts = list(dict.fromkeys(each.attempt for each in openings))
    return firsts[-1] if firsts else ""


@MANY
@given(answer_logs())
def test_at_most_one_end_is_shown_and_nothing_behind_it(log: list[AnswerEvent]) -> None:
    events = shown(log)
    ends = [index for index, each in enumerate(events) if is_terminal(each)]
    assert ends in ([], [len(events) - 1])


@MANY
@given(answer_logs())
def test_a_cancel_always_leads_to_an_end(log: list[AnswerEvent]) -> None:
    events = shown([*log, CANCELLED])
    assert is_terminal(events[-1])
    assert sum(is_terminal(each) for each in events) == 1


@MANY
@given(answer_logs())
def test_whatever_is_left_open_an_attempt_behind_it_ends(log: list[AnswerEvent]) -> None:
    """So whoever takes a query over can always finish it, or fail it."""
    opening = AnswerEvent(attempt="c", sequence=1, restarted=AnswerEvent.Restarted())
    failed = AnswerEvent(attempt="c", sequence=2, failed=AnswerEvent.Failed())
    assert is_terminal(shown([*log, opening, failed])[-1])


@MANY
@given(answer_logs())
def test_a_completed_answer_is_the_whole_text_of_the_attempt_that_was_opened_last(
    log: list[AnswerEvent],
) -> None:
    events = shown(log)
    if not events or not events[-1].HasField("completed"):
        return
    end = events[-1]
    text = ""
    for each in events:
        text = "" if each.HasField("restarted") else text + each.delta.text
    assert text == end.completed.answer
    assert end.attempt == opened_last(log[: log.index(end)])
    assert query_of(NAME, events).answer == text
    assert query_of(NAME, events[:-1]).answer == text


@MANY
@given(answer_logs())
def test_what_is_shown_of_an_attempt_has_no_gap_and_stands_in_its_order(
    log: list[AnswerEvent],
) -> None:
    events = shown(log)
    first_shown = next((each.attempt for each in events if each.attempt), "")
    for name in ATTEMPTS:
        numbers = [each.sequence for each in events if each.attempt == name]
        # The opening of the very first attempt is not shown.
        assert numbers[:1] in ([], [1], [2])
        assert all(later == former + 1 for former, later in pairwise(numbers))
        if numbers and numbers[0] == 2:
            assert name == first_shown


@MANY
@given(answer_logs())
def test_a_reader_never_steps_back_to_a_former_attempt(log: list[AnswerEvent]) -> None:
    named = [each.attempt for each in shown(log) if each.attempt]
    changes = [named[0]] if named else []
    changes += [later for former, later in pairwise(named) if former != later]
    assert len(changes) == len(set(changes))
    restarts = [each.attempt for each in shown(log) if each.HasField("restarted")]
    assert changes[1:] == restarts or changes == restarts


@MANY
@given(answer_logs())
def test_a_failure_of_nobody_changes_nothing_once_an_attempt_is_open(
    log: list[AnswerEvent],
) -> None:
    opened = next((index for index, each in enumerate(log) if is_opening(each)), len(log))
    without = [each for index, each in enumerate(log) if index < opened or each != FAILED]
    assert shown(log) == shown(without)


@MANY
@given(answer_logs(), st.data())
def test_a_former_attempt_changes_nothing_once_another_is_open(
    log: list[AnswerEvent], data: st.DataObject
) -> None:
    """A zombie may write what it likes: deltas, its end, its failure."""
    openings = [index for index, each in enumerate(log) if is_opening(each)]
    firsts = [index for index in openings if log[index] not in log[:index]]
    if len(firsts) < len(ATTEMPTS):
        return
    former, second = log[firsts[0]].attempt, firsts[1]
    place = data.draw(st.integers(second + 1, len(log)))
    kind = data.draw(st.sampled_from(["delta", "completed", "failed", "restarted"]))
    said = {
        "delta": AnswerEvent.Delta(text="zombie"),
        "completed": AnswerEvent.Completed(answer="zombie"),
        "failed": AnswerEvent.Failed(),
        "restarted": AnswerEvent.Restarted(),
    }[kind]
    sequence = data.draw(st.integers(1, 8))
    words = AnswerEvent(attempt=former, sequence=sequence, **{kind: said})  # type: ignore[arg-type]
    assert shown([*log[:place], words, *log[place:]]) == shown(log)


@MANY
@given(answer_logs(), st.data())
def test_a_lost_record_of_an_attempt_never_leads_to_its_completion(
    log: list[AnswerEvent], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(ATTEMPTS))
    numbers = sorted({each.sequence for each in log if each.attempt == name})
    if len(numbers) < len(ATTEMPTS):
        return
    lost = data.draw(st.sampled_from(numbers[:-1]))
    rest = [each for each in log if (each.attempt, each.sequence) != (name, lost)]
    ends = [each for each in shown(rest) if each.HasField("completed")]
    assert all(each.attempt != name for each in ends)


@MANY
@given(answer_logs(), st.data())
def test_who_reads_a_part_of_the_log_first_sees_the_same_in_the_end(
    log: list[AnswerEvent], data: st.DataObject
) -> None:
    now = data.draw(st.integers(0, len(log)))
    events = shown(log)
    assert shown(log[:now]) == events[: len(shown(log[:now]))]


@MANY
@given(answer_logs())
def test_the_query_says_the_end_that_its_readers_saw(log: list[AnswerEvent]) -> None:
    events = shown(log)
    states = {
        "completed": Query.STATE_COMPLETED,
        "failed": Query.STATE_FAILED,
        "cancelled": Query.STATE_CANCELLED,
    }
    state = query_of(NAME, events).state
    if events and is_terminal(events[-1]):
        assert state == states[str(events[-1].WhichOneof("event"))]
    else:
        assert state not in states.values()


@MANY
@given(answer_logs())
def test_an_acceptance_is_shown_once_and_the_first_opening_never(log: list[AnswerEvent]) -> None:
    events = shown(log)
    assert sum(each.HasField("accepted") for each in events) <= 1
    firsts = [each for each in log if is_opening(each)]
    assert not firsts or firsts[0] not in events
