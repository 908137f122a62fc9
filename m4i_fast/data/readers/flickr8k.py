"""Flickr8k and Flickr30k as published: ``*.token.txt`` with lines ``1000268201_693b08cb0e.jpg#0<TAB>A child ...``."""

from __future__ import annotations

from m4i_fast.data.files import read_text
from m4i_fast.data.readers.gather import Gathering, RecordSet, identifier
from m4i_fast.data.readers.places import BESIDE, Places
from m4i_fast.data.stores import Source
from m4i_fast.errors import DataError

__all__ = ["FOLDERS", "read_flickr8k"]

FOLDERS = (*BESIDE, "Flicker8k_Dataset", "Flickr8k_Dataset")
"""Where the images lie; the published archive's folder is spelt Flicker8k_Dataset."""


def read_flickr8k(path: Source, images: Source | None) -> RecordSet:
    """One record an image, ``id`` = the image's file name, as in the published split lists.

    Raises:
        DataError: a line is not of this form; says line and column.
    """
    gathering = Gathering(path, "flickr8k", Places(path.parent, images, beside=FOLDERS))
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        key, tab, caption = line.rstrip("\r").partition("\t")
        name, mark, index = key.rpartition("#")
        if not tab or not mark or not index.strip().isdecimal():
            column = len(key) + 1 if not tab else len(name) + 1
            raise DataError(
                "the line is not 'image.jpg#0<TAB>caption'",
                where=f"{path}:{number}:{column}",
                cure="Mend the line, or give the format with --format.",
            )
        where = f"{path}:{number}"
        gathering.join(identifier(name, where=where, what="image name"), name.strip(), caption, where=where)
    return gathering.finish(captioned=True)
