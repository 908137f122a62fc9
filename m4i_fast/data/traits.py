"""What a picture's file tells without a look at the picture: its size, its form, how it was compressed.

Pictures that came by other ways have other files. Where members' files differ from non-members', anybody can tell them
apart, and a model that has seen neither would seem to know them.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

import numpy as np
import numpy.typing as npt

from m4i_fast.data.bytes import ImageReader
from m4i_fast.data.images import FORMATS, tame_pillow

__all__ = ["TRAITS", "file_traits"]

FloatArray = npt.NDArray[np.float64]

AT_A_TIME = 64
"""Pictures whose bytes lie in memory at a time."""

TRAITS: Final = (
    "log_bytes",
    "width",
    "height",
    "log_aspect",
    "bits_per_pixel",
    "jpeg",
    "png",
    "webp",
    "bands",
    "palette",
    "luma_table",
    "chroma_table",
    "progressive",
    "dpi",
    "exif_bytes",
    "icc_bytes",
    "frames",
)
"""Names of the columns. ``luma_table``, ``chroma_table``: mean of a JPEG's quantisation tables: its quality."""


def file_traits(images: Sequence[str], *, reader: ImageReader | None = None) -> FloatArray:
    """Traits of N image files.

    Args:
        images: locators (``m4i_fast.data.locators``).
        reader: reads them; None: one of its own.

    Returns:
        float64 [N, len(TRAITS)]; NaN in the rows of files that cannot be read or are no picture. No pixel is decoded.
    """
    tame_pillow()
    found = np.full((len(images), len(TRAITS)), np.nan)
    with ExitStack() as stack:
        source = reader or stack.enter_context(ImageReader())
        for start in range(0, len(images), AT_A_TIME):
            for row, content in enumerate(source.read(images[start : start + AT_A_TIME]), start):
                if isinstance(content, bytes):
                    traits = _traits(content)
                    found[row] = np.nan if traits is None else traits
    return found


def _traits(content: bytes) -> list[float] | None:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
                width, height = picture.size
                tables = getattr(picture, "quantization", None) or {}
                about = picture.info
                return [
                    float(np.log(len(content))),
                    float(width),
                    float(height),
                    float(np.log(width / height)),
                    8 * len(content) / (width * height),
                    *(float(picture.format == each) for each in ("JPEG", "PNG", "WEBP")),
                    float(len(picture.getbands())),
                    float(picture.mode == "P"),
                    *(float(np.mean(tables[each])) if each in tables else 0.0 for each in (0, 1)),
                    float(bool(about.get("progressive") or about.get("interlace"))),
                    float("dpi" in about),
                    float(len(about.get("exif") or b"")),
                    float(len(about.get("icc_profile") or b"")),
                    float(getattr(picture, "n_frames", 1)),
                ]
    except Exception:  # Pillow's readers raise whatever a broken file leads them to; elsewhere the row has its reason
        return None
