"""The parts of a run's generations: which rows each holds, which stand already, and what they were made by.

Part k holds records k * part_rows to (k + 1) * part_rows, whatever happens on the way. So the files themselves are the
ledger: a part under its final name is whole and done, and a killed run goes on at the first one that is missing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from m4i_fast.errors import DataError, RunError
from m4i_fast.progress import say
from m4i_fast.runs import Run
from m4i_fast.tables import read_metadata
from m4i_fast.types import Record

__all__ = ["FOLDER", "Identity", "Part", "clear_parts", "identify", "part_paths", "plan"]

FOLDER = "generations"


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
    """One file: records ``start`` to ``stop``; ``errors``: bad rows in it where it ``stands``, else 0."""

    path: Path
    start: int
    stop: int
    stands: bool
    errors: int


def identify(engine_sha256: str, settings: Mapping[str, Any], records: Sequence[Record]) -> Identity:
    """The identity of a query: engine, what its answers depend on, and the records with their pictures in order."""
    text = json.dumps(dict(settings), sort_keys=True, ensure_ascii=True)
    rows = hashlib.sha256()
    for record in records:  # escaped JSON, since names of files need not be UTF-8
        rows.update(json.dumps([record.id, record.image, record.error, record.image_sha256]).encode() + b"\n")
    return Identity(engine_sha256, hashlib.sha256(text.encode()).hexdigest(), rows.hexdigest())


def plan(run: Run, identity: Identity, rows: int, part_rows: int) -> tuple[Part, ...]:
    """All parts of a query, done or not.

    A part that cannot be read (a disk has lost its end) is asked for again, with a remark.

    Raises:
        RunError: a part stands there that was made by another engine, other settings or other records.
    """
    wanted = identity.to_metadata()
    paths = {run.path(f"{FOLDER}/part-{index:05d}.parquet"): index for index in range(-(-rows // part_rows))}
    standing: dict[Path, int] = {}
    for path in part_paths(run):
        try:
            found_rows, found = read_metadata(path)
        except DataError as error:
            say(f"{path} is damaged and is made again ({error.what})")
            continue
        for key, what in (("engine_sha256", "engine"), ("settings_sha256", "settings"), ("records_sha256", "records")):
            if found.get(key) != wanted[key]:
                _refuse(path, "was made by another engine" if what == "engine" else f"belongs to other {what}", run)
        index = paths.get(path, -1)
        if index < 0 or found_rows != min(rows, (index + 1) * part_rows) - index * part_rows:
            _refuse(path, "is no part of this query", run)
        standing[path] = int(found.get("errors", "0"))
    return tuple(
        Part(
            path,
            index * part_rows,
            min(rows, (index + 1) * part_rows),
            stands=path in standing,
            errors=standing.get(path, 0),
        )
        for path, index in paths.items()
    )


def part_paths(run: Run) -> list[Path]:
    """The parts that lie in the run, in order."""
    return sorted(run.path(FOLDER).glob("part-*.parquet"))


def clear_parts(run: Run) -> None:
    """Remove all parts: the query begins anew."""
    for path in part_paths(run):
        path.unlink(missing_ok=True)
    with suppress(OSError):  # others may have put something there
        run.path(FOLDER).rmdir()


def _refuse(path: Path, what: str, run: Run) -> None:
    raise RunError(
        f"a result that stands in this run {what}",
        where=path,
        cure=f"Choose another folder with --out, or replace what stands in {run.root} with: m4i-fast query ... --again",
    )
