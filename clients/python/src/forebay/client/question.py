"""A question on its way in."""

from collections.abc import Mapping, Sequence
from typing import TypedDict, Unpack

from forebay.client.document import collection_name
from forebay.client.duration import duration
from forebay.query.v1 import SubmitQueryRequest


class QuestionOptions(TypedDict, total=False):
    """What a question may say beside its text.

    Keys:
        collections: where to look, `handbook` or `collections/handbook`; everywhere that the
            caller may when empty.
        filter: labels that a document must carry, all of them, with these values.
        top_k: how many passages to look for, up to 50; the tier's own number when 0.
        mode: SubmitQueryRequest.MODE_RETRIEVE_ONLY for passages alone.
        timeout: seconds that the answer may take, 0.1 to 600; 60 when None.
        request_id: a UUIDv7 of your own, for a retry that outlives this process.
    """

    collections: Sequence[str]
    filter: Mapping[str, str]
    top_k: int
    mode: SubmitQueryRequest.Mode.ValueType
    timeout: float | None
    request_id: str


def question(text: str, **options: Unpack[QuestionOptions]) -> SubmitQueryRequest:
    """The contract's message."""
    timeout = options.get("timeout")
    return SubmitQueryRequest(
        text=text,
        request_id=options.get("request_id", ""),
        collections=[collection_name(each) for each in options.get("collections", ())],
        filter=options.get("filter", {}),
        top_k=options.get("top_k", 0),
        mode=options.get("mode", SubmitQueryRequest.MODE_UNSPECIFIED),
        timeout=None if timeout is None else duration(timeout),
    )
