"""Everything that two workers, the edge and a bad network can make of one answer."""

from collections.abc import Sequence

from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import strategies as st

from forebay.query.v1 import AnswerEvent, Citation

ATTEMPTS = ("a", "b")
DEADLINE = Timestamp(seconds=1_700_000_060)
ACCEPTED = AnswerEvent(accepted=AnswerEvent.Accepted(text="How deep?", expire_time=DEADLINE))
CANCELLED = AnswerEvent(cancelled=AnswerEvent.Cancelled())
FAILED = AnswerEvent(failed=AnswerEvent.Failed())


def text_of(attempt: str, words: int) -> str:
    return "".join(f"{attempt}{number} " for number in range(words))


def whole_attempt(attempt: str, words: int, *, fails: bool) -> list[AnswerEvent]:
    """All that one attempt writes when nothing interrupts it."""
    events = [
        AnswerEvent(restarted=AnswerEvent.Restarted()),
        AnswerEvent(retrieved=AnswerEvent.Retrieved()),
        *(AnswerEvent(delta=AnswerEvent.Delta(text=f"{attempt}{n} ")) for n in range(words)),
        AnswerEvent(citation=Citation(passage=0)),
        AnswerEvent(failed=AnswerEvent.Failed())
        if fails
        else AnswerEvent(completed=AnswerEvent.Completed(answer=text_of(attempt, words))),
    ]
    for number, event in enumerate(events, start=1):
        event.attempt, event.sequence = attempt, number
    return events


@st.composite
def attempts(draw: st.DrawFn, name: str) -> list[AnswerEvent]:
    """A whole attempt, the beginning of one, or one that the log has lost records of."""
    events = whole_attempt(name, draw(st.integers(0, 3)), fails=draw(st.booleans()))
    match draw(st.sampled_from(["whole", "whole", "begun", "gap"])):
        case "begun":
            return events[: draw(st.integers(1, len(events) - 1))]
        case "gap":
            lost = draw(st.sets(st.integers(0, len(events) - 1), min_size=1, max_size=2))
            return [event for index, event in enumerate(events) if index not in lost]
    return events


@st.composite
def merged(draw: st.DrawFn, lists: Sequence[Sequence[AnswerEvent]]) -> list[AnswerEvent]:
    """Some order of all records that keeps the order within each list."""
    turns = [index for index, each in enumerate(lists) for _ in each]
    queues = [iter(each) for each in lists]
    return [next(queues[index]) for index in draw(st.permutations(turns))]


@st.composite
def answer_logs(draw: st.DrawFn) -> list[AnswerEvent]:
    """Two attempts, either of which may go on as a zombie, among all that belongs to none."""
    sources = [draw(attempts(name)) for name in ATTEMPTS]
    sources += draw(
        st.lists(st.sampled_from([[ACCEPTED], [CANCELLED], [FAILED]]), max_size=3).map(
            lambda common: [[ACCEPTED], *common]
        )
    )
    log = draw(merged(sources))
    for _ in range(draw(st.integers(0, 3))):
        # A record that was written again, right behind the first time or long after.
        copied = draw(st.integers(0, len(log) - 1))
        log.insert(draw(st.integers(copied + 1, len(log))), log[copied])
    return log
