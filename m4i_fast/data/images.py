"""Image files to pixels: whatever cannot be read becomes a zero picture with a reason, never an exception.

Colour rules, so that one file always gives one picture: rotated as its EXIF says; transparency over white; 16-bit grey
divided by 257 (integers beyond 16 bits are refused: nothing says which value is white); floating-point grey from 0..1
(or 0..255 where it exceeds 1); the first frame of an animation.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache, partial
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from m4i_fast.data.bytes import EMPTY, MAX_BYTES, TOO_LONG, ImageReader
from m4i_fast.data.files import open_regular, why_unreadable
from m4i_fast.data.locators import is_local_file
from m4i_fast.errors import ConfigError
from m4i_fast.kernels.pixels import resample

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "Decoded",
    "check_image",
    "decode",
    "decode_bytes",
    "decode_small",
    "need_size",
    "resized",
    "rgb_picture",
    "tame_pillow",
    "why_undecodable",
]

Opening = Callable[[], BinaryIO]

AT_A_TIME = 64
"""Pictures whose bytes lie in memory at a time, where they are no files."""
WHITE_16 = 65_535
MAX_PIXELS = 89_478_485
"""Larger pictures are refused as decompression bombs: Pillow's own limit, a quarter of a gigabyte of RGB."""

# Only self-contained raster formats: Pillow's EPS reader, for one, would start Ghostscript on a file that asks for it.
# (JPEG covers MPO, whose first picture it is.)
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF")


class Decoded(NamedTuple):
    """``pixels``: uint8 [N, S, S, 3], RGB, zero where unreadable. ``errors``: N reasons, None for a good picture."""

    pixels: npt.NDArray[np.uint8]
    errors: tuple[str | None, ...]


def decode(
    images: Sequence[str],
    size: int,
    *,
    threads: int = 1,
    advance: Callable[[], object] | None = None,
    reader: ImageReader | None = None,
) -> Decoded:
    """Read pictures and resize each straight to ``size`` x ``size`` with Lanczos, as the published attack does.

    Args:
        images: N locators (``m4i_fast.data.locators``): files, objects of a store, members of tars, cells of Parquet.
        size: side of the square in pixels.
        threads: decoders at work; Pillow releases the interpreter lock.
        advance: called once a picture, for a progress bar.
        reader: reads what is no file of its own. Give one that lives as long as the work does; without it each call
            opens the tars and Parquet files anew.

    Raises:
        ConfigError: ``size`` or ``threads`` is below 1.
        ExtraMissing: a picture lies in a store whose package is not installed.
    """
    return _decode_located(images, size, threads, advance, reader, draft=False)


def decode_small(
    images: Sequence[str],
    size: int,
    *,
    threads: int = 1,
    advance: Callable[[], object] | None = None,
    reader: ImageReader | None = None,
) -> Decoded:
    """As ``decode``, for thumbnails: a large JPEG is read at reduced scale: faster, not bit for bit the same."""
    return _decode_located(images, size, threads, advance, reader, draft=True)


def decode_bytes(
    contents: Sequence[bytes | str], size: int, *, threads: int = 1, advance: Callable[[], object] | None = None
) -> Decoded:
    """As ``decode``, of what ``ImageReader.read`` gave: a picture's bytes, or (text) the reason why there are none."""
    return _decode(list(map(_opening, contents)), size, threads, advance, draft=False)


def check_image(image: str) -> str | None:
    """Why ``decode`` could not read this picture, or None. It is read to its end, so truncation is found."""
    return decode_small([image], 1).errors[0]


def _decode_located(
    images: Sequence[str],
    size: int,
    threads: int,
    advance: Callable[[], object] | None,
    reader: ImageReader | None,
    *,
    draft: bool,
) -> Decoded:
    if all(map(is_local_file, images)):
        return _decode([partial(open_regular, image) for image in images], size, threads, advance, draft=draft)
    parts = []
    with ExitStack() as stack:
        reader = reader or stack.enter_context(ImageReader())
        for start in range(0, len(images), AT_A_TIME):
            part = images[start : start + AT_A_TIME]
            fetched = iter(reader.read([image for image in part if not is_local_file(image)]))
            opening = [
                partial(open_regular, image) if is_local_file(image) else _opening(next(fetched)) for image in part
            ]
            parts.append(_decode(opening, size, threads, advance, draft=draft))
    errors = tuple(error for each in parts for error in each.errors)
    return Decoded(np.concatenate([each.pixels for each in parts]), errors)


def _opening(content: bytes | str) -> Opening:
    return partial(io.BytesIO, content) if isinstance(content, bytes) else partial(_refuse, content)


def _refuse(reason: str) -> BinaryIO:
    raise _KnownError(reason)


