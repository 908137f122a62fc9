"""Asking a deployed captioner: many questions at once, within a budget, until each has one answer.

One event loop asks; threads make pictures ready, another commits answers. What is sent is noted before it is sent, so
that what a kill may have cost is known; what comes back is committed some milliseconds later. Whatever ends the run
lets what is under way be answered and kept: it has been paid.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from m4i_fast.data.bytes import ImageReader
from m4i_fast.engines.endpoints import Busy, Endpoint, Reply, Witness
from m4i_fast.errors import BudgetSpent, RunFailed
from m4i_fast.query.account import Account
from m4i_fast.query.cache import Cache
from m4i_fast.query.canary import Canary
from m4i_fast.query.collector import rare_collections
from m4i_fast.query.hits import Hits
from m4i_fast.query.ledger import Ledger
from m4i_fast.query.local import Clock
from m4i_fast.query.outbox import Outbox
from m4i_fast.query.pacing import Pace, backoff_s
from m4i_fast.query.pictures import may_pass
from m4i_fast.query.plan import Plan
from m4i_fast.query.reading import Reading, Row, answer_of
from m4i_fast.query.writing import writing

__all__ = ["Manners", "Tally", "ask_endpoint"]

AHEAD = 4
"""For so many requests that may be out, one more stands ready, paid and noted, for the moment when one ends: noting
takes milliseconds, in which the endpoint would have nothing to do."""


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
    """What a round of asking came to: requests sent, attempts that failed, answers from the cache, seconds held back.

    Its clock: ``read_s`` is making pictures ready, ``infer_s`` the requests' own time, all that were out at once added
    up, ``wait_s`` what one of those that send waited for pictures.
    """

    clock: Clock = field(default_factory=Clock)
    requests: int = 0
    faults: int = 0
    cached: int = 0
    held_s: float = 0.0


async def ask_endpoint(
    endpoint: Endpoint,
    plan: Plan,
    ledger: Ledger,
    settings: Mapping[str, Any],
    *,
    manners: Manners,
    account: Account,
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
        settings: how it is asked, as JSON values; ``generation`` among them.
        manners: how to ask.
        account: what may be spent; knows what has been.
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
    tally = Tally()
    try:
        with ExitStack() as stack:
            stack.enter_context(rare_collections())
            writer = stack.enter_context(writing(ledger.path, plan))
            pool = stack.enter_context(ThreadPoolExecutor(threads, thread_name_prefix="m4i-picture"))
            hits = Hits(cache, refresh=refresh, endpoint=endpoint, settings=settings, canary=canary)
            reader = stack.enter_context(ImageReader())
            reading = Reading(plan, ledger.path, endpoint, hits, reader, pool, threads)
            outbox = Outbox(writer, cache)
            asker = _Asker(
                endpoint, plan, ledger, manners, account, hits, canary, pace, advance, reading, outbox, tally
            )
            try:
                await asker.work()
            finally:
                reader.stop()
                tally.clock.read_s, tally.held_s = reading.read_s, pace.facts()["waited_s"]
        tally.clock.write_s, tally.clock.wait_write_s = writer.write_s, writer.wait_s
    except _NoMoneyError:
        pass  # said below, when all that was under way is committed and counted
    else:
        return tally
    missing = plan.questions - plan.answered(ledger)
    each = f", and one more may cost {account.next_cost:.4g}" if account.cost else ""
    raise BudgetSpent(
        f"the budget has no room for one more query ({account} so far{each}), "
        f"and {missing} of {plan.questions} answers are missing",
        cure="Give more with --max-queries or --max-cost, and run the same command again: what was paid is kept.",
    )


class _NoMoneyError(Exception):
    """The budget does not suffice for one more request."""


class _Asker:
    def __init__(
        self,
        endpoint: Endpoint,
        plan: Plan,
        ledger: Ledger,
        manners: Manners,
        account: Account,
        hits: Hits,
        canary: Canary,
        pace: Pace,
        advance: Callable[[int, str], object],
        reading: Reading,
        outbox: Outbox,
        tally: Tally,
    ) -> None:
        self._endpoint = endpoint
        self._ledger = ledger
        self._manners = manners
        self._account = account
        self._hits = hits
        self._canary = canary
        self._pace = pace
        self._advance = advance
        self._reading = reading
        self._outbox = outbox
        self._tally = tally
        self._name = f"m4i-{plan.identity.records[:8]}"
        self._witness = Witness(**(ledger.recall("witness") or {"version": endpoint.identity.version}))
        self._known_witness = self._facts_of_witness()
        self._rng = np.random.default_rng()  # jitter only: it must differ from run to run
        self._ready: asyncio.Queue[list[Row] | None] = asyncio.Queue(2 * manners.concurrency)
        ahead = -(-manners.concurrency // AHEAD)
        self._most = manners.concurrency + ahead
        self._ahead = asyncio.Semaphore(ahead)
        self._senders: list[asyncio.Task[None]] = []
        self._paid: set[asyncio.Task[None] | None] = set()
        self._asking: set[asyncio.Task[None] | None] = set()
        self._giving_up = asyncio.Lock()
        self._ended_by: BaseException | None = None
        self._last_good = time.monotonic()
        self._begun = time.monotonic()
        self._done = self._shown = 0
        self._alone = 0  # as the endpoint counts them
        self._next_canary = manners.canary_every

    async def work(self) -> None:
        """All of it; whatever ends it early, the answers that are there are committed."""
        delivering = self._begin(self._outbox.deliver(self._show))
        reader = self._begin(self._make_ready())
        self._senders = [self._begin(self._send_all()) for _ in range(self._most)]
        try:
            await asyncio.wait(self._senders)
            if self._ended_by is None and self._manners.canary_every and self._tally.requests:
                await self._canary.look()
        finally:
            for task in (reader, *self._senders):
                task.cancel()
            await asyncio.gather(reader, *self._senders, return_exceptions=True)
            try:
                await self._outbox.close(delivering)
            finally:
                self._account.close()
                self._show()
        if self._ended_by is not None:
            raise self._ended_by

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(self._end_by)
        return task

    def _end_by(self, task: asyncio.Task[None]) -> None:
        fault = None if task.cancelled() else task.exception()
        if fault is not None and self._ended_by is None:
            self._ended_by = fault
            # What is out is paid. What is paid and not out goes out, too, if there is just no money for more.
            going_on = self._paid if isinstance(fault, _NoMoneyError) else self._asking
            for sender in self._senders:
                if sender not in going_on:
                    sender.cancel()

    async def _make_ready(self) -> None:
        async with self._reading.chunks() as next_rows:
            while (rows := await next_rows()) is not None:
                await self._hand_on(rows)
        for _ in range(self._most):
            await self._ready.put(None)

    async def _hand_on(self, rows: Sequence[Row]) -> None:
        await self._outbox.room()
        trusted = await self._hits.trusted(rows)
        send: list[Row] = []
        for row in rows:
            if may_pass(row.made.error):
                continue  # no row of it: its store may give the picture when the run goes on
            if row.made.picture is None:
                self._settle(row, Reply("", error=row.made.error))
            elif row.known is not None and trusted:
                self._tally.cached += 1
                self._settle(row, row.known, request_id="cache")
            else:
                send.append(row)
        for start in range(0, len(send), self._endpoint.rows):
            await self._ready.put(send[start : start + self._endpoint.rows])

    async def _send_all(self) -> None:
        mark = time.perf_counter()
        while (rows := await self._ready.get()) is not None:
            self._tally.clock.wait_s += (time.perf_counter() - mark) / self._most
            await self._send(rows)
            if self._ended_by is not None:
                return
            if self._manners.canary_every and self._done >= self._next_canary:
                self._next_canary = self._done + self._manners.canary_every
                await self._canary.look()
            await self._outbox.room()
            mark = time.perf_counter()

    async def _send(self, rows: list[Row], tried: int = 0) -> None:
        """Ask until there is an answer; ``tried``: attempts at these rows among others before."""
        last = tried + self._manners.attempts
        for attempt in range(tried + 1, last + 1):
            if len(rows) > 1 and not self._account.room(2 * len(rows)):
                for row in rows:
                    await self._send([row], attempt - 1)
                return
            request_id = f"{self._name}-{rows[0].question}-{rows[0].sent + attempt}"
            task = asyncio.current_task()
            try:
                await self._get_ready(rows)
                begun = time.monotonic()
                self._asking.add(task)
                replies, latency_s = await self._ask(rows, request_id)
            finally:
                self._paid.discard(task)
                self._asking.discard(task)
            if not isinstance(replies, Busy):
                self._last_good = time.monotonic()
                for row, reply in zip(rows, replies, strict=True):
                    self._watch(reply)
                    self._settle(row, reply, request_id=request_id, latency_s=latency_s)
                return
            if self._ended_by is not None:
                return
            if len(rows) > 1 and replies.status == 500 and attempt >= min(2, last):
                # Of one picture that it cannot read, many a server fails the whole batch; each by itself gets all
                # attempts, as such a server may close the connection, too.
                for row in rows:
                    await self._send([row], attempt)
                return
            if attempt == last:
                await self._give_up(rows, replies, begun, attempt)
                return
            if time.monotonic() - self._last_good > self._manners.silence_s:
                raise self._down(replies)
            await asyncio.sleep(backoff_s(attempt - tried, replies.retry_after_s, self._rng))

    async def _get_ready(self, rows: Sequence[Row]) -> None:
        """Pay and note one attempt, then wait until it may go out."""
        questions, queries = [row.question for row in rows], len(rows) + _spare(rows)
        async with self._ahead:
            # Before it is noted: meanwhile another may be told that there is no money, and this one has it already.
            self._paid.add(asyncio.current_task())
            if not await self._account.take(questions, queries):
                raise _NoMoneyError
            try:
                await self._pace.slot()
            except asyncio.CancelledError:
                self._account.give_back(questions, queries)
                raise

    async def _ask(self, rows: Sequence[Row], request_id: str) -> tuple[list[Reply] | Busy, float]:
        """One attempt, paid and noted before: what came of it, and after how many seconds."""
        pictures = [row.made.picture for row in rows if row.made.picture is not None]
        self._tally.requests += 1
        mark = time.monotonic()
        said: list[Reply] | Busy
        try:
            said = await self._endpoint.ask(pictures, request_id=request_id)
        except Busy as fault:
            said = fault
            self._tally.faults += 1
        latency_s = time.monotonic() - mark
        self._tally.clock.infer_s += latency_s
        self._pace.done(latency_s, said if isinstance(said, Busy) else None)
        alone, self._alone = self._endpoint.alone - self._alone, self._endpoint.alone
        self._account.unsent(_spare(rows) - alone)
        for reply in [*([None] * alone), *([None] * len(rows) if isinstance(said, Busy) else said)]:
            self._account.ended(reply)
        return said, latency_s

    async def _give_up(self, rows: Sequence[Row], fault: Busy, begun: float, attempts: int) -> None:
        # Others got answers during the last attempt, or one gets one now: it is these pictures. Else it is the
        # endpoint, and no row is to blame.
        async with self._giving_up:
            if self._last_good < begun and await self._canary.answers_at_all():
                self._last_good = time.monotonic()
        if self._last_good < begun:
            raise self._down(fault)
        for row in rows:
            what = f"the endpoint gave no answer in {attempts} attempts, the last: {fault.what}"
            self._settle(row, Reply("", error=what))

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

    def _facts_of_witness(self) -> dict[str, str | None]:
        return {name: getattr(self._witness, name) for name in ("model", "version", "fingerprint")}

    def _settle(self, row: Row, reply: Reply, *, request_id: str | None = None, latency_s: float | None = None) -> None:
        named = (reply.model, reply.version, reply.fingerprint)
        model = None if named == (None, None, None) else self._ledger.model(*named)
        fresh = reply.error is None and request_id != "cache"
        answer = answer_of(row, reply, model=model, request_id=request_id, latency_s=latency_s)
        self._outbox.add(answer, reply, row.key if fresh else None)
        self._done += 1

    def _show(self) -> None:
        if self._done > self._shown:
            rate = self._done / max(time.monotonic() - self._begun, 1e-9)
            paid = f", {self._account}" if self._account.limited else ""
            self._advance(self._done - self._shown, f"{rate:.1f}/s, {self._pace.limit} at once{paid}")
            self._shown = self._done


def _spare(rows: Sequence[Row]) -> int:
    """Queries beyond one a row: a server may refuse several at once, and is then sent each by itself."""
    return len(rows) if len(rows) > 1 else 0
