"""JSONL: one JSON object a line; a ``.json`` file that holds a list of objects is read the same way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from m4i_fast.data.files import read_json_text, read_text
from m4i_fast.data.readers.columns import CURE, Row, records_from_rows
from m4i_fast.data.readers.gather import RecordSet
from m4i_fast.errors import DataError

__all__ = ["read_jsonl"]


def read_jsonl(path: Path, images: Path | None) -> RecordSet:
    """Records of a JSONL file.

    Raises:
        DataError: a line is no JSON object (line and column), or as ``records_from_rows``.
    """
    return records_from_rows(path, "jsonl", _rows(path), images)


def _rows(path: Path) -> Iterator[Row]:
    text = read_text(path)
    if text.lstrip().startswith("["):
        for index, value in enumerate(read_json_text(text, path=path)):
            yield _row(value, f"{path}: [{index}]")
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield _row(read_json_text(line, path=path, line=number), f"{path}:{number}")


def _row(value: object, where: str) -> Row:
    if not isinstance(value, dict):
        raise DataError(f"an object is wanted, not {type(value).__name__}", where=where, cure=CURE)
    return Row(where, value)
