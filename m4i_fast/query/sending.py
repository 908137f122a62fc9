"""Pictures as an endpoint wants them: files as they are where it takes them, else made anew; never a broken one."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from m4i_fast.data.bytes import ImageReader
from m4i_fast.data.images import need_size, resized, rgb_picture, why_undecodable
from m4i_fast.data.variants import varied
from m4i_fast.engines.endpoints import Endpoint, Picture
from m4i_fast.query.pictures import Wanted, read_images

__all__ = ["Sendable", "sendable"]

JPEG_QUALITY = 95
LEAST_BOMB = 128 << 10
"""Bytes of a JPEG below which it cannot have too many pixels: each block of 8 x 8 takes a bit at least."""

_KINDS = (
    (b"\xff\xd8\xff", "image/jpeg", b"\xff\xd9"),
    (b"\x89PNG\r\n\x1a\n", "image/png", b"IEND\xaeB`\x82"),
    (b"GIF8", "image/gif", b";"),
)
"""First bytes, media type, last bytes."""


@dataclass(frozen=True, slots=True)
class Sendable:
    """A question made ready: a picture to send, or the reason why there is none.

    ``sha256``: of the record's image file, whatever is sent in its place.
    """

    wanted: Wanted
    picture: Picture | None
    error: str | None
    sha256: bytes | None


def sendable(
    questions: Sequence[Wanted], endpoint: Endpoint, reader: ImageReader, pool: Executor, threads: int
) -> list[Sendable]:
    """Make questions ready, in order; each of the pool's threads takes a share."""
    share = -(-len(questions) // threads)
    starts = range(0, len(questions), share)
    shares = pool.map(lambda at: _some(questions[at : at + share], endpoint, reader), starts)
    return [made for part in shares for made in part]


def _some(questions: Sequence[Wanted], endpoint: Endpoint, reader: ImageReader) -> list[Sendable]:
    contents = read_images([wanted.record for wanted in questions], reader)
    return [_one(wanted, content, endpoint) for wanted, content in zip(questions, contents, strict=True)]


def _one(wanted: Wanted, content: bytes | str, endpoint: Endpoint) -> Sendable:
    if isinstance(content, str):
        return Sendable(wanted, None, content, None)
    ask, digest = wanted.ask, hashlib.sha256(content).digest()
    try:
        if endpoint.wants == "pixels":
            image = varied(rgb_picture(io.BytesIO(content)), ask.variant, key=digest.hex(), sample=ask.sample)
            pixels = np.ascontiguousarray(resized(image, endpoint.image_size or 0))
            return Sendable(wanted, Picture(b"", pixels=pixels, sample=ask.sample), None, digest)
        kind = _kind(content)
        if kind != "image/jpeg" or len(content) >= LEAST_BOMB:
            need_size(content)
        if ask.variant or kind not in endpoint.media_types:
            image = varied(rgb_picture(io.BytesIO(content)), ask.variant, key=digest.hex(), sample=ask.sample)
            content, kind = _encoded(image, endpoint)
        return Sendable(wanted, Picture(content, kind, sample=ask.sample), None, digest)
    except Exception as fault:  # Pillow's readers raise whatever a broken file leads them to
        return Sendable(wanted, None, why_undecodable(fault), digest)


def _kind(content: bytes) -> str | None:
    """The media type of a file that is whole; None where it must be decoded to be known.

    Raises:
        Exception: it breaks off, as its decoding tells.
    """
    whole = True
    kind = None
    for first, each, last in _KINDS:
        if content.startswith(first):
            kind, whole = each, content.rstrip(b"\0\r\n").endswith(last)
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        kind, whole = "image/webp", len(content) >= 8 + int.from_bytes(content[4:8], "little")
    if not whole:  # or something stands behind its end
        rgb_picture(io.BytesIO(content))
    return kind


def _encoded(image: object, endpoint: Endpoint) -> tuple[bytes, str]:
    from PIL import Image

    assert isinstance(image, Image.Image)
    file = io.BytesIO()
    if "image/png" in endpoint.media_types and "image/jpeg" not in endpoint.media_types:
        image.save(file, "PNG")
        return file.getvalue(), "image/png"
    image.save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return file.getvalue(), "image/jpeg"
