"""Rows with named columns (JSONL, CSV, Parquet) as records: ``id, image, caption`` or ``captions``, and any others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from m4i_fast.data.readers.gather import Gathering, RecordSet, identifier
from m4i_fast.data.readers.places import Found, Places
from m4i_fast.data.stores import Source
from m4i_fast.errors import DataError
from m4i_fast.types import Record

__all__ = ["CURE", "Row", "Rows", "records_from_rows"]

CURE = "Columns: id, image, then caption (one a row) or captions (a list); also split, is_member, group, image_sha256."
OWN = {"id", "image", "caption", "captions", "references", "group", "error", "image_sha256"}


class Row(NamedTuple):
    """``where``: place in the file, for messages. ``values``: by column name. ``found``: its picture, where known."""

    where: str
    values: Mapping[str, Any]
    found: Found | None = None


class Rows:
    """Rows of one table on their way to records.

    Args:
        gathering: takes them.
    """

    def __init__(self, gathering: Gathering) -> None:
        self._gathering = gathering
        self.forms: set[str | None] = set()
        """Columns of captions that rows had; None for a row without."""

    @property
    def captioned(self) -> bool:
        """Whether a row had a column of captions, be it empty."""
        return bool(self.forms - {None})

    def of_one_caption(self) -> bool:
        """Whether all rows held one caption each: then those of one id are one record."""
        return self.forms == {"caption"}

    def records(self, rows: Iterable[Row]) -> Iterator[Record]:
        """Each record once the rows of another id follow it; nothing is kept but for it.

        Raises:
            DataError: as ``take``; or there is no record, or no caption in all.
        """
        last: str | None = None
        for row in rows:
            values = _lowered(row)
            image = _image(row, values)
            id_ = identifier(values.get("id", image or None), where=row.where)
            if id_ != last:
                yield from self._gathering.drain()
                last = id_
            self._take(row, values, image, id_, joins=True)
        yield from self._gathering.drain()
        self._gathering.check_drained(captioned=self.captioned)

    def take(self, rows: Iterable[Row]) -> None:
        """Take all rows; those of one id may lie anywhere.

        Raises:
            DataError: a column is missing, both forms of captions in one row, a double id, an id with two images.
        """
        several: set[str] = set()  # ids that came with 'captions' may not come again
        for row in rows:
            values = _lowered(row)
            image = _image(row, values)
            id_ = identifier(values.get("id", image or None), where=row.where)
            if self._take(row, values, image, id_, joins=id_ not in several) != "caption":
                several.add(id_)

    def _take(self, row: Row, values: Mapping[str, Any], image: str, id_: str, *, joins: bool) -> str | None:
        group = identifier(values["group"], where=row.where, what="group") if values.get("group") else ""
        error, digest = values.get("error"), values.get("image_sha256")
        rest: dict[str, Any] = {
            "where": row.where,
            "group": group,
            "error": error if isinstance(error, str) and error else None,
            "image_sha256": digest if isinstance(digest, str) and digest else None,
            "extras": {name: value for name, value in values.items() if name not in OWN and _scalar(value)},
            "found": row.found,
        }
        forms = [name for name in ("caption", "captions", "references") if name in values]
        if len(forms) > 1:
            raise DataError(f"both {forms[0]} and {forms[1]} are given", where=row.where, cure="Keep one of them.")
        form = forms[0] if forms else None
        self.forms.add(form)
        if form == "caption" and joins:
            self._gathering.join(id_, image, values["caption"], **rest)
        else:
            self._gathering.add(id_, image, _captions(form, values[form], row.where) if form else (), **rest)
        return form


def records_from_rows(path: Source, format: str, rows: Iterable[Row], images: Source | None) -> RecordSet:  # noqa: A002 - the option's name
    """Records of a table.

    With ``caption``, rows of one id and one image become the references of one record; with ``captions`` (or
    ``references``) a row is a record. Without either, the records have no references. Without ``id``, the image's name
    is the id.

    Raises:
        DataError: as ``Rows.take``.
    """
    gathering = Gathering(path, format, Places(path.parent, images, absolute=True))
    taken = Rows(gathering)
    taken.take(rows)
    return gathering.finish(captioned=taken.captioned)


def _lowered(row: Row) -> dict[str, Any]:
    return {str(name).strip().lower(): value for name, value in row.values.items()}


def _image(row: Row, values: Mapping[str, Any]) -> str:
    if row.found is not None:
        return row.found.path
    if "image" not in values:
        raise DataError(f"no column 'image'; there are: {', '.join(values)}", where=row.where, cure=CURE)
    image = values["image"]
    if image is not None and not isinstance(image, str):
        raise DataError(f"image must be a path, not {type(image).__name__}", where=row.where, cure=CURE)
    return (image or "").strip()


def _captions(form: str, value: Any, where: str) -> list[Any]:
    if form == "caption":
        return [value]
    if value is None:
        return []
    if not isinstance(value, list):
        raise DataError(
            f"captions must be a list, not {type(value).__name__}", where=where, cure="One caption? Use 'caption'."
        )
    return value


def _scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)
