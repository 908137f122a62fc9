"""Reader, decoder, captioner, writer: every record asked once, its answer kept, in parts that survive a kill."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from m4i_fast.engines import open_captioner
from m4i_fast.errors import ConfigError, DataError
from m4i_fast.progress import progress
from m4i_fast.query.decoding import decoding
from m4i_fast.query.parts import Identity, Part, clear_parts, identify, plan
from m4i_fast.query.stopping import stopping_cleanly
from m4i_fast.runs import Run
from m4i_fast.tables import write_generations
from m4i_fast.types import Generations, Record

__all__ = ["PART_ROWS", "QueryReport", "batch_size", "query"]

PART_ROWS = 1024
"""Records a file: a kill costs at most this many answers."""


@dataclass(frozen=True, slots=True)
class QueryReport:
    """What a query did.

    Attributes:
        rows: all rows that now stand in the run, one a record.
        errors: rows without a caption, with their reason; those of kept parts included.
        queried: rows done now.
        kept: rows that stood there already.
        parts: files in the run.
        provider: what ran the engine; None where nothing was left to do.
        decode_s: seconds the decoding thread worked; overlaps with ``infer_s``.
        infer_s: seconds in the engine.
        write_s: seconds spent on writing parts.
        wall_s: seconds from the first record to the last, opening the engine included.
    """

    rows: int
    errors: int
    queried: int
    kept: int
    parts: int
    provider: str | None
    decode_s: float
    infer_s: float
    write_s: float
    wall_s: float

    def facts(self) -> dict[str, Any]:
        """As JSON values, seconds rounded to milliseconds."""
        return {name: round(value, 3) if isinstance(value, float) else value for name, value in asdict(self).items()}


def query(
    run: Run,
    records: Sequence[Record],
    captioner_path: Path | str,
    *,
    batch: int | Literal["auto"] = 32,
    provider: str = "cpu",
    threads: int = 0,
    decode_threads: int = 0,
    part_rows: int = PART_ROWS,
    allow_fallback: bool = False,
    again: bool = False,
) -> QueryReport:
    """Ask a captioner about every record; the answers are ``generations/part-*.parquet`` of the run.

    Args:
        run: the open run.
        records: what to ask about, in the order of the result; ids must differ.
        captioner_path: the engine.
        batch: pictures at a time; "auto": 32 on the CPU, 128 on a GPU. Like ``threads`` it may differ when a query goes
            on; the answers do not depend on it, but for rounding in the engine.
        provider: cpu, cuda or tensorrt.
        threads: of the engine; 0: one a usable core.
        decode_threads: that decode pictures; 0: one a usable core.
        part_rows: records a part.
        allow_fallback: see ``open_captioner``.
        again: remove what stands in the run and ask anew.

    Raises:
        ConfigError: a number is out of range.
        DataError: no record, or two of one id.
        EngineError: the engine cannot be used as asked.
        RunError: the run holds answers of another engine, other settings or other records.
        RunFailed: the engine failed on the way; the parts before it stand.
    """
    started = time.perf_counter()
    size = batch_size(batch, provider)
    for name, value, least in (("part_rows", part_rows, 1), ("decode_threads", decode_threads, 0)):
        if value < least:
            raise ConfigError(f"{value} is out of range", where=name, cure=f"Give {least} or more.")
    _check_records(records)
    decode_s = infer_s = write_s = 0.0
    with (
        stopping_cleanly(),
        open_captioner(captioner_path, provider=provider, threads=threads, allow_fallback=allow_fallback) as captioner,
    ):
        settings = {
            "what": "captions",
            "part_rows": part_rows,
            "image_size": captioner.image_size,
            "decoding": captioner.metadata.decoding,
            "provider": captioner.provider,
        }
        identity = identify(captioner.sha256, settings, records)
        if again:
            clear_parts(run)
        parts = plan(run, identity, len(records), part_rows)
        missing = [part for part in parts if not part.stands]
        kept = sum(part.stop - part.start for part in parts if part.stands)
        errors = sum(part.errors for part in parts)
        spans = [
            (part, start, min(start + size, part.stop))
            for part in missing
            for start in range(part.start, part.stop, size)
        ]
        batches = [records[start:stop] for _, start, stop in spans]
        if missing:
            with (
                progress("caption", len(records)) as advance,
                decoding(batches, captioner.image_size, threads=decode_threads) as decoded,
            ):
                advance(kept)
                begun, done = time.perf_counter(), 0
                answers: list[Generations] = []
                for index, images in decoded:
                    part, _, stop = spans[index]
                    mark = time.perf_counter()
                    answers.append(captioner.generate(images))
                    infer_s += time.perf_counter() - mark
                    if stop == part.stop:
                        mark = time.perf_counter()
                        errors += _write(part, answers, identity, parts=len(parts))
                        write_s += time.perf_counter() - mark
                        answers = []
                    done += len(images.ids)
                    advance(len(images.ids), f"{done / (time.perf_counter() - begun):.0f} images/s")
                decode_s = decoded.seconds
        ran_on = captioner.provider
    return QueryReport(
        rows=len(records),
        errors=errors,
        queried=len(records) - kept,
        kept=kept,
        parts=len(parts),
        provider=ran_on if missing else None,
        decode_s=decode_s,
        infer_s=infer_s,
        write_s=write_s,
        wall_s=time.perf_counter() - started,
    )


def batch_size(batch: int | Literal["auto"], provider: str) -> int:
    """Pictures at a time.

    Raises:
        ConfigError: neither a positive number nor "auto".
    """
    if batch == "auto":
        return 32 if provider == "cpu" else 128
    if not isinstance(batch, int) or batch < 1:
        raise ConfigError(f"{batch!r} is no batch size", where="batch", cure="Give 1 or more, or 'auto'.")
    return batch


def _check_records(records: Sequence[Record]) -> None:
    if not records:
        raise DataError("there is no record to ask about", cure="Check the data with: m4i-fast data inspect DATA")
    seen: set[str] = set()
    for record in records:
        if record.id in seen:
            raise DataError("two records have this id", where=record.id, cure="Give every record an id of its own.")
        seen.add(record.id)


def _write(part: Part, answers: Sequence[Generations], identity: Identity, *, parts: int) -> int:
    """Write one part whole; gives its number of bad rows."""
    joined = _joined(answers)
    errors = sum(error is not None for error in joined.errors)
    about = {"start": str(part.start), "stop": str(part.stop), "parts": str(parts), "errors": str(errors)}
    write_generations(part.path, joined, metadata=identity.to_metadata() | about)
    return errors


def _joined(answers: Sequence[Generations]) -> Generations:
    width = max(each.tokens.shape[1] for each in answers)
    rates = [each.log_probs for each in answers if each.log_probs is not None]
    return Generations(
        ids=tuple(key for each in answers for key in each.ids),
        texts=tuple(text for each in answers for text in each.texts),
        tokens=np.concatenate([_widened(each.tokens, width) for each in answers]),
        lengths=np.concatenate([each.lengths for each in answers]),
        log_probs=np.concatenate([_widened(each, width) for each in rates]) if len(rates) == len(answers) else None,
        errors=tuple(error for each in answers for error in each.errors),
    )


def _widened(matrix: np.ndarray[Any, Any], width: int) -> np.ndarray[Any, Any]:
    return np.pad(matrix, ((0, 0), (0, width - matrix.shape[1])))
