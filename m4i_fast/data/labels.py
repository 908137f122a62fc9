"""Who is a member: labels and id lists in a user's own files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from m4i_fast.data.files import read_json_text, read_text
from m4i_fast.data.readers.csv_table import csv_rows
from m4i_fast.data.readers.gather import identifier
from m4i_fast.data.readers.parquet import parquet_rows
from m4i_fast.errors import DataError
from m4i_fast.types import Membership

__all__ = ["is_member", "read_ids", "read_membership_file"]

MEMBER_WORDS = {"1": True, "true": True, "yes": True, "member": True, "in": True}
NONMEMBER_WORDS = dict.fromkeys(("0", "false", "no", "non-member", "nonmember", "non_member", "out"), False)
WORDS = MEMBER_WORDS | NONMEMBER_WORDS
FORM = "Wanted: columns id,is_member with 1 or 0, true or false, member or non-member."


class _Row(NamedTuple):
    where: str
    values: dict[str, Any]


def read_membership_file(path: Path) -> Membership:
    """Labels from CSV or Parquet (columns ``id``, ``is_member``), JSONL, or JSON: ``{id: label}`` or a list of rows.

    Raises:
        DataError: a label is missing or unknown, an id is there twice or broken; says the line.
    """
    ids: dict[str, bool] = {}
    for where, values in _rows(Path(path), key="id", value="is_member"):
        for column in ("id", "is_member"):
            if column not in values:
                raise DataError(f"no column '{column}'; there are: {', '.join(values)}", where=where, cure=FORM)
        id_ = identifier(values["id"], where=where)
        if id_ in ids:
            raise DataError(f"the id '{id_}' is there twice", where=where, cure="Keep one label an id.")
        ids[id_] = is_member(values["is_member"], where=where)
    if not ids:
        raise DataError("holds no labels", where=path, cure=FORM)
    return Membership(tuple(ids), np.fromiter(ids.values(), np.bool_, len(ids)))


def read_ids(path: Path) -> tuple[str, ...]:
    """A list of ids: text with one a line, JSON list, or a table with a column ``id``. ``#`` starts no comment.

    Raises:
        DataError: an id is broken or there twice, or there is none; says the line.
    """
    path = Path(path)
    ids: dict[str, None] = {}
    for where, value in _id_rows(path):
        id_ = identifier(value, where=where)
        if id_ in ids:
            raise DataError(f"the id '{id_}' is there twice", where=where, cure="Keep one.")
        ids[id_] = None
    if not ids:
        raise DataError("holds no ids", where=path, cure="Write one id a line.")
    return tuple(ids)


def is_member(value: Any, *, where: object) -> bool:
    """A label in any of its spellings: 1 0, true false, yes no, in out, member non-member (any case).

    Raises:
        DataError: it is none of them.
    """
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    word = "" if value is None else str(value).strip().lower()
    if word not in WORDS:
        shown = "no label" if not word else f"the label {str(value)[:40]!r}, which is unknown"
        raise DataError(f"there is {shown}", where=where, cure=FORM)
    return WORDS[word]


def _id_rows(path: Path) -> Iterator[tuple[str, Any]]:
    suffix = path.suffix.lower()
    if suffix in {".csv", ".tsv", ".parquet", ".jsonl", ".ndjson"}:
        for row in _rows(path, key="id", value=None):
            if "id" not in row.values:
                raise DataError(f"no column 'id'; there are: {', '.join(row.values)}", where=row.where, cure="Name it.")
            yield row.where, row.values["id"]
        return
    text = read_text(path)
    if suffix == ".json" or text.lstrip().startswith("["):
        content = read_json_text(text, path=path)
        if not isinstance(content, list):
            raise DataError("not a list of ids", where=path, cure='Write ["first", "second"].')
        for index, value in enumerate(content):
            yield f"{path}: [{index}]", value
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield f"{path}:{number}", line


def _rows(path: Path, *, key: str, value: str | None) -> Iterator[_Row]:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        for row in parquet_rows(path):
            yield _Row(row.where, _lower(row.values.items()))
    elif suffix in {".json", ".jsonl", ".ndjson"}:
        yield from _json_rows(path, key, value)
    else:
        for row in csv_rows(path):
            yield _Row(row.where, dict(row.values))


def _json_rows(path: Path, key: str, value: str | None) -> Iterator[_Row]:
    text = read_text(path)
    if path.suffix.lower() != ".json":
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                yield _row(read_json_text(line, path=path, line=number), f"{path}:{number}")
        return
    content = read_json_text(text, path=path)
    if isinstance(content, dict) and value is not None:
        _refuse_doubled_keys(text, path)
        for id_, label in content.items():
            yield _Row(f"{path}: {json.dumps(id_)}", {key: id_, value: label})
    elif isinstance(content, list):
        for index, each in enumerate(content):
            yield _row(each, f"{path}: [{index}]")
    else:
        raise DataError("neither an object of labels by id nor a list of rows", where=path, cure=FORM)


def _row(value: Any, where: str) -> _Row:
    if not isinstance(value, dict):
        raise DataError(f"an object is wanted, not {type(value).__name__}", where=where, cure=FORM)
    return _Row(where, _lower(value.items()))


def _lower(items: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    return {str(name).strip().lower(): value for name, value in items}


def _refuse_doubled_keys(text: str, path: Path) -> None:
    """A JSON object may name a key twice, and a parser keeps the last in silence: for labels that is an error."""

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):
            twice = next(name for index, name in enumerate(names) if name in names[:index])
            raise DataError(f"the id '{twice}' is there twice", where=path, cure="Keep one label an id.")
        return dict(pairs)

    json.loads(text, object_pairs_hook=look)
