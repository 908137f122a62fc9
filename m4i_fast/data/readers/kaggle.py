"""Kaggle's Flickr8k ``captions.txt``: a header ``image,caption``, then one caption a line, commas quoted or not."""

from __future__ import annotations

from m4i_fast.data.files import read_text
from m4i_fast.data.readers.flickr8k import FOLDERS
from m4i_fast.data.readers.gather import Gathering, RecordSet, identifier
from m4i_fast.data.readers.places import Places
from m4i_fast.data.stores import Source
from m4i_fast.errors import DataError

__all__ = ["read_kaggle"]


def read_kaggle(path: Source, images: Source | None) -> RecordSet:
    """One record an image, ``id`` = the image's file name.

    Everything after the first comma is the caption: these files hold bare commas as well as CSV's quotes, so that a
    CSV reader would cut captions off.

    Raises:
        DataError: the header is another, or a line has no comma; says line and column.
    """
    lines = read_text(path).split("\n")
    if [name.strip().lower() for name in lines[0].split(",")] != ["image", "caption"]:
        raise DataError("the first line is not 'image,caption'", where=f"{path}:1", cure="Give Kaggle's captions.txt.")
    gathering = Gathering(path, "kaggle", Places(path.parent, images, beside=FOLDERS))
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        name, comma, caption = line.rstrip("\r").partition(",")
        if not comma:
            raise DataError(
                "the line is not 'image,caption'", where=f"{path}:{number}:{len(line) + 1}", cure="Mend the line."
            )
        where = f"{path}:{number}"
        gathering.join(identifier(name, where=where, what="image name"), name.strip(), _unquoted(caption), where=where)
    return gathering.finish(captioned=True)


def _unquoted(caption: str) -> str:
    """``"A ""big"" dog , alone ."`` without CSV's quotes; a caption that only begins with a quotation stays."""
    text = caption.strip()
    inner = text[1:-1]
    if len(text) >= 2 and text[0] == text[-1] == '"' and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return caption
