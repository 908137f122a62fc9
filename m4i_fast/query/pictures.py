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

from m4i_fast.data.files import open_regular
from m4i_fast.data.images import resized, rgb_picture, why_undecodable
from m4i_fast.data.variants import varied
from m4i_fast.query.asks import Ask
from m4i_fast.types import Record

__all__ = ["Batch", "Filled", "Wanted", "fill"]


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


def fill(rows: Batch, pixels: npt.NDArray[np.uint8]) -> Filled:
    """Decode the pictures of some rows into uint8 [N, S, S, 3]; a bad one is zero and has its reason.

    A record that is asked about several times in a row is read and decoded once.
    """
    size = pixels.shape[1]
    errors: list[str | None] = []
    hashes: list[bytes | None] = []
    read_s = decode_s = 0.0
    held: Record | None = None
    picture, digest, error = None, None, None
    for row, (_, record, ask) in enumerate(rows):
        mark = time.perf_counter()
        if record is not held:
            held, picture, digest, error = record, None, None, record.error
            if error is None:
                try:
                    content = read_image(record)
                    digest = hashlib.sha256(content).digest()
                    read_s += (now := time.perf_counter()) - mark
                    mark = now
                    picture = rgb_picture(io.BytesIO(content))
                except Exception as fault:  # Pillow's readers raise whatever a broken file leads them to
                    error = why_undecodable(fault)
        if picture is None:
            pixels[row] = 0
        else:
            pixels[row] = resized(varied(picture, ask.variant, key=digest.hex(), sample=ask.sample), size)
        decode_s += time.perf_counter() - mark
        errors.append(error)
        hashes.append(digest)
    return Filled(errors, hashes, read_s, decode_s)


def read_image(record: Record) -> bytes:
    """The bytes of a record's image file.

    Raises:
        OSError, ValueError, EOFError: it cannot be read; ``why_undecodable`` says it in plain words.
    """
    with open_regular(record.image) as file:
        content = file.read()
    if not content:
        raise EOFError("image file is empty")
    return content
