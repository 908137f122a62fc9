"""Readers of captioned images: one file a format, chosen by what a file holds, not by its name alone."""

from __future__ import annotations

import fnmatch
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from m4i_fast.data.files import read_bytes, read_json_text, read_text
from m4i_fast.data.readers.coco import read_coco
from m4i_fast.data.readers.flickr8k import read_flickr8k
from m4i_fast.data.readers.folder import SUFFIXES
from m4i_fast.data.readers.gather import RecordSet
from m4i_fast.data.readers.iapr_tc12 import read_iapr_tc12
from m4i_fast.data.readers.kaggle import read_kaggle
from m4i_fast.data.readers.r2gen import SPLITS, read_r2gen
from m4i_fast.data.readers.shards import is_pattern, shards_of
from m4i_fast.data.readers.streams import ROWS, RecordStream, table_of
from m4i_fast.data.stores import Remote, Source, as_source, filesystem, reading, unreadable
from m4i_fast.errors import DataError
from m4i_fast.types import Record

__all__ = [
    "FORMATS",
    "RecordSet",
    "RecordStream",
    "iter_records",
    "open_records",
    "read_records",
    "read_table",
]

Reader = Callable[[Source, Source | None], RecordSet]

_WHOLE: Mapping[str, Reader] = {
    "coco": read_coco,
    "flickr8k": read_flickr8k,
    "kaggle": read_kaggle,
    "iapr-tc12": read_iapr_tc12,
    "r2gen": read_r2gen,
}
FORMATS = (*_WHOLE, *ROWS)
"""Every format. ``auto`` chooses among them; those of ``ROWS`` are read row by row, in bounded memory."""

ANNOTATIONS = ("captions.json", "captions*.json", "annotation.json", "captions.txt", "*.token.txt", "*.jsonl", "*.csv")
"""Names by which a data set's annotation file is known inside its folder."""

GLANCE = 1 << 16  # bytes that are looked at to know a format


def read_records(
    path: Source | str,
    *,
    images: Source | str | None = None,
    format: str = "auto",  # noqa: A002 - the option's name
) -> list[Record]:
    """Read captioned images.

    Args:
        path: an annotation file, a data set's folder with one annotation file in it, a folder of images, or tars; a
            path or the URL of a store, with ``{000..127}`` and ``*`` for several files.
        images: where the images lie, if not in the annotation file's folder or its ``images`` folder; a path or a URL.
        format: a name of ``FORMATS``, or ``auto``.

    Returns:
        Records with distinct ids and absolute image paths (or locators: ``m4i_fast.data.locators``), in the file's
        order. What cannot be used (an image that is absent, a broken caption) stays a record with its ``error``.

    Raises:
        DataError: the file as a whole cannot be read; says where (line, column, row) and what to do.
    """
    return list(read_table(path, images=images, format=format).records)


def iter_records(
    path: Source | str,
    *,
    images: Source | str | None = None,
    format: str = "auto",  # noqa: A002 - the option's name
) -> Iterator[Record]:
    """As ``read_records``, one by one: see ``open_records``."""
    return iter(open_records(path, images=images, format=format))


def open_records(
    path: Source | str,
    *,
    images: Source | str | None = None,
    format: str = "auto",  # noqa: A002 - the option's name
) -> RecordStream:
    """Read captioned images of any number, in a stable order, without a list of them in memory.

    Formats of ``ROWS`` come row by row; the others (JSON must be parsed whole) are read here and now. What needs all
    records at once is left to whoever takes them: an id twice, and the captions of one record in rows that lie apart
    (``RecordStream.joins``). ``m4i_fast.record_file.write_record_stream`` does both.

    Args:
        path: as for ``read_records``.
        images: as for ``read_records``.
        format: as for ``read_records``.

    Raises:
        DataError: as ``read_records``; of rows when they are come to.
    """
    sources, format, pictures = _known(path, images, format)  # noqa: A001 - the option's name
    whole = _WHOLE[format](sources[0], pictures) if format in _WHOLE else None
    return RecordStream(sources, format, pictures, whole)


