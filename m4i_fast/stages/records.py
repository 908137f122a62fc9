"""Step 1: the user's data as ``records.parquet``."""

from __future__ import annotations

from pathlib import Path

from m4i_fast.errors import DataError, RunError
from m4i_fast.runs import Run
from m4i_fast.stages.settings import DataSettings
from m4i_fast.types import Record

__all__ = ["keep_records", "load_records", "records_stage"]


def load_records(source: DataSettings) -> list[Record]:
    """Read a set of captioned images; image paths come back absolute, so that a run can be used from anywhere.

    Raises:
        DataError: nothing can be read, or it holds no record.
    """
    from m4i_fast.data.readers import read_records

    path = Path(source.path)
    records = read_records(path, images=Path(source.images) if source.images else None, format=source.format)
    if not records:
        raise DataError("no records in it", where=path, cure="Look with: m4i-fast data inspect " + source.path)
    return records


def records_stage(run: Run, source: DataSettings, *, again: bool = False) -> list[Record]:
    """Put the user's records into the run, sorted by id: their order must not give membership away.

    Raises:
        DataError: as ``load_records``.
        RunError: as ``keep_records``.
    """
    return keep_records(run, load_records(source), again=again)


def keep_records(run: Run, records: list[Record], *, again: bool = False) -> list[Record]:
    """Write ``records.parquet``; a run that holds the same records already is left as it is.

    Raises:
        RunError: the run holds answers about other records, and ``again`` does not say that they may go.
    """
    from m4i_fast.query.parts import clear_parts, part_paths
    from m4i_fast.tables import read_records, write_records

    ordered = [_as_kept(record) for record in sorted(records, key=lambda record: record.id)]
    path = run.path("records.parquet")
    held = read_records(path) if path.exists() else None
    if held == ordered:
        return ordered
    # Refused before it is replaced: a run's answers and its records must stay of one another.
    if held is not None and _asked(held) != _asked(ordered) and part_paths(run):
        if not again:
            raise RunError(
                "this run holds answers about other records",
                where=run.root,
                cure="Choose another folder with --out, or replace what stands in it with: m4i-fast query ... --again",
            )
        clear_parts(run)
    write_records(path, ordered)
    return read_records(path)


def _asked(records: list[Record]) -> list[tuple[str, str, str | None]]:
    """What an answer depends on; captions and groups may be corrected without asking the model again."""
    return [(record.id, record.image, record.error) for record in records]


def _as_kept(record: Record) -> Record:
    return Record(record.id, record.image, record.references, record.group or record.id, record.error)
