"""A bare folder of images: records without references, for the owner who has pictures only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from m4i_fast.data.readers.columns import Row
from m4i_fast.data.readers.gather import identifier
from m4i_fast.data.readers.places import Found, Places
from m4i_fast.data.stores import Remote, Source, filesystem, unreadable

__all__ = ["SUFFIXES", "folder_rows", "image_names"]

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".jp2", ".avif")


def folder_rows(path: Source) -> Iterator[Row]:
    """One row an image file below the folder, ``id`` = its path inside, sorted; one folder's list in memory at a time.

    A file whose name is not UTF-8 or holds a control character stays a record with its reason; both are escaped in its
    id.

    Raises:
        DataError: a folder cannot be listed.
    """
    if isinstance(path, Remote):
        for name, size in _objects(path):
            readable, odd = _readable(name)
            error = odd or (None if size else "image file is empty")
            identity = identifier(readable, where=path, what="file name")
            yield Row(str(path), {"id": identity}, Found(f"{path}/{name}", error))
        return
    places = Places(path, None, beside=("",))
    for name in image_names(path):
        readable = os.fsencode(name).decode("utf-8", "backslashreplace")
        readable, odd = _readable(readable)
        error = odd or (None if os.fsencode(name) == readable.encode() else "the file's name is not UTF-8")
        values = {"id": identifier(readable, where=path, what="file name"), "error": error}
        yield Row(str(path), values, places.find(readable))


def _readable(name: str) -> tuple[str, str | None]:
    """A name that can be an id, and why a record of it is none."""
    if all(sign >= " " and sign != "\x7f" for sign in name):
        return name, None
    return ascii(name)[1:-1], "the file's name holds a control character"


def image_names(folder: Path) -> Iterator[str]:
    """Paths of the image files below a folder, relative to it, sorted; hidden ones and linked folders are left out.

    Raises:
        DataError: a folder cannot be listed.
    """
    return _names(str(folder), "", folder)


def _names(here: str, inside: str, folder: Path) -> Iterator[str]:
    try:
        with os.scandir(here) as entries:
            # A folder stands where its files' whole paths belong: 'a-b.jpg' < 'a.jpg' < 'a/b.jpg'.
            found = sorted(
                entry.name + "/" * entry.is_dir(follow_symlinks=False) for entry in entries if _wanted(entry)
            )
    except OSError as error:
        raise unreadable(Path(here), error) from error
    for name in found:
        if name.endswith("/"):
            yield from _names(os.path.join(here, name[:-1]), inside + name, folder)  # noqa: PTH118 - 10^6 of them
        else:
            yield inside + name


def _wanted(entry: os.DirEntry[str]) -> bool:
    name = entry.name
    return not name.startswith(".") and (entry.is_dir(follow_symlinks=False) or name.lower().endswith(SUFFIXES))


def _objects(folder: Remote) -> Iterator[tuple[str, int]]:
    """Names below a folder of a store and their lengths, sorted as ``image_names``."""
    files, path = filesystem(folder.url)
    yield from _below(files, path.rstrip("/"), "", folder)


def _below(files: Any, here: str, inside: str, folder: Remote) -> Iterator[tuple[str, int]]:
    try:
        entries = files.ls(here, detail=True)
        files.invalidate_cache()  # else all folders' lists would stay in memory
    except Exception as error:  # a store's client raises what it likes
        raise unreadable(folder, error) from error
    found = []
    for entry in entries:
        name = entry["name"].rstrip("/").rpartition("/")[2]
        if entry["type"] == "directory":
            found.append((name + "/", 0))
        elif name.lower().endswith(SUFFIXES) and entry["name"].rstrip("/") != here:
            found.append((name, entry.get("size") or 0))
    del entries
    for name, size in sorted(each for each in found if not each[0].startswith(".")):
        if name.endswith("/"):
            yield from _below(files, f"{here}/{name[:-1]}", inside + name, folder)
        else:
            yield inside + name, size
