"""Step 1: the user's data as ``records.parquet``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import zip_longest
from typing import TYPE_CHECKING

from msgspec.structs import replace

from m4i_fast.errors import DataError, RunError
from m4i_fast.progress import progress
from m4i_fast.runs import TEMPORARY, Run
from m4i_fast.stages.settings import DataSettings
from m4i_fast.types import Record

if TYPE_CHECKING:
    from m4i_fast.record_file import RecordFile

__all__ = ["keep_records", "keep_stream", "load_records", "need_pictures", "records_stage"]


def load_records(source: DataSettings) -> list[Record]:
    """Read a set of captioned images; image paths come back absolute, so that a run can be used from anywhere.

    Raises:
        DataError: nothing can be read, or it holds no record.
    """
    from m4i_fast.data.readers import read_records

    records = read_records(source.path, images=source.images, format=source.format)
    if not records:
        raise DataError("no records in it", where=source.path, cure=f"Look with: m4i-fast data inspect {source.path}")
    return records


def records_stage(run: Run, source: DataSettings, *, again: bool = False) -> list[Record]:
    """Put the user's records into the run, sorted by id: their order must not give membership away.

    Raises:
        DataError: as ``load_records``.
        RunError: as ``keep_stream``.
    """
    from m4i_fast.data.readers import open_records

    stream = open_records(source.path, images=source.images, format=source.format)
    with keep_stream(run, stream, joins=stream.joins, again=again) as kept:
        return list(kept)


def keep_records(run: Run, records: list[Record], *, again: bool = False) -> list[Record]:
    """``keep_stream`` of a list.

    Raises:
        RunError: as ``keep_stream``.
    """
    with keep_stream(run, records, again=again) as kept:
        return list(kept)


def keep_stream(
    run: Run, records: Iterable[Record], *, joins: Callable[[], bool] | None = None, again: bool = False
) -> RecordFile:
    """Write ``records.parquet``, each record with the hash of its image file; the same records are left as they are.

    Memory does not depend on their number. Pictures that are no files of this machine have no hash here: they are
    fetched once, by the query, and hashed then.

    Args:
        run: the open run.
        records: in any order.
        joins: whether those of one id are captions of one record, asked when all were read.
        again: answers about other records may go.

    Raises:
        DataError: two records have one id; or whatever ``records`` raises.
        RunError: the run holds answers about other records or pictures, and ``again`` does not say that they may go.
    """
    from m4i_fast.data.fingerprints import fingerprint_stream
    from m4i_fast.query.parts import clear_parts, part_paths
    from m4i_fast.record_file import RecordFile, write_record_stream

    path, fresh = run.path("records.parquet"), run.path(f"{TEMPORARY}fresh-records.parquet")
    try:
        with progress("hash images", None) as advance:
            write_record_stream(
                fresh,
                records,
                join=joins or False,
                finish=lambda ordered: fingerprint_stream(map(_as_kept, ordered), advance=advance),
            )
        # Refused before it is replaced: a run's answers and its records must stay of one another.
        if path.exists():
            with RecordFile(path) as held, RecordFile(fresh) as given:
                same, difference = _compared(held, given)
            if same:
                return RecordFile(path)
            if difference is not None and part_paths(run):
                if not again:
                    cure = "Choose another folder with --out, or replace what stands in it with: m4i-fast query ... "
                    raise RunError(difference, where=run.root, cure=cure + "--again")
                clear_parts(run)
        fresh.replace(path)
        return RecordFile(path)
    finally:
        fresh.unlink(missing_ok=True)


def need_pictures(run: Run) -> None:
    """Hold that the pictures of a run are still those that the model was asked about.

    Records that were not made by ``query`` may have no hash; of these nothing is known.

    Raises:
        RunError: pictures have changed or gone since.
    """
    from m4i_fast.data.fingerprints import image_digests
    from m4i_fast.data.locators import is_local_file
    from m4i_fast.record_file import RecordFile
    from m4i_fast.tables import RECORD_GROUP

    count, changed = 0, []
    with RecordFile(run.path("records.parquet")) as held, progress("hash images", len(held)) as advance:
        for start in range(0, len(held), RECORD_GROUP):
            block = held.block(start, start + RECORD_GROUP)
            # What is fetched from elsewhere is not fetched once more for this: its hash is checked where it is decoded.
            records = [each for each in block if each.image_sha256 and not each.error and is_local_file(each.image)]
            count += len(records)
            digests = image_digests(records, advance=advance)
            changed += [
                each.image for each, digest in zip(records, digests, strict=True) if digest != each.image_sha256
            ]
    if changed:
        raise RunError(
            f"{len(changed)} of {count} images are not those that the model was asked about: changed or gone; "
            f"the first: {changed[0]}",
            where=run.root,
            cure="Put them back, or ask anew: m4i-fast query ... --again",
        )


def _compared(held: Iterable[Record], given: Iterable[Record]) -> tuple[bool, str | None]:
    """Whether they are the same; and why answers about ``held`` are none about ``given``, None where they are.

    An answer depends on the picture alone; captions and groups may be corrected without asking the model again.
    """
    same, count = True, 0
    changed: list[str] = []
    for old, new in zip_longest(held, given):
        if old is None or new is None or (old.id, old.image) != (new.id, new.image):
            return False, "this run holds answers about other records"
        count += 1
        same = same and old == new
        if (old.error, old.image_sha256) != (new.error, new.image_sha256):
            changed.append(new.image)
    if not changed:
        return same, None
    return False, f"{len(changed)} of {count} images have changed since they were asked about, the first: {changed[0]}"


def _as_kept(record: Record) -> Record:
    return replace(record, group=record.group or record.id)
