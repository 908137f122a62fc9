"""Pictures changed a little, each in one way: how steady a caption is under them tells something of its training.

A variant depends on the image file and the sample alone, so that whoever asks again asks about the same picture.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["VARIANTS", "varied"]

VARIANTS = ("crop", "flip", "blur", "noise")

CROP = 0.8
"""Side of the cropped part, of the whole."""
BLUR = 0.01
"""Standard deviation of the Gaussian, of the shorter side."""
NOISE = 16.0
"""Standard deviation of the Gaussian noise, in levels of 256."""


def varied(picture: Image.Image, variant: str, *, key: str, sample: int) -> Image.Image:
    """A changed picture.

    Args:
        picture: RGB.
        variant: ``crop``: 80 % of each side, at a random place; ``flip``: left for right; ``blur``: Gaussian, 1 % of
            the shorter side; ``noise``: Gaussian, 16 levels, each pixel and colour by itself. "": unchanged.
        key: of the picture: the hash of its file.
        sample: of the variant; crop and noise differ from sample to sample.

    Raises:
        ValueError: unknown variant.
    """
    from PIL import Image, ImageFilter, ImageOps

    match variant:
        case "":
            return picture
        case "flip":
            return ImageOps.mirror(picture)
        case "blur":
            return picture.filter(ImageFilter.GaussianBlur(BLUR * min(picture.size)))
        case "crop":
            rng = _rng(key, variant, sample)
            width, height = (max(1, round(CROP * side)) for side in picture.size)
            left = int(rng.integers(0, picture.width - width + 1))
            top = int(rng.integers(0, picture.height - height + 1))
            return picture.crop((left, top, left + width, top + height))
        case "noise":
            pixels = np.asarray(picture)
            noisy = _rng(key, variant, sample).standard_normal(pixels.shape, np.float32)
            noisy *= NOISE
            noisy += pixels  # in place: of a large picture each copy would be a gigabyte
            return Image.fromarray(np.rint(noisy, out=noisy).clip(0, 255, out=noisy).astype(np.uint8))
        case _:
            raise ValueError(f"unknown variant {variant!r}")


def _rng(key: str, variant: str, sample: int) -> np.random.Generator:
    text = "\0".join((key, variant, str(sample))).encode("utf-8", "surrogatepass")
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text).digest()[:16], "little"))
