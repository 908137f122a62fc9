"""Parquet with columns id, image, caption or captions: also a run's own ``records.parquet``.

The column of images holds paths, or the pictures themselves: binary, or a struct with a field ``bytes``, as Hugging
Face's data sets are written. Pictures are not read here: a record gets the locator of its cell.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from m4i_fast.data.cells import holds_images
from m4i_fast.data.locators import Cell, format_locator
from m4i_fast.data.readers.columns import Row
from m4i_fast.data.readers.places import Found, located
from m4i_fast.data.stores import Source, reading
from m4i_fast.errors import DataError

__all__ = ["parquet_image_rows", "parquet_rows"]

BATCH = 1024
BUFFER = 1 << 20  # without it Parquet reads a whole column chunk at once
IMAGES = ("image", "img", "jpg", "jpeg", "png", "webp")
"""Columns that may hold pictures, in this order."""
CAPTIONS = ("caption", "captions", "references", "text", "sentences")


def parquet_rows(path: Source) -> Iterator[Row]:
    """Rows of a Parquet file by column name, decoded a batch at a time; columns of binary content are left out.

    Raises:
        DataError: it cannot be read.
    """
    for number, values, _ in _rows(path):
        yield Row(f"{path} row {number + 1}", values)


def parquet_image_rows(path: Source) -> Iterator[Row]:
    """As ``parquet_rows``; where a column holds pictures, each row with the locator of its own.

    Without a column ``id`` the id is then ``file/row``, rows counted from 0 in nine digits: sorted by id is the file's
    order. Captions may also be called ``text`` or ``sentences``, and a list under any of these names is a list.

    Raises:
        DataError: it cannot be read.
    """
    container = located(path)
    for number, values, column in _rows(path):
        where = f"{path} row {number + 1}"
        if column is None:
            yield Row(where, values)
            continue
        lowered = {name.strip().lower(): value for name, value in values.items()}
        lowered.setdefault("id", f"{path.stem}/{number:09d}")
        form = next((name for name in CAPTIONS if name in lowered), None)
        if form is not None:
            content = lowered.pop(form)
            lowered["captions" if isinstance(content, list) else "caption"] = content
        yield Row(where, lowered, Found(format_locator(Cell(container, column, number)), None))


def _rows(path: Source) -> Iterator[tuple[int, dict[str, Any], str | None]]:
    """Number from 0, values of the columns that are no pictures, and the name of the one that is."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with reading(path) as handle:
            if not handle.read(1):
                raise DataError("the file is empty", where=path, cure="Give a file with at least one record.")
            file = pq.ParquetFile(handle, buffer_size=BUFFER, pre_buffer=False)
            schema = file.schema_arrow
            binary = [field.name for field in schema if holds_images(field.type)]
            known = {name.strip().lower(): name for name in binary}
            column = next((known[name] for name in IMAGES if name in known), None)
            wanted = [name for name in schema.names if name not in binary]
            if not wanted:  # without a column a batch has no rows
                for _ in range(file.metadata.num_rows):
                    yield number, {}, column
                    number += 1
                return
            for batch in file.iter_batches(batch_size=BATCH, columns=wanted, use_threads=False):
                for values in batch.to_pylist():
                    yield number, values, column
                    number += 1
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"not a readable Parquet file ({error})", where=path, cure="Make it again.") from error
