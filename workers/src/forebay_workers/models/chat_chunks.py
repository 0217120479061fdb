"""The chunks of a streamed chat completion, from the bytes of its event stream.

The client's own typed chunks cost three times as much processor time as the model's words are
worth: 60 tokens took 14 ms with them, and 5 ms from the bytes.
"""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

from forebay_workers.models.errors import ModelReplyInvalid, ModelUnavailable

_FIELD = b"data:"
_END = b"[DONE]"
_LINE_BYTES = 1024 * 1024  # a chunk has a few hundred; an endless line must not fill the memory


async def chat_chunks(body: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    """Yield each chunk up to `[DONE]`, or to the end of the body.

    Raises ModelReplyInvalid for what is no JSON object, and ModelUnavailable where the endpoint
    reports an error instead of a chunk.
    """
    rest = b""
    async for received in body:
        *lines, rest = (rest + received).split(b"\n")
        for data in _data_of(lines):
            if data == _END:
                return
            yield _chunk(data)
        if len(rest) > _LINE_BYTES:
            raise ModelReplyInvalid("the model endpoint's reply has no end of line")


def _data_of(lines: list[bytes]) -> Iterator[bytes]:
    for line in lines:
        if line.startswith(_FIELD):
            yield line.removeprefix(_FIELD).strip()


def _chunk(data: bytes) -> dict[str, Any]:
    try:
        chunk = json.loads(data)
    except (ValueError, RecursionError):
        raise ModelReplyInvalid("the model endpoint's reply cannot be read") from None
    if not isinstance(chunk, dict):
        raise ModelReplyInvalid("the model endpoint's reply is not of the agreed shape")
    if chunk.get("error"):
        raise ModelUnavailable("the model endpoint reported an error inside its stream")
    return chunk
