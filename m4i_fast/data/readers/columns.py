"""Rows with named columns (JSONL, CSV, Parquet) as records: ``id, image, caption`` or ``captions``, and any others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from m4i_fast.data.readers.gather import Gathering, RecordSet, identifier
from m4i_fast.data.readers.places import Places
from m4i_fast.errors import DataError

__all__ = ["CURE", "Row", "records_from_rows"]

CURE = "Columns: id, image, then caption (one a row) or captions (a list); also split, is_member, group, image_sha256."
OWN = {"id", "image", "caption", "captions", "references", "group", "error", "image_sha256"}


class Row(NamedTuple):
    """``where``: its place in the file, for messages. ``values``: by column name."""

    where: str
    values: Mapping[str, Any]


def records_from_rows(path: Path, format: str, rows: Iterable[Row], images: Path | None) -> RecordSet:  # noqa: A002
    """Records of a table.

    With ``caption``, rows of one id and one image become the references of one record; with ``captions`` (or
    ``references``) a row is a record. Without either, the records have no references. Without ``id``, the image's name
    is the id.

    Raises:
        DataError: a column is missing, both forms of captions in one row, a double id, an id with two images.
    """
    gathering = Gathering(path, format, Places(path.parent, images, absolute=True))
    captioned = False
    several: set[str] = set()  # ids that came with 'captions' may not come again
    for row in rows:
        values = {str(name).strip().lower(): value for name, value in row.values.items()}
        if "image" not in values:
            raise DataError(f"no column 'image'; there are: {', '.join(values)}", where=row.where, cure=CURE)
        image = values["image"]
        if image is not None and not isinstance(image, str):
            raise DataError(f"image must be a path, not {type(image).__name__}", where=row.where, cure=CURE)
        image = (image or "").strip()
        id_ = identifier(values.get("id", image or None), where=row.where)
        group = identifier(values["group"], where=row.where, what="group") if values.get("group") else ""
        error, digest = values.get("error"), values.get("image_sha256")
        rest: dict[str, Any] = {
            "where": row.where,
            "group": group,
            "error": error if isinstance(error, str) and error else None,
            "image_sha256": digest if isinstance(digest, str) and digest else None,
            "extras": {name: value for name, value in values.items() if name not in OWN and _scalar(value)},
        }
        forms = [name for name in ("caption", "captions", "references") if name in values]
        if len(forms) > 1:
            raise DataError(f"both {forms[0]} and {forms[1]} are given", where=row.where, cure="Keep one of them.")
        captioned = captioned or bool(forms)
        if forms == ["caption"] and id_ not in several:
            gathering.join(id_, image, values["caption"], **rest)
        else:
            several.add(id_)
            gathering.add(id_, image, _captions(forms[0], values[forms[0]], row.where) if forms else (), **rest)
    return gathering.finish(captioned=captioned)


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
