"""Whether it is still the same model: a few records are asked about again and again, and must be answered the same.

An endpoint that does not repeat itself even so (its batches round differently, or it samples) cannot be watched in this
way; that is found out at the start, and said.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import NoReturn

import numpy as np

from m4i_fast.engines.endpoints import Busy, Endpoint, Picture, Reply
from m4i_fast.errors import RunFailed
from m4i_fast.progress import say
from m4i_fast.query.account import Account
from m4i_fast.query.ledger import Ledger
from m4i_fast.query.pacing import Pace, backoff_s

__all__ = ["CANARIES", "Canary", "canary_queries"]

CANARIES = 3
"""Records that are asked about."""

ATTEMPTS = 4


def canary_queries(answers: int, every: int) -> int:
    """Queries that the looks of a run cost where nothing fails: two looks at its start, one at its end, some between.

    Args:
        answers: of the run.
        every: answers between two looks; 0: only at the start.
    """
    looks = 2 if not every or not answers else 3 + answers // every
    return CANARIES * looks


class Canary:
    """Looks at an endpoint that must decode greedily; its answers of the first look are kept in the ledger.

    Args:
        endpoint: open, greedy.
        pictures: up to ``CANARIES``, whichever: the same in each look.
        ledger: of the run.
        account: a look is paid as any query.
        pace: when the next request may go.
    """

    def __init__(
        self, endpoint: Endpoint, pictures: Sequence[Picture], ledger: Ledger, account: Account, pace: Pace
    ) -> None:
        self._endpoint = endpoint
        self._pictures = pictures
        self._ledger = ledger
        self._account = account
        self._pace = pace
        self._rng = np.random.default_rng()
        self._looks = 0

    async def look(self) -> None:
        """Ask, and compare with the first look; a look that gets no answer tells nothing, and the next is the first.

        Raises:
            RunFailed: the answers differ: the run is void, now and whenever it goes on.
        """
        known = self._ledger.recall("canary")
        if not self._pictures or known == []:
            return
        said = await self._answers()
        if said is None:
            return
        if known is None:
            again = await self._answers()
            if again is None:
                return
            if said != again:
                say("this endpoint does not repeat itself: that the model stays the same cannot be told by its answers")
                said = []
            self._ledger.remember("canary", said)
            return
        for old, new in zip(known, said, strict=False):
            if None not in {old, new} and old != new:
                self.void(f"asked the same as at its start, the model said {new!r}, where it had said {old!r}")

    async def answers_at_all(self) -> bool:
        """Whether the endpoint has an answer to anything now."""
        for row, picture in enumerate(self._pictures):
            reply = await self.answer(picture, f"m4i-canary-there-{row}", attempts=1)
            if reply is not None and reply.error is None:
                return True
        return False

    def void(self, reason: str) -> NoReturn:
        """Declare the run void.

        Raises:
            RunFailed: always.
        """
        self._ledger.remember("void", reason)
        raise RunFailed(
            f"the model has changed, so the run is void: {reason}",
            where=self._endpoint.identity.url,
            cure="An audit is about one model: pin its version, and begin anew with --again.",
        )

    async def _answers(self) -> list[str | None] | None:
        """A text a picture, None where it is refused, which tells nothing; None in all where an answer is missing."""
        self._looks += 1
        replies = await asyncio.gather(
            *(self.answer(picture, f"m4i-canary-{self._looks}-{row}") for row, picture in enumerate(self._pictures))
        )
        said = [reply.text if reply.error is None else None for reply in replies if reply is not None]
        return said if len(said) == len(replies) else None

    async def answer(self, picture: Picture, request_id: str, *, attempts: int = ATTEMPTS) -> Reply | None:
        """What the model says of one picture; None where there is no answer, or no money for one."""
        for attempt in range(1, attempts + 1):
            # Paid first, as all queries are: who waited for money in a slot would keep those out that are paid.
            if not await self._account.take([], 1):
                return None
            try:
                await self._pace.slot()
            except asyncio.CancelledError:
                self._account.give_back([], 1)
                raise
            mark = time.monotonic()
            try:
                (reply,) = await self._endpoint.ask([picture], request_id=request_id)
            except Busy as fault:
                self._pace.done(time.monotonic() - mark, fault)
                self._account.ended(None)
                if attempt < attempts:
                    await asyncio.sleep(backoff_s(attempt, fault.retry_after_s, self._rng))
                continue
            self._pace.done(time.monotonic() - mark, None)
            self._account.ended(reply)
            return reply
        return None
