"""Answers of an endpoint on their way to the disk: handed over some milliseconds after they came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from m4i_fast.engines.endpoints import Reply
from m4i_fast.query.cache import Cache
from m4i_fast.query.ledger import Answer
from m4i_fast.query.writing import Writer

__all__ = ["FLUSH_S", "Outbox"]

FLUSH_S = 0.02
"""How long an answer waits before it is committed."""

MOST = 4096
"""Answers that may wait for the disk; then nobody reads pictures or asks until there is room."""

Held = tuple[list[Answer], dict[bytes, Reply]]


class Outbox:
    """Takes answers within one event loop, and hands them over in a thread.

    Args:
        writer: of the run.
        cache: gets a copy of what may be of use to other runs; None: there is none.
    """

    def __init__(self, writer: Writer, cache: Cache | None) -> None:
        self._writer = writer
        self._cache = cache
        self._waiting: Held = ([], {})
        self._in_hand: Held = ([], {})
        self._closing = False
        self._space = asyncio.Event()
        self._space.set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="m4i-commit")

    def add(self, answer: Answer, reply: Reply | None = None, key: bytes | None = None) -> None:
        """Take an answer; ``reply`` under ``key``: for the cache."""
        answers, replies = self._waiting
        answers.append(answer)
        if key is not None and reply is not None:
            replies[key] = reply
        if len(answers) > MOST:
            self._space.clear()

    async def room(self) -> None:
        """Wait while too many answers wait for the disk."""
        await self._space.wait()

    async def deliver(self, tick: Callable[[], object]) -> None:
        """Hand over what comes, until ``close``; ``tick`` is called each time.

        Raises:
            RunFailed: the disk, or the cache.
        """
        loop = asyncio.get_running_loop()
        while not self._closing:
            await asyncio.sleep(FLUSH_S)
            tick()
            if self._waiting[0]:
                self._in_hand, self._waiting = self._waiting, ([], {})
                self._space.set()
                await loop.run_in_executor(self._thread, self._hand_over, self._in_hand)
                self._in_hand = ([], {})

    async def close(self, delivering: asyncio.Task[None]) -> None:
        """Hand over all that is left.

        Raises:
            RunFailed: the disk, or the cache.
        """
        self._closing = True
        try:
            await asyncio.wait([delivering])
        finally:
            self._thread.shutdown()
            # What was interrupted is handed over again: a question that has its answer keeps it.
            left = (self._in_hand, self._waiting)
            self._in_hand = self._waiting = ([], {})
            for answers, _ in left:
                self._writer.put(answers)
            for _, replies in left:
                self._keep(replies)

    def _hand_over(self, held: Held) -> None:
        answers, replies = held
        self._writer.put(answers)
        self._keep(replies)

    def _keep(self, replies: dict[bytes, Reply]) -> None:
        if self._cache is not None and replies:
            self._cache.keep(replies)
