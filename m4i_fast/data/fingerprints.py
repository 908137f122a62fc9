"""Which picture a record is about, by the bytes of its file: a name stays, and what lies under it may be replaced."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

from msgspec.structs import replace

from m4i_fast.data.files import open_regular
from m4i_fast.data.locators import is_local_file
from m4i_fast.types import Record

if TYPE_CHECKING:
    from m4i_fast.data.bytes import ImageReader

__all__ = ["CHANGED", "fingerprint_stream", "fingerprinted", "image_digests"]

CHANGED = "image file has changed since its record was made"
AT_A_TIME = 64
"""Pictures whose bytes lie in memory at a time, where they are no files."""
STEP = 1024


def image_digests(
    records: Sequence[Record],
    *,
    threads: int = 4,
    advance: Callable[[], object] | None = None,
    reader: ImageReader | None = None,
) -> list[str | None]:
    """SHA-256 in hex of each record's image file as it lies there now.

    Args:
        records: N records; those with ``error`` set are not opened.
        threads: files read at a time; hashing releases the interpreter lock.
        advance: called once a record, for a progress bar.
        reader: also reads what is no file of its own (objects of a store, members of tars, cells of Parquet). Without
            it these have no digest: to fetch all pictures twice is left to whoever wants that.

    Returns:
        N digests; None for a record with an error, or whose file cannot be opened.
    """
    with ThreadPoolExecutor(threads) as pool:
        found = _digests(records, pool, advance)
    if reader is not None:
        apart = [row for row, record in enumerate(records) if not record.error and not is_local_file(record.image)]
        for start in range(0, len(apart), AT_A_TIME):
            rows = apart[start : start + AT_A_TIME]
            for row, content in zip(rows, reader.read([records[row].image for row in rows]), strict=True):
                found[row] = hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else None
    return found


def fingerprint_stream(
    records: Iterable[Record], *, threads: int = 4, advance: Callable[[], object] | None = None
) -> Iterator[Record]:
    """``fingerprinted`` with ``image_digests``, of a stream: a thousand records at a time."""
    stream = iter(records)
    with ThreadPoolExecutor(threads) as pool:
        while part := list(islice(stream, STEP)):
            yield from fingerprinted(part, _digests(part, pool, advance))


def fingerprinted(records: Sequence[Record], digests: Sequence[str | None]) -> list[Record]:
    """``records`` with their ``digests``; one that came with another digest than its file has now gets an error."""
    return [
        replace(record, error=CHANGED)
        if record.image_sha256 and digest and digest != record.image_sha256
        else replace(record, image_sha256=digest or record.image_sha256)
        for record, digest in zip(records, digests, strict=True)
    ]


def _digests(
    records: Sequence[Record], pool: ThreadPoolExecutor, advance: Callable[[], object] | None
) -> list[str | None]:
    def digest(record: Record) -> str | None:
        found = None if record.error or not is_local_file(record.image) else _digest(record.image)
        if advance is not None:
            advance()
        return found

    return list(pool.map(digest, records))


def _digest(path: str) -> str | None:
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return None
