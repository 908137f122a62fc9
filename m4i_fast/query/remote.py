"""Asking a deployed captioner: many questions at once, within a budget, until each has one answer.

One event loop asks; a thread makes pictures ready, another commits answers. What is sent is noted before it is sent, so
that what a kill may have cost is known; what comes back is committed some milliseconds later.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from m4i_fast.data.bytes import ImageReader
from m4i_fast.engines.endpoints import Busy, Endpoint, Generation, Picture, Reply, Witness
from m4i_fast.errors import BudgetSpent, RunFailed
from m4i_fast.progress import say
from m4i_fast.query.cache import Cache, question_key
from m4i_fast.query.canary import CANARIES, Canary
from m4i_fast.query.ledger import Answer, Ledger
from m4i_fast.query.local import Clock
from m4i_fast.query.pacing import Budget, Pace, backoff_s
from m4i_fast.query.pictures import Batch, may_pass
from m4i_fast.query.plan import Plan
from m4i_fast.query.sending import Sendable, sendable
from m4i_fast.query.writing import Writer, writing

__all__ = ["Manners", "Tally", "ask_endpoint"]

CHUNK = 64
"""Questions made ready and noted at a time."""

FLUSH_S = 0.02
"""How long an answer waits before it is committed."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How an endpoint is asked; the defaults are gentle.

    Attributes:
        qps: requests a second, or None for no limit.
        concurrency: requests under way at once, at most; fewer where the endpoint is slow or says so.
        attempts: at one question before its row gets an error.
        silence_s: seconds without any good answer after which the run stops: the endpoint is down, not the row.
        canary_every: answers between two looks at whether the model is still the same; 0: only at the start.
    """

    qps: float | None = 5.0
    concurrency: int = 8
    attempts: int = 8
    silence_s: float = 600.0
    canary_every: int = 1000


@dataclass(slots=True)
class Tally:
    """What asking came to: seconds, requests, failed attempts, answers from the cache, pictures that no store gave."""

    clock: Clock = field(default_factory=Clock)
    requests: int = 0
    faults: int = 0
    cached: int = 0
    not_fetched: int = 0


async def ask_endpoint(
    endpoint: Endpoint,
    plan: Plan,
    ledger: Ledger,
    generation: Generation,
    *,
    manners: Manners,
    budget: Budget,
    cache: Cache | None,
    refresh: bool,
    canary: Canary,
    pace: Pace,
    advance: Callable[[int, str], object],
    threads: int,
) -> Tally:
    """Answer every question that has no answer yet.

    Args:
        endpoint: open.
        plan: of the query.
        ledger: of the run, open in this thread.
        generation: what the endpoint was opened with.
        manners: how to ask.
        budget: what may be spent; knows what has been.
        cache: answers of earlier runs; None: none is used or kept.
        refresh: ask also what the cache knows.
        canary: looks at whether the model is the same.
        pace: when the next request may go.
        advance: told how many questions are done, and a note.
        threads: that make pictures ready.

    Raises:
        BudgetSpent: it does not suffice.
        EndpointError: the endpoint will not answer.
        RunFailed: it is down, or another model answers now.
    """
    with ExitStack() as stack:
        writer = stack.enter_context(writing(ledger.path, plan))
        reader = stack.enter_context(ImageReader())
        pool = stack.enter_context(ThreadPoolExecutor(threads, thread_name_prefix="m4i-picture"))
        asker = _Asker(
            endpoint,
            plan,
            ledger,
            generation,
            manners,
            budget,
            cache,
            refresh,
            canary,
            pace,
            advance,
            writer,
            reader,
            threads,
        )
        await asker.work(pool)
        asker.tally.clock.write_s, asker.tally.clock.wait_write_s = writer.write_s, writer.wait_s
    return asker.tally


class _Asker:
    def __init__(
        self,
        endpoint: Endpoint,
        plan: Plan,
        ledger: Ledger,
        generation: Generation,
        manners: Manners,
        budget: Budget,
        cache: Cache | None,
        refresh: bool,
        canary: Canary,
        pace: Pace,
        advance: Callable[[int, str], object],
        writer: Writer,
        reader: ImageReader,
        threads: int,
    ) -> None:
        self._endpoint = endpoint
        self._plan = plan
        self._ledger = ledger
        self._generation = generation.to_json()
        self._manners = manners
        self._budget = budget
        self._cache = cache
        self._refresh = refresh
        self._canary = canary
        self._advance = advance
        self._writer = writer
        self._reader = reader
        self._threads = threads
        self._witness = Witness(**(ledger.recall("witness") or {"version": endpoint.identity.version}))
        self._known_witness = self._facts_of_witness()
        self._pace = pace
        self._rng = np.random.default_rng()  # jitter only: it must differ from run to run
        self._ready: asyncio.Queue[list[Sendable] | None] = asyncio.Queue(2 * manners.concurrency)
        self._outbox: list[Answer] = []
        self._to_cache: dict[bytes, Reply] = {}
        self._keys: dict[int, bytes | None] = {}
        self._committer = ThreadPoolExecutor(1, thread_name_prefix="m4i-commit")
        self._ended_by: Exception | None = None
        self._trusted: bool | None = None
        self._last_good = time.monotonic()
        self._begun = time.monotonic()
        self._done = self._shown = 0
        self._next_canary = manners.canary_every
        self.tally = Tally()

    async def work(self, pool: ThreadPoolExecutor) -> None:
        """All of it; whatever ends it early, the answers that are there are committed."""
        flusher = asyncio.create_task(self._flush_for_ever())
        reader = asyncio.create_task(self._make_ready(pool))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._manners.concurrency):
                    group.create_task(self._send_all())
        except BaseExceptionGroup as faults:
            raise _first(faults) from None
        finally:
            for task in (reader, flusher):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task
            self._show()
            self._committer.shutdown()  # what it holds is committed before the rest
            self._hand_over(*self._taken_out())
        if self._ended_by is not None:
            raise self._ended_by

    async def _make_ready(self, pool: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        try:
            # One thread of its own goes through the records; the pool's threads read pictures for it.
            with ThreadPoolExecutor(1, thread_name_prefix="m4i-reader") as reader:
                # The ledger belongs to this thread, the records to that one; one pass holds a part's records.
                asked: deque[list[int]] = deque()
                batches = self._plan.batches(iter(asked.popleft, None))
                for questions in self._plan.missing(self._ledger, CHUNK):
                    asked.append(questions)
                    mark = time.perf_counter()
                    ready = await loop.run_in_executor(reader, self._read, batches, pool)
                    self.tally.clock.read_s += time.perf_counter() - mark
                    await self._hand_on(ready)
        except Exception as fault:
            self._ended_by = fault
        for _ in range(self._manners.concurrency):
            await self._ready.put(None)

    def _read(
        self, batches: Iterator[Batch], pool: ThreadPoolExecutor
    ) -> list[tuple[Sendable, bytes | None, Reply | None]]:
        made = sendable(next(batches), self._endpoint, self._reader, pool, self._threads)
        keys = [
            None
            if self._cache is None or each.sha256 is None
            else question_key(self._endpoint.identity.key, self._generation, each.sha256, each.wanted.ask)
            for each in made
        ]
        known: Mapping[bytes, Reply] = {}
        if self._cache is not None and not self._refresh:
            known = self._cache.find([key for key in keys if key is not None])
        return [(each, key, known.get(key) if key else None) for each, key in zip(made, keys, strict=True)]

    async def _hand_on(self, made: Sequence[tuple[Sendable, bytes | None, Reply | None]]) -> None:
        send: list[Sendable] = []
        if self._trusted is None:
            hits = [(each.picture, known) for each, _, known in made if each.picture is not None and known is not None]
            if hits:
                self._trusted = await self._trust(hits[:CANARIES])
        for each, key, known in made:
            if may_pass(each.error):
                self.tally.not_fetched += 1
            elif each.picture is None:
                self._settle(each, Reply("", error=each.error), attempts=0)
            elif known is not None and self._trusted:
                self.tally.cached += 1
                self._settle(each, known, attempts=0, request_id="cache")
            else:
                self._keys[each.wanted.question] = key
                send.append(each)
        if send:
            self._ledger.send([each.wanted.question for each in send])
        for start in range(0, len(send), self._endpoint.rows):
            await self._ready.put(send[start : start + self._endpoint.rows])

    async def _trust(self, hits: Sequence[tuple[Picture, Reply]]) -> bool:
        """Whether the cache speaks of the model that answers now: some of what it knows is asked anew.

        Where answers are drawn at random they cannot be compared; then the endpoint must name a version.
        """
        identity = self._endpoint.identity
        if self._generation["temperature"] > 0:
            trusted = identity.version is not None or identity.fingerprint is not None
            if not trusted:
                say("the endpoint names no version of its model: answers of earlier runs are not used")
            return trusted
        for row, (picture, known) in enumerate(hits):
            said = await self._canary.answer(picture, f"m4i-cache-{row}")
            if said is not None and said != known.text:
                say("the model answers otherwise than in earlier runs: their answers are not used")
                return False
        return True

    async def _send_all(self) -> None:
        # Whoever ends the run lets the others finish what they have sent: it has been paid.
        while self._ended_by is None and (rows := await self._ready.get()) is not None:
            mark = time.perf_counter()
            await self._send(rows)
            self.tally.clock.infer_s += time.perf_counter() - mark
            if self._manners.canary_every and self._done >= self._next_canary:
                self._next_canary = self._done + self._manners.canary_every
                await self._canary.look()

    async def _send(self, rows: list[Sendable]) -> None:
        pictures = [each.picture for each in rows if each.picture is not None]
        first = rows[0].wanted.question
        begun = time.monotonic()
        for attempt in range(1, self._manners.attempts + 1):
            await self._pace.slot()
            if self._ended_by is not None:
                self._pace.done(0.0, None)
                return
            if not self._budget.take(len(rows)):
                self._pace.done(0.0, None)
                self._ended_by = BudgetSpent(
                    f"the budget is spent ({self._spent()}), and "
                    f"{self._plan.questions - self._plan.answered(self._ledger)} answers are missing",
                    cure="Give more with --max-queries or --max-cost, and run the same command again: "
                    "what was paid is kept.",
                )
                return
            request_id = f"m4i-{self._plan.identity.records[:8]}-{first}-{attempt}"
            mark = time.monotonic()
            self.tally.requests += 1
            try:
                replies = await self._endpoint.ask(pictures, request_id=request_id)
            except Busy as fault:
                self.tally.faults += 1
                self._pace.done(time.monotonic() - mark, fault)
                for _ in rows:
                    self._budget.spent(None)
                if attempt == self._manners.attempts:
                    self._give_up(rows, fault, begun, attempt)
                    return
                self._mind_silence(fault)
                await asyncio.sleep(backoff_s(attempt, fault.retry_after_s, self._rng))
                continue
            now = time.monotonic()
            self._pace.done(now - mark, None)
            self._last_good = now
            for each, reply in zip(rows, replies, strict=True):
                self._budget.spent(reply)
                self._watch(reply)
                self._settle(each, reply, attempts=attempt - 1, request_id=request_id, latency_s=now - mark)
            return

    def _give_up(self, rows: Sequence[Sendable], fault: Busy, begun: float, attempts: int) -> None:
        # Others got answers meanwhile: it is these pictures. Nobody did: it is the endpoint, and no row is to blame.
        if self._last_good < begun:
            raise self._down(fault)
        for each in rows:
            what = f"the endpoint gave no answer in {attempts} attempts, the last: {fault.what}"
            self._settle(each, Reply("", error=what), attempts=attempts - 1)

    def _mind_silence(self, fault: Busy) -> None:
        if time.monotonic() - self._last_good > self._manners.silence_s:
            raise self._down(fault)

    def _down(self, fault: Busy) -> RunFailed:
        return RunFailed(
            f"the endpoint has given no answer for {time.monotonic() - self._last_good:.0f} s, the last: {fault.what}",
            where=self._endpoint.identity.url,
            cure="What was answered is kept; run the same command again when it is up.",
        )

    def _watch(self, reply: Reply) -> None:
        changed = self._witness.change(reply)
        if changed is not None:
            self._canary.void(f"{changed}, in the middle of the run")
        facts = self._facts_of_witness()
        if facts != self._known_witness:
            self._known_witness = facts
            self._ledger.remember("witness", facts)

    def _facts_of_witness(self) -> dict[str, Any]:
        return {name: getattr(self._witness, name) for name in ("model", "version", "fingerprint")}

    def _settle(
        self,
        each: Sendable,
        reply: Reply,
        *,
        attempts: int,
        request_id: str | None = None,
        latency_s: float | None = None,
    ) -> None:
        named = (reply.model, reply.version, reply.fingerprint)
        rates = None if reply.log_probs is None else np.array(reply.log_probs, np.float32).tobytes()
        tokens = np.array(reply.tokens, np.int32).tobytes()
        if rates is not None and len(rates) != len(tokens):  # rates of tokens that have no number
            rates = None
        self._outbox.append(
            Answer(
                each.wanted.question,
                attempts,
                request_id,
                None if named == (None, None, None) else self._ledger.model(*named),
                each.sha256,
                reply.finish_reason,
                reply.prompt_tokens,
                reply.completion_tokens,
                None if latency_s is None else 1000 * latency_s,
                reply.error,
                reply.text,
                tokens,
                rates,
            )
        )
        key = self._keys.pop(each.wanted.question, None)
        if key is not None and reply.error is None:
            self._to_cache[key] = reply
        self._done += 1

    def _note(self) -> str:
        rate = self._done / max(time.monotonic() - self._begun, 1e-9)
        paid = f", {self._spent()}" if self._budget.max_queries is not None or self._budget.cost else ""
        return f"{rate:.1f}/s, {self._pace.limit} at once{paid}"

    def _spent(self) -> str:
        cost = f", cost {self._budget.cost:.4g}" if self._budget.cost else ""
        return f"{self._budget.queries} queries{cost}"

    async def _flush_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(FLUSH_S)
            self._show()
            if self._outbox:
                await loop.run_in_executor(self._committer, self._hand_over, *self._taken_out())

    def _show(self) -> None:
        if self._done > self._shown:
            self._advance(self._done - self._shown, self._note())
            self._shown = self._done

    def _taken_out(self) -> tuple[list[Answer], dict[bytes, Reply]]:
        taken = self._outbox, self._to_cache
        self._outbox, self._to_cache = [], {}
        return taken

    def _hand_over(self, answers: list[Answer], replies: dict[bytes, Reply]) -> None:
        self._writer.put(answers)
        if self._cache is not None and replies:
            self._cache.keep(replies)


def _first(faults: BaseExceptionGroup[BaseException]) -> BaseException:
    for fault in faults.exceptions:
        if isinstance(fault, BaseExceptionGroup):
            return _first(fault)
        return fault
    return faults
