"""Asking a deployed captioner about every record of a run: opened, watched, paid for, and none of it twice."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from m4i_fast.data.bytes import ImageReader
from m4i_fast.engines.endpoints import (
    Endpoint,
    Generation,
    Picture,
    Protocol,
    Secret,
    TensorNames,
    open_endpoint,
    place_of,
)
from m4i_fast.errors import EngineError
from m4i_fast.progress import progress
from m4i_fast.query.account import Account, Allowance
from m4i_fast.query.asks import PLAIN, Asks
from m4i_fast.query.cache import open_cache
from m4i_fast.query.canary import CANARIES, Canary
from m4i_fast.query.ledger import Ledger
from m4i_fast.query.pacing import Pace
from m4i_fast.query.pictures import Wanted
from m4i_fast.query.plan import Plan
from m4i_fast.query.records import ListedRecords, Records
from m4i_fast.query.remote import Manners, Tally, ask_endpoint
from m4i_fast.query.runner import PART_ROWS, QueryReport, Spending, need_all, opened_plan, usable_cores
from m4i_fast.query.sending import sendable
from m4i_fast.query.stopping import finished
from m4i_fast.query.writing import end_whole_parts
from m4i_fast.runs import Run
from m4i_fast.types import Record

__all__ = ["Address", "Allowance", "need_drawn", "query_endpoint"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a deployed captioner is and how it is spoken to; see ``open_endpoint``."""

    url: str
    protocol: Protocol
    model: str | None = None
    key: Secret | None = None
    private: bool = False
    timeout_s: float = 120.0
    rows: int = 8
    image_size: int | None = None
    names: TensorNames = field(default_factory=TensorNames)


def query_endpoint(
    run: Run,
    records: Sequence[Record] | Records,
    address: Address,
    *,
    generation: Generation | None = None,
    asks: Asks | None = None,
    manners: Manners | None = None,
    allowance: Allowance | None = None,
    cache: Path | None = None,
    refresh: bool = False,
    threads: int = 0,
    part_rows: int = PART_ROWS,
    again: bool = False,
) -> QueryReport:
    """Ask an endpoint about every record; the answers are ``generations/part-*.parquet`` of the run.

    Args:
        run: the open run.
        records: what to ask about, in the order of the result; ids must differ.
        address: of the endpoint.
        generation: prompt and sampling.
        asks: variants and samples; None: the picture itself, once. Others go to ``repeats/part-*.parquet``.
        manners: how fast, and with how much patience.
        allowance: what may be spent.
        cache: folder of answers of earlier runs; None: none are used or kept.
        refresh: ask also what the cache knows.
        threads: that read pictures; 0: one a usable core.
        part_rows: records a part.
        again: remove what stands in the run and ask anew.

    Raises:
        BudgetSpent: the allowance does not suffice; what was paid is kept.
        DataError: no record, or two of one id.
        EndpointError: the endpoint cannot be asked so.
        RunError: the run holds answers of another model, other settings or other records, or is void.
        RunFailed: the endpoint is down, or another model answers now.
    """
    given = records if isinstance(records, Records) else ListedRecords(records)
    job = _Job(
        run,
        given,
        address,
        generation or Generation(),
        asks or Asks(),
        manners or Manners(),
        allowance or Allowance(),
        cache,
        refresh,
        threads or usable_cores(),
        part_rows,
        again,
    )
    need_drawn(job.asks, job.generation, where=place_of(address.url).shown)
    job.allowance.budget(max_tokens=job.generation.max_tokens)  # before anybody is asked
    return finished(job.work())


def need_drawn(asks: Asks, generation: Generation, *, where: str) -> None:
    """Refuse several samples of what is not drawn.

    Raises:
        EngineError: all of them would be the same.
    """
    if asks.samples > 1 and generation.temperature == 0:
        raise EngineError(
            f"{asks.samples} samples were asked for at temperature 0, where all are the same",
            where=where,
            cure="Give a --temperature above 0, or leave --samples out.",
        )


