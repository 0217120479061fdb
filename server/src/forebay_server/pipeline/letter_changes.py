"""Giving dead letters back to their stages, and ending them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from forebay.pipeline.v1 import (
    PurgeDeadLettersRequest,
    PurgeDeadLettersResponse,
    RedriveDeadLettersRequest,
    RedriveDeadLettersResponse,
)
from forebay.records.v1 import DeadLetter
from forebay_kafka.errors import RecordTooLarge
from forebay_kafka.publisher import Publisher
from forebay_server.acknowledgement import acknowledged
from forebay_server.clock import Clock, system_clock
from forebay_server.governance.caller import Call
from forebay_server.pipeline.letter_content import Found, LetterContent
from forebay_server.pipeline.letter_index import MAX_LETTERS, LetterIndex
from forebay_server.pipeline.letters import Letter, LetterFilter, first_fitting
from forebay_server.pipeline.redrive import Spread, can_go_back, identity_token, trace_parent

MAX_CHANGED = 10_000  # of one call, so that it ends; the next one goes on behind it
ENDED_AT_ONCE = 500
SPARE_SECONDS = 1.0  # a call that has no more left begins nothing further


class LetterChanges:
    """Changes letters, the oldest first; a call changes MAX_CHANGED of them at most.

    It changes fewer when its deadline comes: its count says how many, and another call goes on.
    A count that is asked for alone is bounded in the same way.
    """

    def __init__(
        self,
        index: LetterIndex,
        content: LetterContent,
        publisher: Publisher,
        clock: Clock = system_clock,
    ) -> None:
        self._index = index
        self._content = content
        self._publisher = publisher
        self._clock = clock

    async def redrive(
        self, call: Call, request: RedriveDeadLettersRequest
    ) -> RedriveDeadLettersResponse:
        """Give records back; each letter ends once its retry is acknowledged.

        Raises LogUnavailable; what was given back by then stays so.
        """
        async with acknowledged(call):
            # What cannot go back stays a letter: it must not stand in the way of the others.
            chosen = await self._chosen(request, MAX_LETTERS)
            able = [letter for letter in chosen if can_go_back(letter)]
            response = RedriveDeadLettersResponse(refused_count=len(chosen) - len(able))
            able = able[:MAX_CHANGED]
            if request.validate_only:
                response.redriven_count = len(able)
                return response
            spread = Spread(able, request.rate, self._clock())
            tried = 0
            async for batch, found in self._content.read(able):
                tried += len(batch)
                response.redriven_count += await self._give_back(spread, found)
                if _is_over(call):
                    break
        response.refused_count += tried - response.redriven_count
        return response

    async def purge(self, call: Call, request: PurgeDeadLettersRequest) -> PurgeDeadLettersResponse:
        """End letters. Raises LogUnavailable; what was ended by then stays so."""
        response = PurgeDeadLettersResponse()
        async with acknowledged(call):
            chosen = await self._chosen(request, MAX_CHANGED)
            if request.validate_only:
                response.purged_count = len(chosen)
                return response
            for start in range(0, len(chosen), ENDED_AT_ONCE):
                batch = chosen[start : start + ENDED_AT_ONCE]
                await self._end(batch)
                response.purged_count += len(batch)
                if _is_over(call):
                    break
        return response

    async def _chosen(
        self, request: RedriveDeadLettersRequest | PurgeDeadLettersRequest, most: int
    ) -> list[Letter]:
        await self._index.catch_up()
        letters: Iterable[Letter] = self._index.oldest_first()
        if request.names:
            named = (self._index.get(name) for name in dict.fromkeys(request.names))
            letters = [letter for letter in named if letter is not None]
        return await first_fitting(most, letters, LetterFilter(request.filter).fits)

    async def _give_back(self, spread: Spread, found: Sequence[Found]) -> int:
        """Write the retries of letters, then end those; how many were taken."""
        written = await asyncio.gather(
            *(
                self._publisher.publish(
                    spread.retry(letter, record),
                    key=letter.key,
                    identity_token=identity_token(record),
                    trace_parent=trace_parent(record),
                )
                for letter, record in found
            ),
            return_exceptions=True,
        )
        taken: list[Letter] = []
        failure: BaseException | None = None
        for (letter, _), result in zip(found, written, strict=True):
            if not isinstance(result, BaseException):
                taken.append(letter)
            elif not isinstance(result, RecordTooLarge):
                failure = result
        await self._end(taken)
        if failure is not None:
            raise failure
        return len(taken)

    async def _end(self, letters: Sequence[Letter]) -> None:
        await asyncio.gather(
            *(
                self._publisher.tombstone(DeadLetter, key=letter.key, partition_key=letter.key)
                for letter in letters
            )
        )


def _is_over(call: Call) -> bool:
    if call.deadline is None:
        return False
    return call.deadline - asyncio.get_running_loop().time() < SPARE_SECONDS
