"""Readers of captioned images: one file a format, chosen by what a file holds, not by its name alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from m4i_fast.data.files import open_regular, read_bytes, read_json_text, read_text
from m4i_fast.data.readers.coco import read_coco
from m4i_fast.data.readers.csv_table import read_csv
from m4i_fast.data.readers.flickr8k import read_flickr8k
from m4i_fast.data.readers.folder import read_folder
from m4i_fast.data.readers.gather import RecordSet
from m4i_fast.data.readers.iapr_tc12 import read_iapr_tc12
from m4i_fast.data.readers.jsonl import read_jsonl
from m4i_fast.data.readers.kaggle import read_kaggle
from m4i_fast.data.readers.parquet import read_parquet
from m4i_fast.data.readers.r2gen import SPLITS, read_r2gen
from m4i_fast.errors import DataError
from m4i_fast.types import Record

__all__ = ["FORMATS", "RecordSet", "read_records", "read_table"]

Reader = Callable[[Path, Path | None], RecordSet]

FORMATS: Mapping[str, Reader] = {
    "coco": read_coco,
    "flickr8k": read_flickr8k,
    "kaggle": read_kaggle,
    "iapr-tc12": read_iapr_tc12,
    "r2gen": read_r2gen,
    "jsonl": read_jsonl,
    "csv": read_csv,
    "parquet": read_parquet,
    "folder": read_folder,
}
"""Every format and its reader. ``auto`` chooses among them."""

ANNOTATIONS = ("captions.json", "captions*.json", "annotation.json", "captions.txt", "*.token.txt", "*.jsonl", "*.csv")
"""Names by which a data set's annotation file is known inside its folder."""

GLANCE = 1 << 16  # bytes that are looked at to know a format


def read_records(
    path: Path,
    *,
    images: Path | None = None,
    format: str = "auto",  # noqa: A002 - the option's name
) -> list[Record]:
    """Read captioned images.

    Args:
        path: an annotation file, a data set's folder with one annotation file in it, or a folder of images.
        images: where the images lie, if not in the annotation file's folder or its ``images`` folder.
        format: a name of ``FORMATS``, or ``auto``.

    Returns:
        Records with distinct ids and absolute image paths, in the file's order. What cannot be used (an image that is
        absent, a broken caption) stays a record with its ``error``.

    Raises:
        DataError: the file as a whole cannot be read; says where (line, column, row) and what to do.
    """
    return list(read_table(path, images=images, format=format).records)


def read_table(
    path: Path,
    *,
    images: Path | None = None,
    format: str = "auto",  # noqa: A002 - the option's name
) -> RecordSet:
    """As ``read_records``, with the file's further columns (``split``, ``is_member`` ...) and notes."""
    path = Path(path)
    if format != "auto" and format not in FORMATS:
        raise DataError(f"unknown format '{format}'", where="--format", cure=f"One of: auto, {', '.join(FORMATS)}.")
    if path.is_dir() and format not in {"folder", "iapr-tc12"}:
        path, known = _inside(path, format)
        format = known if format == "auto" and known else format  # noqa: A001
    if format == "auto":
        format = _format_of(path)  # noqa: A001
    return FORMATS[format](path, images)


def _inside(folder: Path, format: str) -> tuple[Path, str | None]:  # noqa: A002
    """The annotation file of a data set's folder; where it holds none, the folder itself and its format."""
    found = sorted({each for pattern in ANNOTATIONS for each in folder.glob(pattern) if each.is_file()})
    found = found or sorted(each for each in folder.glob("*.parquet") if each.is_file())
    if len(found) == 1:
        return found[0], None
    if found:
        raise DataError(
            f"the folder holds several annotation files: {', '.join(each.name for each in found)}",
            where=folder,
            cure="Give one of them.",
        )
    if format != "auto":
        raise DataError("no annotation file of a known name in this folder", where=folder, cure="Give the file itself.")
    return folder, "iapr-tc12" if next(folder.rglob("*.eng"), None) else "folder"


def _format_of(path: Path) -> str:
    try:
        with open_regular(path) as file:
            head = file.read(GLANCE)
    except (OSError, ValueError):
        head = read_bytes(path)[:GLANCE]  # raises with what, where and cure
    if head[:4] == b"PAR1":
        return "parquet"
    text = head.decode("utf-8", "replace").removeprefix("\ufeff").lstrip()
    first = text.split("\n", 1)[0].rstrip("\r")
    suffix = path.suffix.lower()
    if suffix in {".jsonl", ".ndjson"}:
        return "jsonl"
    if suffix == ".parquet":
        return "parquet"
    if text.startswith(("{", "[")):
        return _json_format(path, text, first)
    if text[:5].upper() == "<DOC>":
        return "iapr-tc12"
    if "#" in first.split("\t")[0] and "\t" in first:
        return "flickr8k"
    names = [name.strip().strip('"').lower() for name in first.replace("\t", ",").split(",")]
    if names == ["image", "caption"]:
        return "kaggle"
    if "image" in names or suffix in {".csv", ".tsv"}:
        return "csv"
    if not text.strip():
        read_bytes(path)
    raise DataError(
        f"neither of: {', '.join(FORMATS)}; it begins with {first[:40]!r}",
        where=path,
        cure="Say which it is with --format.",
    )


def _json_format(path: Path, text: str, first: str) -> str:
    if text.startswith("["):
        return "jsonl"  # a list of rows
    keys = _keys(first)
    if keys is None:  # an object over many lines, or one line longer than a glance
        keys = set(read_json_text(read_text(path), path=path))
    if keys & {"images", "annotations"}:
        return "coco"
    if keys & set(SPLITS):
        return "r2gen"
    if "image" in keys:
        return "jsonl"
    raise DataError(
        f"JSON of an unknown form, with the keys {', '.join(sorted(keys)[:8])}",
        where=path,
        cure=f"Say which format it is with --format: {', '.join(FORMATS)}.",
    )


def _keys(line: str) -> set[str] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return set(value) if isinstance(value, dict) else None
