"""IAPR TC-12: a tree of ``.eng`` files, one an image, looking like XML, ISO-8859-1, the description split at ';'."""

from __future__ import annotations

import os
import re
from pathlib import Path
from xml.sax.saxutils import unescape

from m4i_fast.data.files import open_regular
from m4i_fast.data.readers.gather import Gathering, RecordSet, identifier
from m4i_fast.data.readers.places import Places
from m4i_fast.data.stores import Remote, Source
from m4i_fast.errors import DataError

__all__ = ["annotation_files", "read_iapr_tc12"]

CURE = "Give the folder annotations_complete_eng of IAPR TC-12, or one .eng file."


def read_iapr_tc12(path: Source, images: Source | None) -> RecordSet:
    """One record a file, ``id`` = its DOCNO without folder name and suffix (``00/1000``), references = the sentences.

    An image ``images/00/1000.jpg`` is looked for in the given folder and the two above it, where the published archive
    keeps ``images`` beside the folder of the annotations. A file that cannot be read stays a record with its reason.

    Raises:
        DataError: no .eng file, or an id twice.
    """
    if isinstance(path, Remote):
        raise DataError("iapr-tc12 is read from this machine alone", where=path, cure="Fetch its folder first.")
    files = [path] if not path.is_dir() else annotation_files(path)
    if not files:
        raise DataError("no .eng file in this folder", where=path, cure=CURE)
    home = path if path.is_dir() else path.parent
    gathering = Gathering(path, "iapr-tc12", Places(_root(home), images, beside=_beside(home)))
    for file in files:
        _add(gathering, file, home)
    return gathering.finish(captioned=True)


def annotation_files(folder: Path) -> list[Path]:
    """All .eng files below a folder, sorted; links to folders are not followed, so that none can go in circles."""
    found = []
    for here, _, names in os.walk(folder, followlinks=False):
        found += [os.path.join(here, name) for name in names if name.endswith(".eng")]  # noqa: PTH118 - 20,000 of them
    return [Path(each) for each in sorted(found)]


def _add(gathering: Gathering, file: Path, home: Path) -> None:
    fallback = file.relative_to(home).with_suffix("").as_posix()
    try:
        with open_regular(file) as opened:
            text = opened.read().decode("latin-1")
    except OSError as error:
        reason = f"annotation cannot be read ({error.strerror})"
        gathering.add(_id(fallback, file), f"images/{fallback}.jpg", where=file, error=reason)
        return
    if not re.search(r"<DOC>", text, re.IGNORECASE):
        reason = "annotation is empty" if not text.strip() else "annotation has no <DOC>"
        gathering.add(_id(fallback, file), f"images/{fallback}.jpg", where=file, error=reason)
        return
    number = re.sub(r"^annotations[^/]*/|\.eng$", "", _field(text, "DOCNO")) or fallback
    image = _field(text, "IMAGE") or f"images/{number}.jpg"
    sentences = [each.strip() for each in _field(text, "DESCRIPTION").split(";")]
    gathering.add(_id(number, file), image, [each for each in sentences if each], where=file)


def _field(text: str, name: str) -> str:
    found = re.search(rf"<{name}>(.*?)</{name}>", text, re.IGNORECASE | re.DOTALL)
    # Entities first: their own ';' must not end a sentence.
    return " ".join(unescape(found[1], {"&quot;": '"', "&apos;": "'"}).split()) if found else ""


def _id(number: str, file: Path) -> str:
    return identifier(number, where=file, what="DOCNO")


def _root(home: Path) -> Path:
    """The folder that holds ``images``: this one or one of the two above; where there is none, this one."""
    here = home.absolute()
    for folder in (here, *here.parents[:2]):
        if (folder / "images").is_dir():
            return folder
    return here


def _beside(home: Path) -> tuple[str, ...]:
    inside = os.path.relpath(home.absolute(), _root(home))
    return ("",) if inside == "." else ("", inside)
