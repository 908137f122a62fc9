"""JSONL: one JSON object a line; a ``.json`` file that holds a list of objects is read the same way."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from m4i_fast.data.files import not_utf8, read_json_text, read_text
from m4i_fast.data.readers.columns import CURE, Row
from m4i_fast.data.stores import Source, reading
from m4i_fast.errors import DataError

__all__ = ["jsonl_rows"]

LONGEST_LINE = 64 << 20


def jsonl_rows(path: Source) -> Iterator[Row]:
    """Rows of a JSONL file, a line at a time.

    Raises:
        DataError: a line is no JSON object or not UTF-8 (line and column), or is longer than 64 MiB.
    """
    with reading(path) as file:
        number, seen = 0, False
        while line := file.readline(LONGEST_LINE + 1):
            number += 1
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            if not seen and line.lstrip().startswith(b"["):
                break
            if len(line) > LONGEST_LINE:
                raise DataError("the line is longer than 64 MiB", where=f"{path}:{number}", cure="Is this JSONL?")
            try:
                text = line.decode()
            except UnicodeDecodeError as error:
                raise not_utf8(path, line, error, lines_before=number - 1) from error
            if text.strip():
                seen = True
                yield _row(read_json_text(text.rstrip("\r\n"), path=path, line=number), f"{path}:{number}")
        else:
            if not seen:
                raise DataError("the file is empty", where=path, cure="Give a file with at least one record.")
            return
    for index, value in enumerate(read_json_text(read_text(path), path=path)):
        yield _row(value, f"{path}: [{index}]")


def _row(value: object, where: str) -> Row:
    if not isinstance(value, dict):
        raise DataError(f"an object is wanted, not {type(value).__name__}", where=where, cure=CURE)
    return Row(where, value)
