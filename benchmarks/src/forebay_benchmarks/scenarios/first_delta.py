"""Time to the first delta of an answer, beyond what the model itself takes."""

from forebay.query.v1 import SubmitQueryRequest
from forebay_benchmarks.ask_load import AskLoad, ask_load
from forebay_benchmarks.child import Child
from forebay_benchmarks.direct_answers import DirectAnswers, direct_answers
from forebay_benchmarks.figures import Figure, Goal
from forebay_benchmarks.rounds import Plan, alternate
from forebay_benchmarks.stand import (
    ANSWER_TOKENS,
    FIRST_TOKEN_SECONDS,
    MODEL,
    TENANT,
    TOKENS_PER_SECOND,
    Stand,
)

_ASKERS = 50
_GOAL = Goal(p50_ms=20.0, p99_ms=60.0)
# About the length of an answer: askers that begin together would stay together.
_RAMP_SECONDS = FIRST_TOKEN_SECONDS + ANSWER_TOKENS / TOKENS_PER_SECOND


def first_delta(stand: Stand, plan: Plan) -> Figure:
    """Fifty askers at once."""
    return _figure(stand, plan, _ASKERS)


def first_delta_alone(stand: Stand, plan: Plan) -> Figure:
    """One asker: no queue anywhere."""
    return _figure(stand, plan, 1)


def _figure(stand: Stand, plan: Plan, askers: int) -> Figure:
    direct = DirectAnswers(
        retrieve_dsn=stand.dsn("retrieve"),
        model_url=stand.model_url,
        model=MODEL,
        tenant=TENANT,
        question=stand.question,
        askers=askers,
        model_seconds=FIRST_TOKEN_SECONDS,
        ramp_seconds=_RAMP_SECONDS,
    )
    asked = AskLoad(
        target=stand.grpc,
        token=stand.token(),
        question=stand.question,
        mode=SubmitQueryRequest.MODE_ANSWER,
        until="delta",
        askers=askers,
        model_seconds=FIRST_TOKEN_SECONDS,
        ramp_seconds=_RAMP_SECONDS,
    )
    with Child(direct_answers, direct) as floor, Child(ask_load, asked) as system:
        rounds = alternate(floor.measure, system.measure, plan)
    model = (
        f"{askers} at once; the model's first token after {FIRST_TOKEN_SECONDS * 1000:.0f} ms "
        f"is taken off, then {ANSWER_TOKENS} tokens at {TOKENS_PER_SECOND:.0f}/s"
    )
    return Figure(
        unit="ms",
        rounds=rounds,
        floor_is=f"embed, search and call the model in one process, {model}",
        system_is=f"Ask over gRPC, {model}",
        goal=_GOAL,
    )
