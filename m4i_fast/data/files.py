"""Opening what a user names, safely: a FIFO, a device or a loop of links must never make the tool wait."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m4i_fast.errors import DataError

if TYPE_CHECKING:
    from m4i_fast.data.stores import Source

__all__ = [
    "NotRegularFileError",
    "not_utf8",
    "open_regular",
    "read_bytes",
    "read_json_text",
    "read_text",
    "why_unreadable",
]


class NotRegularFileError(OSError):
    """The path is there, but it is a folder, FIFO, socket or device."""

    def __init__(self, kind: str) -> None:
        super().__init__(errno.EINVAL, f"a {kind}, not a file")


def open_regular(path: str | Path) -> io.BufferedReader:
    """Open a regular file for reading; anything else is refused before a byte is asked for.

    O_NONBLOCK makes even the opening of a FIFO return at once; the kind is checked on the open file, so nothing can be
    swapped in between.

    Raises:
        NotRegularFileError: it is no regular file.
        OSError: it is absent, a loop of links, or may not be read.
        ValueError: the name holds a NUL.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISREG(mode):
            return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)
    raise NotRegularFileError(_kind(mode))


def why_unreadable(error: BaseException) -> str:
    """The reason in plain words, without the path: it becomes a record's ``error``."""
    if isinstance(error, NotRegularFileError):
        return f"image path is {error.strerror}"
    if isinstance(error, OSError):
        if error.errno in {errno.ENOENT, errno.ENOTDIR}:
            return "image file not found"
        if error.errno == errno.ELOOP:
            return "image path is a loop of links"
        return f"image file cannot be opened ({error.strerror or error})"
    return f"image path is not a valid file name ({error})"


def read_bytes(path: Source) -> bytes:
    """All bytes of a data file, of this machine or of a store.

    Raises:
        DataError: it is absent, empty, no regular file, or may not be read.
    """
    from m4i_fast.data.stores import reading

    with reading(path) as file:
        content = file.read()
    if not content.strip():
        raise DataError("the file is empty", where=path, cure="Give a file with at least one record.")
    return content


def read_text(path: Source) -> str:
    """All text of a UTF-8 file, a byte order mark removed.

    Raises:
        DataError: as ``read_bytes``, or it is not UTF-8: says line and column of the first wrong byte.
    """
    content = read_bytes(path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise not_utf8(path, content, error) from error


def not_utf8(name: object, content: bytes, error: UnicodeDecodeError, *, lines_before: int = 0) -> DataError:
    """What to say of bytes that are not UTF-8: line and column of the first wrong one.

    Args:
        name: of the file.
        content: what was decoded, from the beginning of a line.
        error: what came of it.
        lines_before: lines of the file before ``content``.
    """
    before = content[: error.start]
    line = lines_before + before.count(b"\n") + 1
    column = error.start - (before.rfind(b"\n") + 1) + 1
    return DataError(
        f"not UTF-8 text (byte 0x{content[error.start]:02x})",
        where=f"{name}:{line}:{column}",
        cure="Convert it, for example: iconv -f ISO-8859-1 -t UTF-8 OLD > NEW",
    )


def read_json_text(text: str, *, path: object, line: int | None = None) -> Any:
    """Parse JSON; NaN and Infinity, which are no JSON, are refused.

    Args:
        text: the JSON.
        path: its file, for the message.
        line: the line of the file that ``text`` is, or None where it is the whole file.

    Raises:
        DataError: malformed (line and column), or nested too deep.
    """
    import json

    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        place = f"{path}:{error.lineno if line is None else line}:{error.colno}"
        raise DataError(f"not valid JSON ({error.msg})", where=place, cure="Mend the file at this place.") from error
    except RecursionError as error:
        raise DataError("JSON nested too deep", where=_at(path, line), cure="Give a plain list of records.") from error
    except ValueError as error:
        raise DataError(f"not valid JSON ({error})", where=_at(path, line), cure="Mend the file.") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


def _at(path: object, line: int | None) -> str:
    return str(path) if line is None else f"{path}:{line}"


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "folder"
    if stat.S_ISFIFO(mode):
        return "FIFO"
    if stat.S_ISSOCK(mode):
        return "socket"
    return "device"
