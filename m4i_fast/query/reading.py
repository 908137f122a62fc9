"""What is left to ask an endpoint, made ready by threads ahead of the requests, and what becomes of an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np

from m4i_fast.data.bytes import ImageReader
from m4i_fast.engines.endpoints import Endpoint, Reply
from m4i_fast.query.hits import Hits
from m4i_fast.query.ledger import Answer, open_ledger
from m4i_fast.query.plan import Plan
from m4i_fast.query.sending import Sendable, sendable

__all__ = ["Reading", "Row", "answer_of"]

CHUNK = 64
"""Questions made ready at a time."""


class Row(NamedTuple):
    """A question made ready.

    ``sent``: attempts at it before this run went on; ``key``: of its answer in the cache; ``known``: what stands there.
    """

    made: Sendable
    sent: int
    key: bytes | None
    known: Reply | None

    @property
    def question(self) -> int:
        """Its number."""
        return self.made.wanted.question


class Reading:
    """Goes through a plan's questions that have no answer; ``read_s``: seconds spent on their pictures.

    Args:
        plan: of the query.
        ledger: its path; it is opened in the thread that reads.
        endpoint: says what it wants.
        hits: answers of earlier runs.
        reader: of what is no file of this machine.
        pool: its threads read pictures.
        threads: how many those are.
    """

    def __init__(
        self,
        plan: Plan,
        ledger: Path,
        endpoint: Endpoint,
        hits: Hits,
        reader: ImageReader,
        pool: Executor,
        threads: int,
    ) -> None:
        self._plan = plan
        self._ledger = ledger
        self._endpoint = endpoint
        self._hits = hits
        self._reader = reader
        self._pool = pool
        self._threads = threads
        self.read_s = 0.0

    @asynccontextmanager
    async def chunks(self) -> AsyncIterator[Callable[[], Awaitable[list[Row] | None]]]:
        """Gives what gives the next rows, and None at the end."""
        loop = asyncio.get_running_loop()
        made = self._made()
        reader = ThreadPoolExecutor(1, thread_name_prefix="m4i-reader")
        try:
            yield lambda: loop.run_in_executor(reader, next, made, None)
        finally:
            reader.submit(made.close)  # in its own thread, as the ledger wants it
            reader.shutdown()

    def _made(self) -> Generator[list[Row], None, None]:
        with open_ledger(self._ledger) as ledger:
            for batch in self._plan.batches(self._plan.missing(ledger, CHUNK)):
                mark = perf_counter()
                sent = ledger.attempts(batch[0].question, batch[-1].question + 1)
                made = sendable(batch, self._endpoint, self._reader, self._pool, self._threads)
                keys = [self._hits.key(each) for each in made]
                known = self._hits.find([key for key in keys if key is not None])
                self.read_s += perf_counter() - mark
                yield [
                    Row(each, sent.get(each.wanted.question, 0), key, known.get(key) if key else None)
                    for each, key in zip(made, keys, strict=True)
                ]


def answer_of(row: Row, reply: Reply, *, model: int | None, request_id: str | None, latency_s: float | None) -> Answer:
    """A reply as the ledger keeps it; its attempts are counted there already.

    Args:
        row: the question.
        reply: to it.
        model: number of the model that answered.
        request_id: under which it was sent.
        latency_s: from its sending to its answer.
    """
    tokens = np.array(reply.tokens, np.int32).tobytes()
    rates = None if reply.log_probs is None else np.array(reply.log_probs, np.float32).tobytes()
    if rates is not None and len(rates) != len(tokens):  # rates of tokens that have no number
        rates = None
    return Answer(
        row.question,
        0,
        request_id,
        model,
        row.made.sha256,
        reply.finish_reason,
        reply.prompt_tokens,
        reply.completion_tokens,
        None if latency_s is None else 1000 * latency_s,
        reply.error,
        reply.text,
        tokens,
        rates,
    )
