"""``records.parquet`` of any length in bounded memory: written from a stream, sorted by id, read back by blocks."""

from __future__ import annotations

import bisect
import glob
import heapq
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import accumulate
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
from msgspec.structs import replace

from m4i_fast.errors import DataError, RunError
from m4i_fast.runs import TEMPORARY, atomic_path
from m4i_fast.tables import RECORD_GROUP, RECORDS, record_table, records_of, with_columns
from m4i_fast.types import Record

__all__ = ["RecordFile", "write_record_stream"]

RUN_BYTES = 64 << 20
"""Of text that is sorted in memory at a time; with Python's own, some 150 MB."""
RUN_ROWS = 131_072
FAN = 32  # sorted runs merged at a time
PIECE = 256  # records of a run that lie in memory while it is merged


def write_record_stream(
    path: Path,
    records: Iterable[Record],
    *,
    join: bool | Callable[[], bool] = False,
    finish: Callable[[Iterator[Record]], Iterator[Record]] | None = None,
) -> int:
    """Write records sorted by id, in row groups of 1,024; gives their number.

    What does not fit in memory is sorted in runs on disk, beside ``path``, and merged; a stream that is sorted already
    makes one run. Memory does not depend on the number of records.

    Args:
        path: of the Parquet file; whole or not at all.
        records: in any order.
        join: records of one id are captions of one record (a table with a row a caption): their references become one
            list, in the stream's order. Else an id that is there twice is an error. A function is asked when all were
            read.
        finish: what becomes of the sorted records before they are written, for example hashes of their images; must
            leave ids and order.

    Raises:
        DataError: an id twice, or (``join``) one id with two images, groups, errors or hashes; a text that is not
            Unicode.
        RunFailed: the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        # Named as what may be swept away: a killed process leaves its runs behind.
        stem = f"{TEMPORARY}{os.getpid()}-{path.name}-"
        try:
            merged = _merged(_runs(records, path, stem), path, stem)
            distinct = _distinct(merged, join() if callable(join) else join)
            count = _write(temporary, finish(distinct) if finish else distinct, path)
        finally:
            for run in path.parent.glob(glob.escape(stem) + "*"):
                run.unlink(missing_ok=True)
        if pq.read_metadata(temporary).num_rows != count:
            raise RunError("the table was not written whole", where=path, cure="Check the disk and run again.")
    return count


class RecordFile:
    """A ``records.parquet``, opened once, read by blocks; safe to use from several threads.

    Args:
        path: the file.

    Raises:
        DataError: it is absent, no Parquet, or a column is missing or of another type.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise DataError("no such file", where=path)
        try:
            self._file = pq.ParquetFile(path, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"not a readable Parquet file ({error})", where=path, cure="Make it again.") from error
        with_columns(self._file.schema_arrow.empty_table(), RECORDS, path)
        metadata = self._file.metadata
        self._starts = [0, *accumulate(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))]
        self._lock = Lock()
        self._last: tuple[int, pa.Table] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __iter__(self) -> Iterator[Record]:
        for start in range(0, len(self), RECORD_GROUP):
            yield from self.block(start, start + RECORD_GROUP)

    def groups(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """These columns of one row group after the other."""
        # Not iter_batches, which holds something of every group until the end.
        for group in range(len(self._starts) - 1):
            with self._lock:
                table = self._file.read_row_group(group, columns=list(columns))
            yield table.combine_chunks()

    def close(self) -> None:
        """Close the file."""
        self._last = None
        self._file.close()

    def block(self, start: int, stop: int) -> list[Record]:
        """Records ``start`` to ``stop`` (exclusive, at most to the end), in the file's order."""
        return [record for part in self._parts(start, stop, list(RECORDS)) for record in records_of(part)]

    def ids(self, start: int, stop: int) -> list[str]:
        """Their ids alone."""
        return [id_ for part in self._parts(start, stop, ["id"]) for id_ in part["id"].to_pylist()]

    def _parts(self, start: int, stop: int, names: Sequence[str]) -> Iterator[pa.Table]:
        start, stop = max(start, 0), min(stop, len(self))
        group = bisect.bisect_right(self._starts, start) - 1
        while start < stop:
            end = min(stop, self._starts[group + 1])
            if end > start:
                yield self._group(group, names).slice(start - self._starts[group], end - start)
            start, group = end, group + 1

    def _group(self, group: int, names: Sequence[str]) -> pa.Table:
        with self._lock:
            if self._last is not None and self._last[0] == group:
                return self._last[1]
            try:
                table = self._file.read_row_group(group, columns=list(names), use_threads=False)
            except (pa.ArrowException, OSError) as error:
                raise DataError(f"damaged ({error})", where=self.path, cure="Make it again.") from error
            table = with_columns(table, {name: RECORDS[name] for name in names}, self.path)
            if len(names) == len(RECORDS):
                self._last = group, table
            return table


def _runs(records: Iterable[Record], path: Path, stem: str) -> list[Path]:
    """Sorted runs on disk; what comes in order goes on with the run before it."""
    runs: list[Path] = []
    last = ""
    with ExitStack() as stack:
        writer: Any = None
        for batch in _batches(records):
            if writer is None or batch[0].id < last:
                stack.close()
                runs.append(path.with_name(f"{stem}{len(runs)}"))
                writer = _run_writer(runs[-1], stack)
            _put(writer, batch, path)
            last = batch[-1].id
    return runs


def _batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    """As many records as may be sorted in memory, sorted; equal ids keep their order."""
    batch: list[Record] = []
    size = 0
    for record in records:
        batch.append(record)
        size += len(record.id) + len(record.image) + sum(map(len, record.references)) + 64
        if len(batch) >= RUN_ROWS or size >= RUN_BYTES:
            batch.sort(key=_id)
            yield batch
            batch, size = [], 0
    if batch:
        batch.sort(key=_id)
        yield batch


def _merged(runs: list[Path], path: Path, stem: str) -> Iterator[Record]:
    """All runs as one sorted stream; of equal ids the earlier run's comes first."""
    level = 0
    while len(runs) > FAN:  # too many to be open at a time
        level += 1
        merged = []
        for start in range(0, len(runs), FAN):
            merged.append(path.with_name(f"{stem}{level}-{start}"))
            with ExitStack() as stack:
                writer = _run_writer(merged[-1], stack)
                piece: list[Record] = []
                for record in heapq.merge(*map(_read_run, runs[start : start + FAN]), key=_id):
                    piece.append(record)
                    if len(piece) == PIECE:
                        _put(writer, piece, path)
                        piece = []
                if piece:
                    _put(writer, piece, path)
            for run in runs[start : start + FAN]:
                run.unlink()
        runs = merged
    return heapq.merge(*map(_read_run, runs), key=_id) if len(runs) != 1 else _read_run(runs[0])


def _run_writer(path: Path, stack: ExitStack) -> Any:
    file = stack.enter_context(path.open("wb"))
    return stack.enter_context(pa.ipc.new_stream(file, pa.schema(list(RECORDS.items()))))


def _put(writer: Any, records: Sequence[Record], path: Path) -> None:
    for start in range(0, len(records), PIECE):
        writer.write_table(record_table(records[start : start + PIECE], path))


def _read_run(path: Path) -> Iterator[Record]:
    with path.open("rb") as file, pa.ipc.open_stream(file) as batches:
        for batch in batches:
            yield from records_of(batch)


def _distinct(records: Iterator[Record], join: bool) -> Iterator[Record]:
    last: Record | None = None
    for record in records:
        if last is None or record.id != last.id:
            if last is not None:
                yield last
            last = record
            continue
        if not join:
            raise DataError(
                f"the id '{record.id}' is there twice, with the images '{last.image}' and '{record.image}'",
                cure="Give every record an id of its own, or remove one.",
            )
        last = _joined(last, record)
    if last is not None:
        yield last


def _joined(first: Record, second: Record) -> Record:
    for what in ("image", "group", "image_sha256"):
        before, now = getattr(first, what), getattr(second, what)
        if before != now:
            raise DataError(
                f"the id '{first.id}' has two values of {what}: '{before}' and '{now}'",
                cure=f"Give all rows of one id the same {what}.",
            )
    return replace(first, references=first.references + second.references, error=first.error or second.error)


def _write(temporary: Path, records: Iterator[Record], path: Path) -> int:
    count = 0
    group: list[Record] = []
    with pq.ParquetWriter(
        temporary, pa.schema(list(RECORDS.items())), compression="zstd", write_statistics=False
    ) as writer:
        for record in records:
            group.append(record)
            if len(group) == RECORD_GROUP:
                writer.write_table(record_table(group, path))
                count += len(group)
                group = []
        if group:
            writer.write_table(record_table(group, path))
            count += len(group)
    return count


def _id(record: Record) -> str:
    return record.id
