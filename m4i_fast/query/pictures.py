"""One batch's pictures: read, hashed, decoded, varied, in the place that is kept for them."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from m4i_fast.data.bytes import EMPTY, MAX_BYTES, TOO_LONG, ImageReader
from m4i_fast.data.files import open_regular, why_unreadable
from m4i_fast.data.images import resized, rgb_picture, why_undecodable
from m4i_fast.data.locators import is_local_file
from m4i_fast.data.stores import NOT_FETCHED
from m4i_fast.data.variants import varied
from m4i_fast.query.asks import Ask
from m4i_fast.types import Record

__all__ = ["Batch", "Filled", "Wanted", "fill", "may_pass", "read_images"]


class Wanted(NamedTuple):
    """A question: its number, the record and what is asked about it."""

    question: int
    record: Record
    ask: Ask


Batch = Sequence[Wanted]


@dataclass(frozen=True, slots=True)
class Filled:
    """What became of some rows: reasons and hashes (of the files' bytes) a row, and the seconds of one thread."""

    errors: list[str | None]
    sha256: list[bytes | None]
    read_s: float
    decode_s: float


def fill(rows: Batch, pixels: npt.NDArray[np.uint8], reader: ImageReader) -> Filled:
    """Decode the pictures of some rows into uint8 [N, S, S, 3]; a bad one is zero and has its reason.

    A record that is asked about several times in a row is read and decoded once.
    """
    size = pixels.shape[1]
    errors: list[str | None] = []
    hashes: list[bytes | None] = []
    begun = time.perf_counter()
    contents = read_images([row.record for row in rows], reader)
    read_s = time.perf_counter() - begun
    held: Record | None = None
    picture, digest, error = None, None, None
    for row, ((_, record, ask), content) in enumerate(zip(rows, contents, strict=True)):
        if record is not held:
            held, picture, digest, error = record, None, None, None
            if isinstance(content, str):
                error = content
            else:
                digest = hashlib.sha256(content).digest()
                try:
                    picture = rgb_picture(io.BytesIO(content))
                except Exception as fault:  # Pillow's readers raise whatever a broken file leads them to
                    error = why_undecodable(fault)
        if picture is None or digest is None:
            pixels[row] = 0
        else:
            pixels[row] = resized(varied(picture, ask.variant, key=digest.hex(), sample=ask.sample), size)
        errors.append(error)
        hashes.append(digest)
    return Filled(errors, hashes, read_s, time.perf_counter() - begun - read_s)


def read_images(records: Sequence[Record], reader: ImageReader) -> list[bytes | str]:
    """The bytes of each record's image, or the reason why there are none; one that is asked for twice is read once."""
    found: dict[str, bytes | str] = {}
    fetch: list[str] = []
    for record in records:
        if record.error is not None or record.image in found:
            continue
        # A file of this machine is read here: handing it to another thread takes longer.
        found[record.image] = _file(record.image) if is_local_file(record.image) else ""
        if not is_local_file(record.image):
            fetch.append(record.image)
    if fetch:
        found |= zip(fetch, reader.read(fetch), strict=True)
    return [found[record.image] if record.error is None else record.error for record in records]


def may_pass(error: str | None) -> bool:
    """Whether a reason speaks of the store and not of the picture: an outage must not become a row."""
    return error is not None and error.startswith(NOT_FETCHED)


def _file(path: str) -> bytes | str:
    try:
        with open_regular(path) as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        return why_unreadable(error)
    if len(content) > MAX_BYTES:
        return TOO_LONG
    return content or EMPTY
