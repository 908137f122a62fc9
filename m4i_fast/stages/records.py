"""Step 1: the user's data as ``records.parquet``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from m4i_fast.errors import DataError, RunError
from m4i_fast.progress import progress
from m4i_fast.runs import Run
from m4i_fast.stages.settings import DataSettings
from m4i_fast.types import Record

__all__ = ["keep_records", "load_records", "need_pictures", "records_stage"]


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
    """Write ``records.parquet``, each record with the hash of its picture; a run that holds the same is left as it is.

    Raises:
        RunError: the run holds answers about other records or pictures, and ``again`` does not say that they may go.
    """
    from m4i_fast.data.fingerprints import fingerprinted
    from m4i_fast.query.parts import clear_parts, part_paths
    from m4i_fast.tables import read_records, write_records

    ordered = sorted(records, key=lambda record: record.id)
    ordered = [_as_kept(record) for record in fingerprinted(ordered, _digests(ordered))]
    path = run.path("records.parquet")
    held = read_records(path) if path.exists() else None
    if held == ordered:
        return ordered
    # Refused before it is replaced: a run's answers and its records must stay of one another.
    if held is not None and _asked(held) != _asked(ordered) and part_paths(run):
        if not again:
            raise RunError(
                _difference(held, ordered),
                where=run.root,
                cure="Choose another folder with --out, or replace what stands in it with: m4i-fast query ... --again",
            )
        clear_parts(run)
    write_records(path, ordered)
    return read_records(path)


def need_pictures(run: Run) -> None:
    """Hold that the pictures of a run are still those that the model was asked about.

    Records that were not made by ``query`` may have no hash; of these nothing is known.

    Raises:
        RunError: pictures have changed or gone since.
    """
    from m4i_fast.tables import read_records

    records = [
        record for record in read_records(run.path("records.parquet")) if record.image_sha256 and not record.error
    ]
    changed = [
        record.image for record, digest in zip(records, _digests(records), strict=True) if digest != record.image_sha256
    ]
    if changed:
        raise RunError(
            f"{len(changed)} of {len(records)} images are not those that the model was asked about: changed or gone; "
            f"the first: {changed[0]}",
            where=run.root,
            cure="Put them back, or ask anew: m4i-fast query ... --again",
        )


def _digests(records: list[Record]) -> list[str | None]:
    from m4i_fast.data.fingerprints import image_digests

    with progress("hash images", len(records)) as advance:
        return image_digests(records, advance=advance)


def _asked(records: list[Record]) -> list[tuple[str, str, str | None, str | None]]:
    """What an answer depends on; captions and groups may be corrected without asking the model again."""
    return [(record.id, record.image, record.error, record.image_sha256) for record in records]


def _difference(held: list[Record], given: list[Record]) -> str:
    """Why answers about ``held`` are none about ``given``."""
    if [(record.id, record.image) for record in held] != [(record.id, record.image) for record in given]:
        return "this run holds answers about other records"
    changed = [new.image for old, new in zip(held, given, strict=True) if _asked([old]) != _asked([new])]
    return f"{len(changed)} of {len(held)} images have changed since they were asked about, the first: {changed[0]}"


def _as_kept(record: Record) -> Record:
    return replace(record, group=record.group or record.id)
