"""Which dead letters are meant."""

from collections.abc import Iterable
from datetime import datetime
from typing import TypeAlias, TypedDict, Unpack

from google.protobuf.timestamp_pb2 import Timestamp

from forebay.errors.v1 import ErrorReason
from forebay.pipeline.v1 import (
    DeadLetterFilter,
    PurgeDeadLettersRequest,
    RedriveDeadLettersRequest,
)

Reason: TypeAlias = str | ErrorReason.ValueType

_PREFIX = "ERROR_REASON_"


class DeadLetterOptions(TypedDict, total=False):
    """Letters fit when they fit everything that is said; None and empty say nothing.

    Keys:
        stage: the stage that gave up, such as `embedding`.
        reason: why it gave up: an ErrorReason, or its name such as `DOCUMENT_EMPTY`.
        since: given up at or after this time; it must know its time zone.
        until: given up before this time; it must know its time zone.
        tenant: whose record it was.
    """

    stage: str
    reason: Reason | None
    since: datetime | None
    until: datetime | None
    tenant: str


class SelectionOptions(DeadLetterOptions, total=False):
    """What to decide about; one of these has to be there.

    Keys:
        names: `deadLetters/{dead_letter}`, up to 1,000; with a filter, those of them that fit.
            No name at all selects nothing, whatever the filter says.
        every: all dead letters there are; goes with nothing else.
    """

    names: Iterable[str] | None
    every: bool


def dead_letter_filter(**options: Unpack[DeadLetterOptions]) -> DeadLetterFilter:
    """The contract's message.

    Raises:
        ValueError: a time knows no time zone, or no reason has this name.
    """
    return DeadLetterFilter(
        stage=options.get("stage", ""),
        reason=_reason(options.get("reason")),
        start_time=_timestamp(options.get("since")),
        end_time=_timestamp(options.get("until")),
        tenant=options.get("tenant", ""),
    )


def select(
    request: RedriveDeadLettersRequest | PurgeDeadLettersRequest,
    names: Iterable[str] | None = None,
    *,
    every: bool = False,
    **options: Unpack[DeadLetterOptions],
) -> bool:
    """Writes into a request what it is about. Returns False when that is nothing.

    Raises:
        ValueError: nothing says which letters, or `every` is said beside something else.
    """
    wanted = dead_letter_filter(**options)
    narrowed = wanted != DeadLetterFilter()
    if every and (narrowed or names is not None):
        raise ValueError("every dead letter is meant, and some: say one of the two")
    if not every and not narrowed and names is None:
        raise ValueError("say which dead letters: names, a filter, or every=True")
    if every or narrowed:
        request.filter.CopyFrom(wanted)
    request.names.extend(names or ())
    return names is None or bool(request.names)


def _reason(reason: Reason | None) -> ErrorReason.ValueType:
    if reason is None or reason == "":
        return ErrorReason.ERROR_REASON_UNSPECIFIED
    if isinstance(reason, str):
        return ErrorReason.Value(_PREFIX + reason.removeprefix(_PREFIX))
    return reason


def _timestamp(time: datetime | None) -> Timestamp | None:
    if time is None:
        return None
    if time.tzinfo is None:
        raise ValueError(f"{time} knows no time zone")
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp
