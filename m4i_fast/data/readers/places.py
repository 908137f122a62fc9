"""Where a record's picture lies: names in an annotation file against the folders that may hold them.

A name must stay inside the annotation file's folder (or the data set's root, where a format knows it) or the folder
given with ``--images``: an annotation file from elsewhere cannot make the tool read, show or send other pictures of
this machine. ``../`` is followed only as long as the result lies in one of these. Absolute names are taken as they are
in tables, which users write themselves (and which runs of this tool write), and must lie inside in all published
formats. Links inside the folders are followed: the user put them there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from m4i_fast.data.files import why_unreadable
from m4i_fast.errors import DataError

__all__ = ["Found", "Places"]

ABSENT = "image file not found"
LEAVES = "image path leaves the data folder (name the images' folder with --images)"
BESIDE = ("", "images", "Images")
"""Folders beside an annotation file that are looked into, in this order."""


class Found(NamedTuple):
    """An absolute path (the likeliest, where nothing was found) and the reason why it cannot be used, or None."""

    path: str
    error: str | None


class Places:
    """The folders to look into.

    Args:
        home: folder of the annotation file.
        images: the user's ``--images``; then only it and ``home`` are looked into.
        beside: folders in ``home`` to look into.
        absolute: take absolute names from anywhere.

    Raises:
        DataError: ``images`` is no folder.
    """

    def __init__(
        self, home: Path, images: Path | None, *, beside: Sequence[str] = BESIDE, absolute: bool = False
    ) -> None:
        base = os.path.abspath(home)  # noqa: PTH100 - strings: a Path for each of 10^5 records costs seconds
        if images is not None:
            if not images.is_dir():
                raise DataError("no such folder of images", where=images, cure="Give the folder that holds the images.")
            given = os.path.abspath(images)  # noqa: PTH100
            self._roots: tuple[str, ...] = (given, base)
            self._look: tuple[str, ...] = (given, base)
        else:
            self._roots = (base,)
            self._look = tuple(os.path.join(base, each) if each else base for each in beside)  # noqa: PTH118
        self._inside = tuple(root.rstrip(os.sep) + os.sep for root in self._roots)
        self._absolute = absolute

    def find(self, name: str) -> Found:
        """The picture that ``name`` means; the first folder that holds a file of this name wins."""
        if not name:
            return Found("", "no image is named")
        if os.path.isabs(name):  # noqa: PTH117
            candidates = [os.path.normpath(name)]
            allowed = candidates if self._absolute else [each for each in candidates if each.startswith(self._inside)]
        else:
            candidates = [os.path.normpath(os.path.join(folder, name)) for folder in self._look]  # noqa: PTH118
            allowed = [each for each in candidates if each.startswith(self._inside)]
        best = Found(candidates[0], LEAVES if len(allowed) < len(candidates) else ABSENT)
        for candidate in allowed:
            error = _why_not(candidate)
            if error is None:
                return Found(candidate, None)
            if error != ABSENT and best.error in {ABSENT, LEAVES}:
                best = Found(candidate, error)  # something is there: that says more
        return best


def _why_not(path: str) -> str | None:
    try:
        status = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError) as error:
        return why_unreadable(error)
    if not stat.S_ISREG(status.st_mode):
        return "image path is not a regular file"
    return None if status.st_size else "image file is empty"
