"""The parts of a run's generations: which rows each holds, which stand already, and what they were made by.

Part k holds records k * part_rows to (k + 1) * part_rows, whatever happens on the way. A part under its final name is
whole and done; those that are missing are asked for, question by question, as the ledger says.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from m4i_fast.errors import DataError, RunError
from m4i_fast.progress import say
from m4i_fast.query import ledger
from m4i_fast.query.records import Records
from m4i_fast.runs import Run
from m4i_fast.tables import read_metadata

__all__ = ["FOLDER", "REPEATS", "Identity", "Part", "clear_parts", "identify", "part_paths", "plan", "repeat_paths"]

FOLDER = "generations"
REPEATS = "repeats"


@dataclass(frozen=True, slots=True)
class Identity:
    """What all parts of a run must share, as SHA-256 in hex."""

    engine: str
    settings: str
    records: str

    def to_metadata(self) -> dict[str, str]:
        """For the footer of a part."""
        return {
            "engine_sha256": self.engine,
            "settings_sha256": self.settings,
            "records_sha256": self.records,
        }


@dataclass(frozen=True, slots=True)
class Part:
    """One file: records ``start`` to ``stop``; ``errors``: bad rows in it where it ``stands``, else 0.

    ``path`` holds the plain answers, a row a record; ``repeats`` the others, where ``asks`` is above 1.
    """

    index: int
    path: Path
    repeats: Path
    start: int
    stop: int
    asks: int
    stands: bool = False
    errors: int = 0

    @property
    def first(self) -> int:
        """Number of its first question."""
        return self.start * self.asks

    @property
    def last(self) -> int:
        """Number of the first question behind it."""
        return self.stop * self.asks

    @property
    def questions(self) -> int:
        """How many questions it answers."""
        return self.last - self.first


def identify(model_sha256: str, settings: Mapping[str, Any], records: Records) -> Identity:
    """The identity of a query: the model, what its answers depend on, and the records with their pictures in order."""
    text = json.dumps(dict(settings), sort_keys=True, ensure_ascii=True)
    return Identity(model_sha256, hashlib.sha256(text.encode()).hexdigest(), records.digest())


def plan(run: Run, identity: Identity, rows: int, part_rows: int, asks: int) -> tuple[Part, ...]:
    """All parts of a query, done or not.

    A part that cannot be read (a disk has lost its end) is asked for again, with a remark.

    Args:
        run: the open run.
        identity: of the query.
        rows: records.
        part_rows: records a part.
        asks: questions a record.

    Raises:
        RunError: a part stands there that was made by another model, other settings or other records.
    """
    wanted = identity.to_metadata()
    parts = [_part(run, index, rows, part_rows, asks) for index in range(-(-rows // part_rows))]
    by_path = {part.path: part for part in parts}
    standing: dict[int, int] = {}
    for path in part_paths(run):
        try:
            found_rows, found = read_metadata(path)
        except DataError as error:
            say(f"{path} is damaged and is made again ({error.what})")
            continue
        for key, what in (("engine_sha256", "engine"), ("settings_sha256", "settings"), ("records_sha256", "records")):
            if found.get(key) != wanted[key]:
                _refuse(path, "was made by another engine" if what == "engine" else f"belongs to other {what}", run)
        part = by_path.get(path)
        if part is None or found_rows != part.stop - part.start:
            _refuse(path, "is no part of this query", run)
        elif asks == 1 or _stands(part.repeats, wanted, (part.stop - part.start) * (asks - 1)):
            standing[part.index] = int(found.get("errors", "0"))
    places = {part.repeats for part in parts} if asks > 1 else set()
    for path in _paths(run, REPEATS):
        if path not in places:
            _refuse(path, "is no part of this query", run)
    return tuple(replace(part, stands=part.index in standing, errors=standing.get(part.index, 0)) for part in parts)


def _part(run: Run, index: int, rows: int, part_rows: int, asks: int) -> Part:
    start, stop = index * part_rows, min(rows, (index + 1) * part_rows)
    name = f"part-{index:05d}.parquet"
    return Part(index, run.path(f"{FOLDER}/{name}"), run.path(f"{REPEATS}/{name}"), start, stop, asks)


def _stands(path: Path, wanted: Mapping[str, str], rows: int) -> bool:
    try:
        found_rows, found = read_metadata(path)
    except DataError:
        return False
    return found_rows == rows and all(found.get(key) == value for key, value in wanted.items())


def part_paths(run: Run) -> list[Path]:
    """The parts that lie in the run, in order."""
    return _paths(run, FOLDER)


def repeat_paths(run: Run) -> list[Path]:
    """The parts of the further answers (variants and samples), in order; none where each record was asked once."""
    return _paths(run, REPEATS)


def _paths(run: Run, folder: str) -> list[Path]:
    # By number: beyond 99,999 the names are longer, and as text they would stand in between.
    return sorted(run.path(folder).glob("part-*.parquet"), key=lambda path: (len(path.name), path.name))


def clear_parts(run: Run) -> None:
    """Remove all parts and the ledger: the query begins anew."""
    for suffix in ("", "-wal", "-shm"):
        run.path(ledger.NAME + suffix).unlink(missing_ok=True)
    for folder in (REPEATS, FOLDER):
        for path in _paths(run, folder):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # others may have put something there
            run.path(folder).rmdir()


def _refuse(path: Path, what: str, run: Run) -> None:
    raise RunError(
        f"a result that stands in this run {what}",
        where=path,
        cure=f"Choose another folder with --out, or replace what stands in {run.root} with: m4i-fast query ... --again",
    )