@dataclass(frozen=True, slots=True)
class _Job:
    run: Run
    records: Records
    address: Address
    generation: Generation
    asks: Asks
    manners: Manners
    allowance: Allowance
    cache: Path | None
    refresh: bool
    threads: int
    part_rows: int
    again: bool

    async def work(self) -> QueryReport:
        started = perf_counter()
        async with AsyncExitStack() as stack:
            endpoint = await stack.enter_async_context(self._open(self.generation))
            asked = {
                "generation": self.generation.to_json(),
                "wants": endpoint.wants,
                "image_size": endpoint.image_size,
                "names": asdict(self.address.names),
            }
            settings = {"what": "captions", "part_rows": self.part_rows, "asks": self.asks.to_json(), **asked}
            ledger, plan = stack.enter_context(
                opened_plan(
                    self.run,
                    self.records,
                    self.asks,
                    endpoint.identity.key,
                    settings,
                    self.part_rows,
                    again=self.again,
                )
            )
            ledger.remember("model", endpoint.identity.to_json())
            account = Account(ledger, self.allowance, max_tokens=self.generation.max_tokens)
            total, kept = plan.questions, plan.answered(ledger)
            tally = Tally()
            if kept < total or ledger.recall("watched") is False:
                tally = await self._ask(stack, endpoint, ledger, plan, account, asked, kept)
                end_whole_parts(ledger, plan)
            need_all(ledger, plan)
            errors = sum(ledger.ended().values())
        return QueryReport(
            rows=len(self.records),
            errors=errors,
            asked=total - kept,
            kept=kept,
            parts=len(plan.parts),
            provider=f"{endpoint.identity.protocol}: {endpoint.identity.model}",
            batch=endpoint.rows,
            workers=1,
            wall_s=perf_counter() - started,
            clock=tally.clock,
            spent=Spending(
                requests=tally.requests,
                faults=tally.faults,
                cached=tally.cached,
                held_s=tally.held_s,
                queries=account.queries,
                cost=account.cost,
                prompt_tokens=account.tokens[0],
                completion_tokens=account.tokens[1],
            ),
        )

    async def _ask(
        self,
        stack: AsyncExitStack,
        endpoint: Endpoint,
        ledger: Ledger,
        plan: Plan,
        account: Account,
        asked: dict[str, Any],
        kept: int,
    ) -> Tally:
        pace = Pace(qps=self.manners.qps, concurrency=self.manners.concurrency)
        watched = endpoint
        if self.generation.temperature > 0:
            watched = await stack.enter_async_context(self._open(replace(self.generation, temperature=0.0)))
        canary = Canary(watched, self._canaries(endpoint), ledger, account, pace)
        ledger.remember("watched", False)
        try:
            await canary.look()
        finally:
            account.close()
        known = stack.enter_context(open_cache(self.cache)) if self.cache is not None else None
        with progress("caption", plan.questions) as advance:
            advance(kept)
            tally = await ask_endpoint(
                endpoint,
                plan,
                ledger,
                asked,
                manners=self.manners,
                account=account,
                cache=known,
                refresh=self.refresh,
                canary=canary,
                pace=pace,
                advance=advance,
                threads=self.threads,
            )
        ledger.remember("watched", True)
        return tally

    def _open(self, generation: Generation) -> Any:
        return open_endpoint(
            self.address.url,
            protocol=self.address.protocol,
            model=self.address.model,
            generation=generation,
            key=self.address.key,
            private=self.address.private,
            timeout_s=self.address.timeout_s,
            connections=self.manners.concurrency,
            rows=self.address.rows,
            image_size=self.address.image_size,
            names=self.address.names,
        )

    def _canaries(self, endpoint: Endpoint) -> list[Picture]:
        """The first pictures that can be read, of records that are spread over all."""
        found: list[Picture] = []
        rows = len(self.records)
        with ImageReader() as reader, ThreadPoolExecutor(1) as pool:
            for start in sorted({rows * share // CANARIES for share in range(CANARIES)}):
                block = self.records.block(start, min(rows, start + 16))
                for record in block:
                    (made,) = sendable([Wanted(0, record, PLAIN)], endpoint, reader, pool, 1)
                    if made.picture is not None:
                        found.append(made.picture)
                        break
        return found