def read_table(
    path: Source | str,
    *,
    images: Source | str | None = None,
    format: str = "auto",  # noqa: A002 - the option's name
) -> RecordSet:
    """As ``read_records``, with the file's further columns (``split``, ``is_member`` ...) and notes."""
    sources, format, pictures = _known(path, images, format)  # noqa: A001 - the option's name
    if format in _WHOLE:
        return _WHOLE[format](sources[0], pictures)
    return table_of(sources, format, pictures)


def _known(
    path: Source | str,
    images: Source | str | None,
    format: str,  # noqa: A002 - the option's name
) -> tuple[Sequence[Source], str, Source | None]:
    """The files that DATA means, their format, and the folder of the images."""
    if format != "auto" and format not in FORMATS:
        raise DataError(f"unknown format '{format}'", where="--format", cure=f"One of: auto, {', '.join(FORMATS)}.")
    source = as_source(path)
    pictures = None if images is None else as_source(images)
    sources: Sequence[Source] = [source]
    if is_pattern(source):
        sources = shards_of(source)
    elif format not in {"folder", "iapr-tc12"} and source.is_dir():
        sources, known = _inside(source, format)
        format = known if format == "auto" and known else format  # noqa: A001 - the option's name
    if format == "auto":
        format = _format_of(sources[0])  # noqa: A001 - the option's name
    if len(sources) > 1 and format in _WHOLE:
        raise DataError(
            f"{len(sources)} files of the format {format}, which is one file", where=source, cure="Give one of them."
        )
    return sources, format, pictures


def _inside(folder: Source, format: str) -> tuple[Sequence[Source], str | None]:  # noqa: A002 - the option's name
    """The annotation file of a data set's folder; where it holds none, the folder itself and its format."""
    names = _names(folder)
    found = sorted({name for pattern in ANNOTATIONS for name in fnmatch.filter(names, pattern)})
    found = found or sorted(fnmatch.filter(names, "*.parquet"))
    if len(found) == 1:
        return [_child(folder, found[0])], None
    if found:
        all_parquet = all(name.endswith(".parquet") for name in found)
        raise DataError(
            f"the folder holds several annotation files: {', '.join(found[:8])}{', ...' if len(found) > 8 else ''}",
            where=folder,
            cure=f"Give one of them, or all as '{folder}/*.parquet'." if all_parquet else "Give one of them.",
        )
    tars = sorted(fnmatch.filter(names, "*.tar"))
    if tars and format in {"auto", "webdataset"}:
        return [_child(folder, name) for name in tars], "webdataset"
    if format != "auto":
        raise DataError("no annotation file of a known name in this folder", where=folder, cure="Give the file itself.")
    papers = isinstance(folder, Path) and next(folder.rglob("*.eng"), None)
    return [folder], "iapr-tc12" if papers else "folder"


def _names(folder: Source) -> list[str]:
    """Names of the files in a folder that an annotation file could have: not of its images, be they millions."""
    if isinstance(folder, Path):
        with os.scandir(folder) as entries:
            names = [each.name for each in entries if not each.name.lower().endswith(SUFFIXES)]
        return [name for name in names if (folder / name).is_file()]
    files, path = filesystem(folder.url)
    try:
        entries = files.ls(path, detail=True)
        files.invalidate_cache()
    except Exception as error:  # a store's client raises what it likes
        raise unreadable(folder, error) from error
    names = [each["name"].rpartition("/")[2] for each in entries if each["type"] == "file"]
    return [name for name in names if name and not name.lower().endswith(SUFFIXES)]


def _child(folder: Source, name: str) -> Source:
    return folder / name if isinstance(folder, Path) else Remote(f"{folder}/{name}")


def _format_of(path: Source) -> str:
    with reading(path) as file:
        head = file.read(GLANCE)
    if head[:4] == b"PAR1":
        return "parquet"
    suffix = path.suffix.lower()
    if suffix == ".tar" or head[257:262] == b"ustar":
        return "webdataset"
    if suffix in {".tgz", ".gz"}:
        raise DataError("compressed files are not read", where=path, cure="Unpack it first.")
    text = head.decode("utf-8", "replace").removeprefix("\ufeff").lstrip()
    first = text.split("\n", 1)[0].rstrip("\r")
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


def _json_format(path: Source, text: str, first: str) -> str:
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
