"""Asking an engine about every record of a run: one process or several, and none of it twice."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np

from m4i_fast.data.bytes import ImageReader
from m4i_fast.engines import open_captioner
from m4i_fast.engines.protocol import Captioner
from m4i_fast.errors import ConfigError, EngineError, RunError, RunFailed
from m4i_fast.progress import progress, say
from m4i_fast.query import ledger as ledgers
from m4i_fast.query.asks import Asks
from m4i_fast.query.ledger import Ledger, open_ledger
from m4i_fast.query.local import Clock, answer_batches, best_batch
from m4i_fast.query.parts import Identity, clear_parts, identify, plan
from m4i_fast.query.pictures import fill
from m4i_fast.query.plan import Plan
from m4i_fast.query.ray_workers import answer_by_ray
from m4i_fast.query.records import ListedRecords, Records
from m4i_fast.query.stopping import stopping_cleanly
from m4i_fast.query.workers import Opening, answer_by_workers
from m4i_fast.query.writing import end_whole_parts
from m4i_fast.runs import Run
from m4i_fast.types import ImageBatch, Record

__all__ = ["PART_ROWS", "QueryReport", "Spending", "opened_plan", "query", "usable_cores"]

PART_ROWS = 1024
"""Records a file."""

BATCH = 32
"""Pictures at a time where nothing else is asked for; 128 on a GPU."""

TRIES = 3
"""Rounds over what is missing: a worker that dies may take answers along that it had not committed yet."""


@dataclass(frozen=True, slots=True)
class Spending:
    """What an endpoint was asked, and what that cost.

    Attributes:
        requests: about records, sent now.
        faults: of them, those that failed and were tried again.
        cached: answers that earlier runs had paid for.
        held_s: seconds in which the rate, or the endpoint's own wish, held requests back.
        queries: sent over the whole run, those that look whether the model is the same included.
        cost: of all of these, in the money of the prices.
        prompt_tokens: that the endpoint counted in the run's answers.
        completion_tokens: likewise.
    """

    requests: int = 0
    faults: int = 0
    cached: int = 0
    held_s: float = 0.0
    queries: int = 0
    cost: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class QueryReport:
    """What a query did.

    Attributes:
        rows: all records, one row each in the run.
        errors: rows without a caption, with their reason; those of kept parts included.
        asked: questions answered now (records x variants x samples).
        kept: questions that were answered already.
        parts: files in the run.
        provider: what ran the engine; None where nothing was left to do.
        batch: pictures at a time.
        workers: processes.
        wall_s: seconds from the first record to the last, opening the engine included.
        clock: seconds by what they were spent on.
        spent: on an endpoint; None for an engine.
    """

    rows: int
    errors: int
    asked: int
    kept: int
    parts: int
    provider: str | None
    batch: int
    workers: int
    wall_s: float
    clock: Clock = field(default_factory=Clock)
    spent: Spending | None = None

    def facts(self) -> dict[str, Any]:
        """As flat JSON values, seconds rounded to milliseconds; what was spent only where an endpoint was asked."""
        flat = asdict(self)
        flat |= flat.pop("clock") | (flat.pop("spent") or {})
        return {
            name: round(value, 3) if name.endswith("_s") and value is not None else value
            for name, value in flat.items()
        }


def query(
    run: Run,
    records: Sequence[Record] | Records,
    captioner_path: Path | str,
    *,
    batch: int | Literal["auto"] = BATCH,
    provider: str = "cpu",
    threads: int = 0,
    decode_threads: int = 0,
    workers: int = 1,
    ray: str | None = None,
    asks: Asks | None = None,
    part_rows: int = PART_ROWS,
    allow_fallback: bool = False,
    again: bool = False,
) -> QueryReport:
    """Ask a captioner about every record; the answers are ``generations/part-*.parquet`` of the run.

    Args:
        run: the open run.
        records: what to ask about, in the order of the result; ids must differ.
        captioner_path: the engine.
        batch: pictures at a time; "auto": what is fastest, found by trying. Like ``threads`` and ``workers`` it may
            differ when a query goes on; the answers do not depend on it, but for rounding in the engine.
        provider: cpu, cuda or tensorrt.
        threads: of each engine; 0: the usable cores, shared among the workers.
        decode_threads: that decode pictures in each worker; 0: likewise.
        workers: processes, each with an engine of its own; 1: this one.
        ray: address of a Ray cluster whose actors are the workers ("auto", "local"); None: processes of this machine.
        asks: variants and samples; None: the picture itself, once. Others go to ``repeats/part-*.parquet``.
        part_rows: records a part.
        allow_fallback: see ``open_captioner``.
        again: remove what stands in the run and ask anew.

    Raises:
        ConfigError: a number is out of range.
        DataError: no record, or two of one id.
        EngineError: the engine cannot be used as asked.
        RunError: the run holds answers of another engine, other settings or other records.
        RunFailed: the engine failed on the way; what was answered before is kept.
    """
    started = perf_counter()
    for name, value, least in (
        ("part_rows", part_rows, 1),
        ("decode_threads", decode_threads, 0),
        ("workers", workers, 1),
    ):
        if value < least:
            raise ConfigError(f"{value} is out of range", where=name, cure=f"Give {least} or more.")
    batch_size(batch, provider)
    share = max(1, usable_cores() // workers)
    threads, decode_threads = (threads or share) if workers > 1 else threads, decode_threads or share
    given = records if isinstance(records, Records) else ListedRecords(records)
    wanted = asks or Asks()
    with stopping_cleanly(), ExitStack() as engine:
        captioner = engine.enter_context(
            open_captioner(captioner_path, provider=provider, threads=threads, allow_fallback=allow_fallback)
        )
        if wanted.samples > 1:
            raise EngineError(
                f"{wanted.samples} samples were asked for, and this engine always says the same of a picture",
                where=captioner_path,
                cure="Leave --samples out, or vary the picture with --augment.",
            )
        settings = {
            "what": "captions",
            "part_rows": part_rows,
            "image_size": captioner.image_size,
            "decoding": captioner.metadata.decoding,
            "provider": captioner.provider,
            "asks": wanted.to_json(),
        }
        with opened_plan(run, given, wanted, captioner.sha256, settings, part_rows, again=again) as (ledger, whole):
            total, kept = whole.questions, whole.answered(ledger)
            size = _size(batch, provider, ledger, whole, captioner) if kept < total else 0
            clock = Clock()
            ran_on = captioner.provider
            if workers > 1 or ray is not None:
                engine.close()  # each worker opens its own; two in one memory would be one too many
            opening = Opening(str(captioner_path), provider, threads, decode_threads, allow_fallback)
            if kept < total:
                with progress("caption", total) as advance:
                    advance(kept)
                    for _ in range(TRIES):
                        numbers = whole.missing(ledger, size)
                        first = next(numbers, None)
                        if first is None:
                            break
                        numbers = chain([first], numbers)
                        if ray is not None:
                            spent = answer_by_ray(ray, workers, opening, whole, ledger, size, advance=advance)
                        elif workers > 1:
                            spent = answer_by_workers(workers, opening, whole, ledger.path, numbers, advance=advance)
                        else:
                            spent = answer_batches(
                                captioner, whole, ledger.path, numbers, threads=decode_threads, advance=advance
                            )
                        clock.add(spent)
                        end_whole_parts(ledger, whole)
            need_all(ledger, whole)
            errors = sum(ledger.ended().values())
    return QueryReport(
        rows=len(given),
        errors=errors,
        asked=total - kept,
        kept=kept,
        parts=len(whole.parts),
        provider=ran_on if kept < total else None,
        batch=size,
        workers=workers,
        wall_s=perf_counter() - started,
        clock=clock,
    )


def need_all(ledger: Ledger, whole: Plan) -> None:
    """Hold that nothing is left to ask.

    Raises:
        RunFailed: something is: pictures that their store did not give, or answers that were lost with a worker.
    """
    left = whole.questions - whole.answered(ledger)
    if left:
        raise RunFailed(
            f"{left} of {whole.questions} answers are missing: the images could not be fetched, or a worker died",
            where=ledger.path.parent,
            cure="What was answered is kept; run the same command again.",
        )


@contextmanager
def opened_plan(
    run: Run,
    records: Records,
    asks: Asks,
    model_sha256: str,
    settings: Mapping[str, Any],
    part_rows: int,
    *,
    again: bool,
) -> Iterator[tuple[Ledger, Plan]]:
    """The ledger of a run and what it plans; the two are held to the files that stand.

    Args:
        run: the open run.
        records: of the query.
        asks: of each record.
        model_sha256: identity of the model.
        settings: JSON values that the answers depend on.
        part_rows: records a part.
        again: begin anew.

    Raises:
        RunError: the run holds answers of another model, other settings or other records, or was declared void.
    """
    if again:
        clear_parts(run)
    identity = identify(model_sha256, settings, records)
    parts = plan(run, identity, len(records), part_rows, len(asks))
    with open_ledger(run.path(ledgers.NAME)) as ledger:
        _need_same(run, ledger, identity)
        ended = ledger.ended()
        for part in parts:
            if part.stands and part.index not in ended:
                ledger.end(part.index, part.first, part.last, errors=part.errors)
            elif not part.stands and part.index in ended:
                ledger.reopen(part.index, part.first, part.last)
        whole = Plan(records, parts, asks, identity)
        made = set(end_whole_parts(ledger, whole))
        yield (
            ledger,
            replace(whole, parts=tuple(replace(each, stands=each.stands or each.index in made) for each in parts)),
        )


def _need_same(run: Run, ledger: Ledger, identity: Identity) -> None:
    held, wanted = ledger.recall("identity"), identity.to_metadata()
    again = f"Choose another folder with --out, or begin anew in {run.root} with: m4i-fast query ... --again"
    void = ledger.recall("void")
    if void is not None:
        raise RunError(f"this run is void: {void}", where=run.root, cure=again)
    if held is None:
        ledger.remember("identity", wanted)
    elif held != wanted:
        what = {
            "engine_sha256": "another model",
            "settings_sha256": "other settings",
            "records_sha256": "other records",
        }
        names = [what[key] for key in wanted if held.get(key) != wanted[key]]
        raise RunError(f"answers that stand in this run belong to {', '.join(names)}", where=run.root, cure=again)


def _size(batch: int | Literal["auto"], provider: str, ledger: Ledger, whole: Plan, captioner: Captioner) -> int:
    if batch != "auto":
        return batch
    # Once found, kept: a run that goes on gives the engine the batches that it would have had.
    found = ledger.recall("batch")
    if isinstance(found, int):
        return found
    numbers = next(whole.missing(ledger, batch_size("auto", provider)))
    (rows,) = whole.batches(iter([numbers]))
    pixels = np.zeros((len(rows), captioner.image_size, captioner.image_size, 3), np.uint8)
    with ImageReader() as reader:
        filled = fill(rows, pixels, reader)
    good = [row for row, error in enumerate(filled.errors) if error is None]
    if not good:
        return batch_size("auto", provider)
    size = best_batch(
        captioner, ImageBatch(tuple(rows[row].record.id for row in good), pixels[good], (None,) * len(good))
    )
    ledger.remember("batch", size)
    say(f"{size} images at a time are fastest here")
    return size


def batch_size(batch: int | Literal["auto"], provider: str) -> int:
    """Pictures at a time, before any is tried.

    Raises:
        ConfigError: neither a positive number nor "auto".
    """
    if batch == "auto":
        return BATCH if provider == "cpu" else 4 * BATCH
    if not isinstance(batch, int) or batch < 1:
        raise ConfigError(f"{batch!r} is no batch size", where="batch", cure="Give 1 or more, or 'auto'.")
    return batch


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
