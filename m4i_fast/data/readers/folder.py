"""A bare folder of images: records without references, for the owner who has pictures only."""

from __future__ import annotations

import os
from pathlib import Path

from m4i_fast.data.readers.gather import Gathering, RecordSet, identifier
from m4i_fast.data.readers.places import Places
from m4i_fast.errors import DataError

__all__ = ["SUFFIXES", "image_names", "read_folder"]

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".jp2", ".avif")


def read_folder(path: Path, images: Path | None) -> RecordSet:
    """One record an image file below the folder, ``id`` = its path inside, sorted.

    A file whose name is not UTF-8 stays a record with its reason, the broken bytes replaced in its id.

    Raises:
        DataError: no image in it, or ``images`` is given too.
    """
    if images is not None:
        raise DataError("a folder of images needs no --images", where=path, cure="Leave one of them out.")
    gathering = Gathering(path, "folder", Places(path, None, beside=("",)))
    for name in image_names(path):
        readable = os.fsencode(name).decode("utf-8", "backslashreplace")
        error = None if readable == name else "the file's name is not UTF-8"
        gathering.add(identifier(readable, where=path, what="file name"), readable, where=path, error=error)
    return gathering.finish(captioned=False)


def image_names(folder: Path) -> list[str]:
    """Paths of the image files below a folder, relative to it, sorted; hidden ones and linked folders are left out."""
    found = []
    for here, folders, names in os.walk(folder, followlinks=False):
        folders[:] = [each for each in folders if not each.startswith(".")]
        inside = os.path.relpath(here, folder)
        found += [
            name if inside == "." else f"{inside}/{name}".replace(os.sep, "/")
            for name in names
            if name.lower().endswith(SUFFIXES) and not name.startswith(".")
        ]
    return sorted(found)
