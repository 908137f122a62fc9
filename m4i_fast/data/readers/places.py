"""Where a record's picture lies: names in an annotation file against the folders that may hold them.

A name must stay inside the annotation file's folder (or the data set's root, where a format knows it) or the folder
given with ``--images``: an annotation file from elsewhere cannot make the tool read, show or send other pictures of
this machine. ``../`` is followed only as long as the result lies in one of these. Absolute names are taken as they are
in tables, which users write themselves (and which runs of this tool write), and must lie inside in all published
formats. Links inside the folders are followed: the user put them there. URLs and locators in a table are taken as
absolute names are; a table that itself comes from a store cannot name files of this machine.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from m4i_fast.data.files import why_unreadable
from m4i_fast.data.locators import is_local_file, is_url, parse_locator
from m4i_fast.data.stores import Remote, Source, shown, why_refused
from m4i_fast.errors import DataError

__all__ = ["Found", "Places", "located"]

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
        self, home: Source, images: Source | None, *, beside: Sequence[str] = BESIDE, absolute: bool = False
    ) -> None:
        base = located(home)
        if images is not None:
            if isinstance(images, Path) and not images.is_dir():
                raise DataError("no such folder of images", where=images, cure="Give the folder that holds the images.")
            given = located(images)
            self._roots: tuple[str, ...] = (given, base)
            self._look: tuple[str, ...] = (given, base)
        else:
            self._roots = (base,)
            self._look = tuple(f"{base.rstrip(os.sep)}/{each}" if each else base for each in beside)
        if is_url(self._look[0]):
            self._look = self._look[:1]  # each look is a request: none is made, and a name is found missing when read
        self._inside = tuple(root.rstrip("/") + "/" for root in self._roots)
        self._absolute = absolute
        self._home_is_local = not is_url(base)

    def find(self, name: str) -> Found:
        """The picture that ``name`` means; the first folder that holds a file of this name wins.

        Objects of a store are not looked up: whether one is there shows when it is read.
        """
        if not name:
            return Found("", "no image is named")
        if not is_local_file(name):
            return self._located(name)
        if os.path.isabs(name):  # noqa: PTH117 - strings: see located
            candidates = [os.path.normpath(name)]
            free = self._absolute and self._home_is_local
            allowed = candidates if free else [each for each in candidates if each.startswith(self._inside)]
        else:
            candidates = [_joined(folder, name) for folder in self._look]
            allowed = [each for each in candidates if each.startswith(self._inside)]
        best = Found(candidates[0], LEAVES if len(allowed) < len(candidates) else ABSENT)
        for candidate in allowed:
            error = None if is_url(candidate) else _why_not(candidate)
            if error is None:
                return Found(candidate, None)
            if error != ABSENT and best.error in {ABSENT, LEAVES}:
                best = Found(candidate, error)  # something is there: that says more
        return best

    def _located(self, name: str) -> Found:
        """A URL, a member of a tar or a cell of Parquet: taken from tables only, as absolute paths are."""
        container = parse_locator(name).container
        if is_url(container):
            reason = why_refused(container)
            if reason is not None:
                return Found(shown(name), reason)
            free = self._absolute or (container == name and _normal(name).startswith(self._inside))
        else:
            free = self._absolute and self._home_is_local and os.path.isabs(container)  # noqa: PTH117 - strings: see located
        return Found(name, None if free else LEAVES)


def located(source: Source) -> str:
    """A source as it is written in a locator: an absolute path (links not followed), or its URL."""
    # Strings: a Path for each of 10^5 records costs seconds.
    return source.url if isinstance(source, Remote) else os.path.abspath(source)  # noqa: PTH100 - as just said


def _joined(folder: str, name: str) -> str:
    if is_url(folder):
        return _normal(f"{folder}/{name}")
    return os.path.normpath(os.path.join(folder, name))  # noqa: PTH118 - strings: see located


def _normal(url: str) -> str:
    """A URL with ``..`` and ``.`` resolved, never above its bucket."""
    scheme, _, rest = url.partition("://")
    return (
        f"{scheme}://{posixpath.normpath('/' + rest).lstrip('/')}"
        if not rest.startswith("/")
        else (f"{scheme}:///{posixpath.normpath(rest).lstrip('/')}")
    )


def _why_not(path: str) -> str | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - strings: see located
    except (OSError, ValueError) as error:
        return why_unreadable(error)
    if not stat.S_ISREG(status.st_mode):
        return "image path is not a regular file"
    return None if status.st_size else "image file is empty"
