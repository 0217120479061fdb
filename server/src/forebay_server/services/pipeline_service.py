"""PipelineService: how the stages keep up, and what becomes of what they gave up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from forebay.pipeline.v1 import (
    GetPipelineStatusRequest,
    ListDeadLettersRequest,
    ListDeadLettersResponse,
    PipelineStatus,
    PurgeDeadLettersRequest,
    PurgeDeadLettersResponse,
    RedriveDeadLettersRequest,
    RedriveDeadLettersResponse,
    WatchPipelineRequest,
)
from forebay_server.governance.caller import Call
from forebay_server.pipeline.letter_changes import LetterChanges
from forebay_server.pipeline.letter_list import LetterList
from forebay_server.pipeline.watch import PipelineWatch


class PipelineService:
    """Implements forebay.pipeline.v1.PipelineService."""

    def __init__(self, watch: PipelineWatch, letters: LetterList, changes: LetterChanges) -> None:
        self._watch = watch
        self._letters = letters
        self._changes = changes

    async def get_pipeline_status(
        self, call: Call, _request: GetPipelineStatusRequest
    ) -> PipelineStatus:
        """Return the status of this moment."""
        return await self._watch.now(call)

    async def watch_pipeline(
        self, call: Call, request: WatchPipelineRequest
    ) -> AsyncIterator[PipelineStatus]:
        """Send the status again and again."""
        async with aclosing(self._watch.follow(call, request)) as statuses:
            async for status in statuses:
                yield status

    async def list_dead_letters(
        self, call: Call, request: ListDeadLettersRequest
    ) -> ListDeadLettersResponse:
        """Return a page of what was given up."""
        return await self._letters.page(call, request)

    async def redrive_dead_letters(
        self, call: Call, request: RedriveDeadLettersRequest
    ) -> RedriveDeadLettersResponse:
        """Give records back to their stages."""
        return await self._changes.redrive(call, request)

    async def purge_dead_letters(
        self, call: Call, request: PurgeDeadLettersRequest
    ) -> PurgeDeadLettersResponse:
        """End dead letters."""
        return await self._changes.purge(call, request)
