"""Which picture a record is about, by the bytes of its file: a name stays, and what lies under it may be replaced."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from m4i_fast.data.files import open_regular
from m4i_fast.types import Record

__all__ = ["CHANGED", "fingerprinted", "image_digests"]

CHANGED = "image file has changed since its record was made"


def image_digests(
    records: Sequence[Record], *, threads: int = 4, advance: Callable[[], object] | None = None
) -> list[str | None]:
    """SHA-256 in hex of each record's image file as it lies there now.

    Args:
        records: N records; those with ``error`` set are not opened.
        threads: files read at a time; hashing releases the interpreter lock.
        advance: called once a record, for a progress bar.

    Returns:
        N digests; None for a record with an error, or whose file cannot be opened.
    """

    def digest(record: Record) -> str | None:
        found = None if record.error else _digest(record.image)
        if advance is not None:
            advance()
        return found

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(digest, records))


def fingerprinted(records: Sequence[Record], digests: Sequence[str | None]) -> list[Record]:
    """``records`` with their ``digests``; one that came with another digest than its file has now gets an error."""
    return [
        replace(record, error=CHANGED)
        if record.image_sha256 and digest and digest != record.image_sha256
        else replace(record, image_sha256=digest or record.image_sha256)
        for record, digest in zip(records, digests, strict=True)
    ]


def _digest(path: str) -> str | None:
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return None
