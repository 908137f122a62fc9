"""Rows with ids (JSONL, JSON, CSV, Parquet): a hypothesis a row, or a record's references."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from m4i_fast.data.files import not_utf8, read_json_text
from m4i_fast.data.pairs.lines import Lines
from m4i_fast.data.pairs.sources import Source
from m4i_fast.data.readers.csv_table import csv_rows
from m4i_fast.data.readers.gather import identifier
from m4i_fast.data.readers.parquet import parquet_rows
from m4i_fast.errors import DataError
from m4i_fast.kernels.texts import kind_of

__all__ = ["ReferenceRows", "Taken", "TextRows"]

IDS = ("image_id", "id")  # where both are, as in COCO captions, ``id`` only numbers the rows
TEXTS = ("caption", "text", "hypothesis")
LISTS = ("references", "captions")
SINGLES = ("caption", "reference", "text")
AT_ONCE = 1 << 12  # lines that are parsed at once

HYPOTHESES = 'Write {"id": "1", "caption": "a dog"} a row; image_id, text and hypothesis are understood too.'
REFERENCES = (
    'Write {"id": "1", "references": ["a dog", "the dog"]} a row, or a row for each {"id": "1", "caption": ...}.'
)

Numbered = tuple[int, Mapping[str, Any]]


class Taken(NamedTuple):
    """Some rows: their ids, what belongs to them (None: nothing), and their numbers in the file, for messages."""

    ids: list[str]
    values: list[Any]
    numbers: list[int]


class TextRows:
    """Hypotheses: an id and a text a row; the text is None where the row says ``null``.

    Args:
        source: read as the rows are taken.
    """

    def __init__(self, source: Source) -> None:
        self.name = source.name
        self.place = _placer(source)
        self._rows = self._read(source)

    def take(self, count: int) -> Taken:
        """The next ``count`` rows; fewer at the end.

        Raises:
            DataError: a row is malformed, or has no id or no text (says where).
        """
        return _taken(islice(self._rows, count))

    def _read(self, source: Source) -> Iterator[tuple[str, str | None, int]]:
        id_key = text_key = ""
        for number, row in _rows(source, HYPOTHESES):
            if id_key not in row or text_key not in row:
                id_key = _key(row, IDS, self.place(number), HYPOTHESES)
                text_key = _key(row, TEXTS, self.place(number), HYPOTHESES)
            text = row[text_key]
            if type(text) is not str and text is not None:
                raise DataError(
                    f"the {text_key} is {kind_of(text)}, not text",
                    where=self.place(number),
                    cure="Give one hypothesis a row; of several generations make several files.",
                )
            yield _id(row[id_key], self.place, number), text, number


class ReferenceRows:
    """References: an id and a list of texts a record.

    A file with a row for each reference is gathered first, wherever its rows stand; one with a row a record is read as
    the records are taken.

    Args:
        source: a file, which can be read twice.
    """

    def __init__(self, source: Source) -> None:
        self.name = source.name
        self.place = _placer(source)
        self._source = source
        self._records = self._read()

    def take(self, count: int) -> Taken:
        """The next ``count`` records; fewer at the end.

        Raises:
            DataError: a row is malformed, or has no id or no references (says where).
        """
        return _taken(islice(self._records, count))

    def anew(self) -> ReferenceRows:
        """The same file from its beginning."""
        return ReferenceRows(self._source)

    def _read(self) -> Iterator[tuple[str, list[str], int]]:
        rows = _rows(self._source, REFERENCES)
        first = next(rows, None)
        if first is None:
            return
        listed = [key for key in LISTS if key in first[1]]
        rows = _chained(first, rows)
        yield from self._listed(rows) if listed else self._gathered(rows)

    def _listed(self, rows: Iterator[Numbered]) -> Iterator[tuple[str, list[str], int]]:
        id_key = list_key = ""
        for number, row in rows:
            if id_key not in row or list_key not in row:
                id_key = _key(row, IDS, self.place(number), REFERENCES)
                list_key = _key(row, LISTS, self.place(number), REFERENCES)
            texts = row[list_key]
            if type(texts) is not list:
                texts = self._as_list(texts, list_key, number)
            for text in texts:
                if type(text) is not str:
                    self._refuse(text, number)
            yield _id(row[id_key], self.place, number), texts, number

    def _gathered(self, rows: Iterator[Numbered]) -> Iterator[tuple[str, list[str], int]]:
        id_key = text_key = ""
        records: dict[str, tuple[list[str], int]] = {}
        for number, row in rows:
            if id_key not in row or text_key not in row:
                id_key = _key(row, IDS, self.place(number), REFERENCES)
                text_key = _key(row, SINGLES, self.place(number), REFERENCES)
            text = row[text_key]
            if type(text) is not str:
                self._refuse(text, number)
            id_ = _id(row[id_key], self.place, number)
            known = records.get(id_)
            if known is None:
                records[id_] = ([text], number)
            else:
                known[0].append(text)
        for id_ in list(records):  # let go one by one, as they are taken
            texts, number = records.pop(id_)
            yield id_, texts, number

    def _as_list(self, value: Any, key: str, number: int) -> list[Any]:
        if value is None:
            return []
        if isinstance(value, str) and self._source.format == "csv":
            value = read_json_text(value, path=Path(self.place(number)))
        if not isinstance(value, list):
            raise DataError(
                f"{key} is {kind_of(value)}, not a list of texts", where=self.place(number), cure=REFERENCES
            )
        return value

    def _refuse(self, text: Any, number: int) -> None:
        raise DataError(
            f"a reference is {kind_of(text)}, not text",
            where=self.place(number),
            cure="Leave a missing reference out; a record may have none.",
        )


def _taken(rows: Iterator[tuple[str, Any, int]]) -> Taken:
    found = list(rows)
    if not found:
        return Taken([], [], [])
    ids, values, numbers = zip(*found, strict=True)
    return Taken(list(ids), list(values), list(numbers))


def _chained(first: Numbered, rows: Iterator[Numbered]) -> Iterator[Numbered]:
    yield first
    yield from rows


def _placer(source: Source) -> Callable[[int], str]:
    """How a message names a row."""
    shapes = {"jsonl": "{}:{}", "json": "{}: [{}]", "csv": "{} row {}", "parquet": "{} row {}"}
    shape = shapes[source.format]
    return lambda number: shape.format(source.name, number)


def _key(row: Mapping[str, Any], names: tuple[str, ...], where: str, cure: str) -> str:
    found = [name for name in names if name in row]
    if len(found) == 1 or (found and names is IDS):
        return found[0]
    wanted = " or ".join(names)
    said = f"there are both {' and '.join(found)}" if found else f"no {wanted}; there are: {', '.join(row) or 'none'}"
    raise DataError(said, where=where, cure=cure)


def _id(value: Any, place: Callable[[int], str], number: int) -> str:
    # The usual ones first: ``identifier`` looks at each character.
    if type(value) is int:
        return str(value)
    if type(value) is str and value.isprintable() and value and value[0] != " " and value[-1] != " ":
        return value
    return identifier(value, where=place(number))


def _rows(source: Source, cure: str) -> Iterator[Numbered]:
    """Each row with its number: of its line in JSONL, from 0 in a JSON list, else from 1."""
    if source.format == "jsonl":
        yield from _json_lines(source, cure)
    elif source.format == "json":
        yield from _json_list(source, cure)
    elif source.path is None:
        raise DataError(
            f"{source.format} cannot be read from it", where=source.name, cure="Give a file, or plain text or JSONL."
        )
    elif source.format == "csv":
        yield from enumerate((row.values for row in csv_rows(source.path)), start=1)
    else:
        yield from enumerate((row.values for row in parquet_rows(source.path)), start=1)


def _json_lines(source: Source, cure: str) -> Iterator[Numbered]:
    lines, number = Lines(source), 0
    decode = msgspec.json.Decoder().decode
    while block := lines.take(AT_ONCE):
        for line in block:
            number += 1
            try:
                value = decode(line)
            except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
                if not line or line.isspace():
                    continue
                # It says where and what; half a surrogate pair, which the other refuses, is let through.
                value = read_json_text(line, path=Path(source.name), line=number)
            if type(value) is not dict:
                raise DataError(
                    f"an object is wanted, not {kind_of(value)}", where=f"{source.name}:{number}", cure=cure
                )
            yield number, value


def _json_list(source: Source, cure: str) -> Iterator[Numbered]:
    content = b"".join(source.chunks())
    try:
        value = msgspec.json.decode(content)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise not_utf8(source.name, content, error) from error
        value = read_json_text(text, path=Path(source.name))
    del content
    rows = value.get("annotations") if isinstance(value, dict) else value
    if not isinstance(rows, list):
        raise DataError(
            "neither a list of objects nor COCO captions (an object with a list 'annotations')",
            where=source.name,
            cure=cure,
        )
    place = _placer(source)
    for index, row in enumerate(rows):
        if type(row) is not dict:
            raise DataError(f"an object is wanted, not {kind_of(row)}", where=place(index), cure=cure)
        rows[index] = None  # read once, and let go
        yield index, row