def _decode(
    opening: Sequence[Opening], size: int, threads: int, advance: Callable[[], object] | None, *, draft: bool
) -> Decoded:
    if size < 1 or threads < 1:
        raise ConfigError(f"image size {size} and threads {threads} must be at least 1", where="decode")
    pixels = np.zeros((len(opening), size, size, 3), np.uint8)
    errors: list[str | None] = [None] * len(opening)
    tame_pillow()

    def fill(index: int) -> None:
        try:
            with opening[index]() as file:
                pixels[index] = _picture(file, size=size, draft=draft)
        except Exception as error:  # Pillow's readers raise whatever a broken file leads them to
            errors[index] = why_undecodable(error)
        if advance is not None:
            advance()

    if threads == 1 or len(opening) < 2:
        for index in range(len(opening)):
            fill(index)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(fill, range(len(opening))))
    return Decoded(pixels, tuple(errors))


class _KnownError(Exception):
    """Its text is the reason already."""


class _TooLargeError(Exception):
    """More pixels than ``MAX_PIXELS``."""


def _picture(file: BinaryIO, *, size: int, draft: bool) -> npt.NDArray[np.uint8]:
    return resized(rgb_picture(file, hint=2 * size if draft else None), size)


def rgb_picture(file: BinaryIO, *, hint: int | None = None) -> Image.Image:
    """Read a whole picture by the colour rules above: RGB, upright. Call ``tame_pillow`` once before.

    Args:
        file: an encoded image.
        hint: a side in pixels that is enough: a larger JPEG is then read at reduced scale.

    Raises:
        Exception: whatever a broken file leads Pillow to; ``why_undecodable`` says it in plain words.
    """
    from PIL import Image

    length = file.seek(0, os.SEEK_END)
    if not length:
        raise _KnownError(EMPTY)
    if length > MAX_BYTES:
        raise _KnownError(TOO_LONG)
    file.seek(0)
    with Image.open(file, formats=_formats()) as image:
        _need_size(image)
        if hint is not None and image.format in {"JPEG", "MPO"}:
            image.draft(None, (hint, hint))
        image.load()
        return _rgb(_upright(image))


def need_size(content: bytes) -> None:
    """Refuse a picture of more pixels than ``MAX_PIXELS`` by its header. Call ``tame_pillow`` once before.

    Raises:
        Exception: as ``rgb_picture``, or the header cannot be read.
    """
    from PIL import Image

    with Image.open(io.BytesIO(content), formats=_formats()) as image:
        _need_size(image)


def _need_size(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise _TooLargeError(f"image of {image.width} x {image.height} pixels is too large")


def resized(picture: Image.Image, size: int) -> npt.NDArray[np.uint8]:
    """Straight to a square with Lanczos, uint8 [size, size, 3]: Pillow's bytes, by the C++ core where it is."""
    from PIL import Image

    if picture.mode == "RGB":
        try:
            # Pillow lends its memory, four bytes a pixel; not that of a picture that lies in several pieces.
            lent = pa.array(picture).flatten().to_numpy().reshape(picture.height, picture.width, 4)
        except ValueError:
            lent = None
        found = None if lent is None else resample(lent, size)
        if found is not None:
            return found
    return np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS))


def _upright(image: Image.Image) -> Image.Image:
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # a broken EXIF block: the picture itself is good, and viewers show it unrotated
        return image


def _rgb(image: Image.Image) -> Image.Image:
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        return _grey(image)
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        white = Image.new("RGBA", clear.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, clear).convert("RGB")
    return image.convert("RGB")


def _grey(image: Image.Image) -> Image.Image:
    from PIL import Image

    values = np.asarray(image).astype(np.float64)
    if image.mode == "F":
        values = np.nan_to_num(values, nan=0.0, posinf=255.0, neginf=0.0)
        if values.max(initial=0.0) <= 1:
            values = values * 255
    else:
        if values.min(initial=0.0) < 0 or values.max(initial=0.0) > WHITE_16:
            raise ValueError("grey of 32-bit integers beyond 16 bits: nothing says which value is white")
        values = values / 257  # 65535 is white
    return Image.fromarray(np.rint(values.clip(0, 255)).astype(np.uint8)).convert("RGB")


def why_undecodable(error: Exception) -> str:
    """What a reader raised, in plain words; it becomes a record's ``error``."""
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, _KnownError):
        return str(error)
    if isinstance(error, _TooLargeError | Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"image is too large: more than {MAX_PIXELS:,} pixels"
    if isinstance(error, UnidentifiedImageError):
        return "not an image, or of an unknown format"
    if isinstance(error, OSError) and error.errno is not None:
        return why_unreadable(error)
    if isinstance(error, ValueError) and "null" in str(error):
        return "image path is not a valid file name (it holds a NUL)"
    if "truncated" in str(error).lower():
        return "image file is truncated"
    return f"image cannot be decoded ({str(error) or type(error).__name__})"


@cache
def _formats() -> tuple[str, ...]:
    from PIL import Image

    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)  # a build of Pillow may lack one


def tame_pillow() -> None:
    """Pillow warns of a small bomb before our own limit sees it, and of odd metadata that does not touch the pixels."""
    from PIL import Image

    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
    warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
