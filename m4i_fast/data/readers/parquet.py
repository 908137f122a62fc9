"""Parquet with columns id, image, caption or captions: also a run's own ``records.parquet``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from m4i_fast.data.files import read_bytes
from m4i_fast.data.readers.columns import Row, records_from_rows
from m4i_fast.data.readers.gather import RecordSet
from m4i_fast.errors import DataError

__all__ = ["parquet_rows", "read_parquet"]


def read_parquet(path: Path, images: Path | None) -> RecordSet:
    """Records of a Parquet file.

    Raises:
        DataError: no Parquet file, truncated, or as ``records_from_rows`` (row numbers from 1).
    """
    return records_from_rows(path, "parquet", parquet_rows(path), images)


def parquet_rows(path: Path) -> Iterator[Row]:
    """Rows of a Parquet file by column name, decoded a batch at a time.

    Raises:
        DataError: it cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = pa.py_buffer(read_bytes(path))
    number = 0
    try:
        for batch in pq.ParquetFile(content).iter_batches():
            for values in batch.to_pylist():
                number += 1
                yield Row(f"{path} row {number}", values)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"not a readable Parquet file ({error})", where=path, cure="Make it again.") from error
