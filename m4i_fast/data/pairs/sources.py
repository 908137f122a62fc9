"""What a user names, looked at but not read: its name, its format, its bytes."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from m4i_fast.data.files import open_regular
from m4i_fast.errors import DataError

__all__ = ["FORMATS", "Source", "source_of"]

FORMATS = ("text", "jsonl", "json", "csv", "parquet")
"""Plain text, a text a line; an object a line; one JSON document; CSV or TSV; Parquet."""

GLANCE = 1 << 16  # bytes that are looked at to know a format
CHUNK = 1 << 19  # bytes that are read at once: about a block of captions
GZIP = b"\x1f\x8b"
SUFFIXES = {
    ".txt": "text",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}


@dataclass(frozen=True, slots=True)
class Source:
    """A file, plain or packed by gzip, or the standard input.

    Attributes:
        name: for messages.
        path: of the file; None is the standard input, which is read once.
        format: one of ``FORMATS``.
        head: the first bytes, unpacked.
        stream: the standard input behind ``head``.
    """

    name: str
    path: Path | None
    format: str
    head: bytes
    stream: BinaryIO | None = None

    def chunks(self) -> Iterator[bytes]:
        """All bytes, unpacked, a little at a time.

        Raises:
            DataError: it broke off, or cannot be read.
        """
        if self.stream is not None:
            yield self.head
            while part := _read(self.stream, CHUNK, self.name):
                yield part
            return
        assert self.path is not None
        with _opened(self.path) as file:
            while part := _read(file, CHUNK, self.path):
                yield part

    def count_lines(self) -> int | None:
        """Lines of a text or of JSONL, read at the speed of the disk; None where it would cost more, or makes none."""
        if self.format not in {"text", "jsonl"} or self.path is None:
            return None
        lines, last = 0, b"\n"
        with open_regular(self.path) as file:
            if file.peek(2)[:2] == GZIP:
                return None
            while part := file.read(CHUNK):
                lines += part.count(b"\n")
                last = part[-1:]
        return lines + (last != b"\n")


def source_of(what: Path | BinaryIO) -> Source:
    """Look at a file, or at the standard input.

    Raises:
        DataError: it is absent, no regular file, empty, or cannot be read.
    """
    if not isinstance(what, Path):
        head = _read(what, GLANCE, "standard input")
        source = Source("standard input", None, _format_of("", head), head, what)
    else:
        with _opened(what) as file:
            head = _read(file, GLANCE, what)
        name = what.name.lower().removesuffix(".gz")
        source = Source(str(what), what, _format_of(Path(name).suffix, head), head)
    if not head:
        raise DataError("it is empty", where=source.name, cure="Give a file with at least one text.")
    return source


def _format_of(suffix: str, head: bytes) -> str:
    if head[:4] == b"PAR1":
        return "parquet"
    text = head.decode("utf-8", "replace").removeprefix("\ufeff").lstrip()
    if suffix in SUFFIXES:
        format_ = SUFFIXES[suffix]
        return "json" if format_ == "jsonl" and text.startswith("[") else format_
    if suffix == ".json" or text.startswith(("{", "[")):
        return _json_format(suffix, text)
    return "text"


def _json_format(suffix: str, text: str) -> str:
    """One document or one object a line; what only begins like JSON is text, where the name does not say JSON."""
    if suffix != ".json" and text[1:].lstrip()[:1] not in ({"{", "]"} if text[0] == "[" else {'"', "}"}):
        return "text"
    first, _, rest = text.partition("\n")
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        return "json"  # a document over many lines, or one line longer than a glance
    return "jsonl" if isinstance(value, dict) and (rest.strip() or "annotations" not in value) else "json"


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = open_regular(path)
    except FileNotFoundError as error:
        raise DataError("no such file", where=path, cure="Check the path.") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"cannot be read ({reason})", where=path, cure="Give a file that can be read.") from error
    with file:
        if file.peek(2)[:2] != GZIP:
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield unpacked  # type: ignore[misc]  # it reads as one


def _read(file: BinaryIO, size: int, name: Path | str) -> bytes:
    try:
        return file.read(size)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot be read ({reason})", where=name, cure="Copy or pack it anew.") from error
