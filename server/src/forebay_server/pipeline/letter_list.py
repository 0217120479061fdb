"""Dead letters in pages, the newest first."""

from __future__ import annotations

from collections.abc import Sequence

from forebay.pipeline.v1 import DeadLetter as ShownLetter
from forebay.pipeline.v1 import ListDeadLettersRequest, ListDeadLettersResponse
from forebay.policy.v1 import Scope
from forebay.records.v1 import DeadLetter
from forebay_server.acknowledgement import acknowledged
from forebay_server.errors import ScopeMissing
from forebay_server.governance.caller import Call
from forebay_server.pipeline.letter_content import LetterContent
from forebay_server.pipeline.letter_index import LetterIndex
from forebay_server.pipeline.letter_pages import LetterPages
from forebay_server.pipeline.letters import Letter, LetterFilter, first_fitting

DEFAULT_PAGE = 100
CONTENT_PAGE = 10
MAX_CONTENT_BYTES = 3 * 1024 * 1024  # of a page; clients of gRPC take 4 MiB unless told otherwise


class LetterList:
    """Shows letters; content only to callers who may inspect it, and never headers."""

    def __init__(self, index: LetterIndex, content: LetterContent, pages: LetterPages) -> None:
        self._index = index
        self._content = content
        self._pages = pages

    async def page(self, call: Call, request: ListDeadLettersRequest) -> ListDeadLettersResponse:
        """A page. Raises ScopeMissing, PageTokenInvalid, LogUnavailable.

        A page with content ends early where more would be too large for one response.
        """
        # A record's headers hold the token that proves its identity: whoever had it could use it.
        if request.include_content and Scope.SCOPE_INSPECT not in call.caller.scopes:
            raise ScopeMissing(Scope.SCOPE_INSPECT)
        behind = self._pages.place(request.filter, request.page_token)
        size = _page_size(request)
        async with acknowledged(call):
            await self._index.catch_up()
            fitting = LetterFilter(request.filter).fits
            # One more than asked for tells whether there is a next page.
            found = await first_fitting(size + 1, self._index.newest_first(behind), fitting)
            letters = found[:size]
            if request.include_content:
                letters = letters[: _fitting_one_response(letters)]
                shown = await self._with_content(letters)
            else:
                shown = [letter.shown() for letter in letters]
        page = ListDeadLettersResponse(dead_letters=shown)
        if len(found) > len(letters):
            page.next_page_token = self._pages.behind(request.filter, letters[-1].place)
        return page

    async def _with_content(self, letters: Sequence[Letter]) -> list[ShownLetter]:
        shown = {letter.key: letter.shown() for letter in letters}
        async for _, found in self._content.read(letters):
            for letter, record in found:
                shown[letter.key].content.CopyFrom(_content(record))
        return list(shown.values())


def _page_size(request: ListDeadLettersRequest) -> int:
    if request.include_content:
        return min(request.page_size or CONTENT_PAGE, CONTENT_PAGE)
    return request.page_size or DEFAULT_PAGE


def _fitting_one_response(letters: Sequence[Letter]) -> int:
    """How many of the letters fit one response with their content; one always does."""
    total = 0
    for count, letter in enumerate(letters):
        total += letter.size_bytes
        if count and total > MAX_CONTENT_BYTES:
            return count
    return len(letters)


def _content(record: DeadLetter) -> ShownLetter.Content:
    return ShownLetter.Content(
        key=record.key if record.HasField("key") else None,
        value=record.value if record.HasField("value") else None,
    )
