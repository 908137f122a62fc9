"""Step 1: the user's data as ``records.parquet``."""

from __future__ import annotations

from pathlib import Path

from m4i_fast.errors import DataError
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


def records_stage(run: Run, source: DataSettings) -> list[Record]:
    """Put the user's records into the run, sorted by id: their order must not give membership away."""
    return keep_records(run, load_records(source))


def keep_records(run: Run, records: list[Record]) -> list[Record]:
    """Write ``records.parquet``; a run that holds the same records already is left as it is."""
    from m4i_fast.tables import read_records, write_records

    ordered = sorted(records, key=lambda record: record.id)
    path = run.path("records.parquet")
    if not path.exists() or read_records(path) != [_as_kept(record) for record in ordered]:
        write_records(path, ordered)
    return read_records(path)


def _as_kept(record: Record) -> Record:
    return Record(record.id, record.image, record.references, record.group or record.id, record.error)
