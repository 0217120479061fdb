"""Events of one short answer."""

from forebay.query.v1 import AnswerEvent, Passage

Q = "queries/q1"
COMPLETED = AnswerEvent.Completed


def accepted() -> AnswerEvent:
    return AnswerEvent(query=Q, cursor="c-accepted", accepted=AnswerEvent.Accepted(text="why?"))


def retrieved() -> AnswerEvent:
    passages = [Passage(document="collections/default/documents/a", text="water falls")]
    return AnswerEvent(
        query=Q, cursor="c-retrieved", retrieved=AnswerEvent.Retrieved(passages=passages)
    )


def delta(number: int, text: str, attempt: str = "a1") -> AnswerEvent:
    return AnswerEvent(
        query=Q,
        cursor=f"c-{attempt}-{number}",
        attempt=attempt,
        sequence=number,
        delta=AnswerEvent.Delta(text=text),
    )


def completed(answer: str, number: int = 9) -> AnswerEvent:
    return AnswerEvent(
        query=Q,
        cursor="c-completed",
        attempt="a1",
        sequence=number,
        completed=COMPLETED(answer=answer, finish_reason=COMPLETED.FINISH_REASON_STOP),
    )


def heartbeat() -> AnswerEvent:
    return AnswerEvent(query=Q, heartbeat=AnswerEvent.Heartbeat())


WHOLE = (accepted(), retrieved(), delta(1, "Water "), delta(2, "falls."), completed("Water falls."))
