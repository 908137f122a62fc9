"""Cells of a Parquet file that hold pictures, read row by row in bounded memory."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from m4i_fast.data.stores import as_source, opened
from m4i_fast.errors import DataError

__all__ = ["CellFile", "holds_images"]

ABOUT = 4 << 20  # bytes of pictures decoded at a time
MOST_ROWS = 256
BUFFER = 1 << 20  # of the file: without it Parquet reads a whole column chunk at once


class CellFile:
    """One Parquet file, open. Not safe for several threads at once.

    Rows are read forward, a few MiB at a time; a row before the last one read costs its row group from the beginning.

    Raises:
        DataError: it is no Parquet file.
        OSError: it cannot be opened; or what a store's client raises.
    """

    def __init__(self, container: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._handle = opened(as_source(container), block=BUFFER)
        try:
            self._file = pq.ParquetFile(self._handle, buffer_size=BUFFER, pre_buffer=False)
        except pa.ArrowException as error:
            self._handle.close()
            raise DataError(f"not a readable Parquet file ({error})", where=container) from error
        metadata = self._file.metadata
        self._starts = [0, *accumulate(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))]
        self._cursors: dict[str, _Cursor] = {}

    def close(self) -> None:
        """Close the file."""
        self._cursors.clear()
        self._file.close()
        self._handle.close()

    def read(self, column: str, row: int) -> bytes:
        """The picture in row ``row`` of ``column``; empty where the cell is.

        Raises:
            DataError: there is no such column or row, or it does not hold bytes.
            OSError: the file cannot be read at this place.
        """
        import pyarrow as pa

        if row >= self._starts[-1]:
            raise DataError(f"the Parquet file has no row {row} (it has {self._starts[-1]})")
        cursor = self._cursors.get(column)
        if cursor is None or not cursor.start <= row < cursor.end:
            # Another group, or a row that was passed: begin at the group's beginning.
            group = bisect.bisect_right(self._starts, row) - 1
            self._cursors[column] = cursor = _Cursor(*self._opened(column, group))
        try:
            return cursor.read(row)
        except pa.ArrowException as error:
            raise DataError(f"the Parquet file is damaged ({error})") from error

    def _opened(self, column: str, group: int) -> tuple[Iterator[Any], int, int]:
        schema = self._file.schema_arrow
        place = schema.get_field_index(column)
        if place < 0 or not holds_images(schema.field(place).type):
            raise DataError(f"the Parquet file has no column '{column}' of image bytes")
        leaf = f"{column}.bytes" if _is_struct(schema.field(place).type) else column
        rows = self._starts[group + 1] - self._starts[group]
        metadata = self._file.metadata.row_group(group)
        size = sum(
            metadata.column(each).total_uncompressed_size
            for each in range(metadata.num_columns)
            if metadata.column(each).path_in_schema == leaf
        )
        at_a_time = max(1, min(MOST_ROWS, ABOUT * rows // max(size, 1)))
        batches = self._file.iter_batches(batch_size=at_a_time, row_groups=[group], columns=[leaf], use_threads=False)
        return batches, self._starts[group], self._starts[group + 1]


class _Cursor:
    """A way through one row group: batches of rows from ``start`` on, the group's end at ``end``."""

    def __init__(self, batches: Iterator[Any], start: int, end: int) -> None:
        self._batches, self._values, self._next = batches, None, start
        self.start, self.end = start, end

    def read(self, row: int) -> bytes:
        while row >= self._next:
            batch = next(self._batches, None)
            if batch is None or batch.num_columns != 1:
                raise OSError("the row group holds fewer rows than it says")
            column = batch.column(0)
            self._values = column.flatten()[0] if _is_struct(column.type) else column
            self.start, self._next = self._next, self._next + len(column)
        assert self._values is not None
        return self._values[row - self.start].as_py() or b""


def holds_images(kind: Any) -> bool:
    """Whether a column's type is that of pictures: binary, or Hugging Face's struct with a field ``bytes``."""
    import pyarrow as pa

    if _is_struct(kind):
        place = kind.get_field_index("bytes")
        return place >= 0 and holds_images(kind.field(place).type) and not _is_struct(kind.field(place).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def _is_struct(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_struct(kind))
