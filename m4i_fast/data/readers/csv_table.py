"""CSV (and TSV) with a header line; a cell of ``captions`` is a JSON list."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from m4i_fast.data.files import read_json_text, read_text
from m4i_fast.data.readers.columns import CURE, Row
from m4i_fast.data.stores import Source
from m4i_fast.errors import DataError

__all__ = ["csv_rows", "csv_table_rows"]

LONGEST_CELL = 1 << 26
"""Characters; the csv module's own limit of 131,072 is below what five long reports take."""


def csv_table_rows(path: Source) -> Iterator[Row]:
    """``csv_rows`` with the lists in cells of ``captions`` read.

    Raises:
        DataError: as ``csv_rows``, or a cell of ``captions`` is no JSON list.
    """
    return map(_with_lists, csv_rows(path))


def csv_rows(path: Source) -> Iterator[Row]:
    """Rows of a CSV file by column name (lower case), an empty cell as None; blank lines are skipped.

    ``where`` is ``path:line`` (where the row begins; a quoted cell may hold line ends), then the number of the row.

    Raises:
        DataError: broken quotes, a row longer or shorter than the header, a header with a name twice.
    """
    before = csv.field_size_limit(LONGEST_CELL)
    try:
        yield from _csv_rows(path)
    finally:
        csv.field_size_limit(before)


def _csv_rows(path: Source) -> Iterator[Row]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    reader = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=delimiter, strict=True)
    names: list[str] | None = None
    number = 0
    while True:
        line = reader.line_num + 1
        where = f"{path}:{line}" + (f" (row {number + 1})" if names else "")
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"not valid CSV ({error})", where=where, cure="Mend the quotes of this row.") from error
        if not any(cell.strip() for cell in cells):
            continue
        if names is None:
            names = [cell.strip().lower() for cell in cells]
            if len(set(names)) < len(names):
                raise DataError("a column name is there twice", where=where, cure="Name every column differently.")
            continue
        number += 1
        if len(cells) != len(names):
            raise DataError(
                f"the row has {len(cells)} cells, the header {len(names)}",
                where=where,
                cure='Put captions that hold commas in "quotes".',
            )
        yield Row(where, {name: cell if cell != "" else None for name, cell in zip(names, cells, strict=True)})


def _with_lists(row: Row) -> Row:
    values: dict[str, Any] = dict(row.values)
    if "image" not in values:  # the header's fault, not this row's
        file = row.where.rsplit(":", 1)[0]
        raise DataError(f"the header has no column 'image'; it has: {', '.join(values)}", where=file, cure=CURE)
    for name in ("captions", "references"):
        if values.get(name) is not None:
            values[name] = _list(str(values[name]), row.where)
    return Row(row.where, values)


def _list(cell: str, where: str) -> list[Any]:
    if not cell.lstrip().startswith("["):
        raise DataError(
            f"a cell of 'captions' must be a JSON list, not {cell[:40]!r}",
            where=where,
            cure='Write ["first caption", "second"], or use column \'caption\' with a row a caption.',
        )
    try:
        value = read_json_text(cell, path="captions")
    except DataError as error:
        raise DataError(f"the cell of 'captions' is {error.what}", where=where, cure="Mend the list.") from error
    assert isinstance(value, list)
    return value
