"""Where the bytes of a picture lie, as one text: a record's ``image``.

=====================================  ==========================================================================
``/photos/a#1.jpg``                    a file; its name is taken as it is, whatever signs it holds
``s3://bucket/photos/a.jpg``           an object of a store; also taken as it is
``tar:CONTAINER#MEMBER@OFFSET+LENGTH`` ``LENGTH`` bytes of a tar from byte ``OFFSET`` on: one range read, no index file
``parquet:CONTAINER#COLUMN@ROW``       a cell of a Parquet file, rows counted from 0; the cell holds bytes, or a
                                       struct with a field ``bytes``
=====================================  ==========================================================================

``CONTAINER`` is a file or an object. In CONTAINER, MEMBER and COLUMN ``%``, ``#``, control characters and bytes that
are not UTF-8 are written ``%XX``, so that the one ``#`` and the last ``@`` are the notation's own. A text that only
looks like these forms (no ``#``, no numbers) is a file's name; a file in the working folder whose name has such a form
is written ``./tar:...``. Absolute paths are never mistaken.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

__all__ = ["Cell", "Locator", "Member", "Whole", "format_locator", "is_local_file", "is_url", "parse_locator"]

# 18 digits: below 2^63, whatever arithmetic follows.
_MEMBER = re.compile(r"tar:([^#]+)#([^#]*)@(\d{1,18})\+(\d{1,18})", re.DOTALL)
_CELL = re.compile(r"parquet:([^#]+)#([^#]*)@(\d{1,18})", re.DOTALL)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SIGNS = re.compile(r"[%#\x00-\x1f\x7f\ud800-\udfff]")


class Whole(NamedTuple):
    """A whole file or object. ``container``: its path or URL."""

    container: str


class Member(NamedTuple):
    """``length`` bytes from byte ``offset`` of a tar; ``name`` is for people."""

    container: str
    name: str
    offset: int
    length: int


class Cell(NamedTuple):
    """Row ``row`` (from 0) of column ``column`` of a Parquet file."""

    container: str
    column: str
    row: int


Locator = Whole | Member | Cell


def parse_locator(text: str) -> Locator:
    """What a record's ``image`` means; every text means something, if only a file that is not there."""
    if text.startswith("tar:") and (found := _MEMBER.fullmatch(text)):
        return Member(_plain(found[1]), _plain(found[2]), int(found[3]), int(found[4]))
    if text.startswith("parquet:") and (found := _CELL.fullmatch(text)):
        return Cell(_plain(found[1]), _plain(found[2]), int(found[3]))
    return Whole(text)


def format_locator(locator: Locator) -> str:
    """The text; ``parse_locator`` gives the same locator back."""
    if isinstance(locator, Member):
        place = f"@{locator.offset}+{locator.length}"
        return f"tar:{_quoted(locator.container)}#{_quoted(locator.name)}{place}"
    if isinstance(locator, Cell):
        return f"parquet:{_quoted(locator.container)}#{_quoted(locator.column)}@{locator.row}"
    return locator.container


def is_url(text: str) -> bool:
    """Whether a path or container begins with ``scheme://``."""
    return _URL.match(text) is not None


def is_local_file(text: str) -> bool:
    """Whether a record's ``image`` is a file of its own on this machine."""
    if text[:1] in {"/", "."}:
        return True  # most of them: no expression need be tried
    return isinstance(parse_locator(text), Whole) and not is_url(text)


def _quoted(text: str) -> str:
    return _SIGNS.sub(_as_percent, text)


def _as_percent(sign: re.Match[str]) -> str:
    # A lone surrogate is a byte of a file's name that is not UTF-8 (or half a character: then it is kept as three).
    code = ord(sign[0])
    content = bytes([code - 0xDC00]) if 0xDC80 <= code <= 0xDCFF else sign[0].encode("utf-8", "surrogatepass")
    return "".join(f"%{byte:02X}" for byte in content)


def _plain(text: str) -> str:
    return unquote(text, errors="surrogateescape") if "%" in text else text
