"""Small pictures of the shapes, each drawn once for a size, and the patterns that cover them.

A shape is a list of strokes in its own unit square (x right, y down). A stroke has an ink: an own tone of the object's
colour (``body`` carries the pattern) or a fixed colour. Strokes are drawn four times too large, outlined, and averaged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["COLOUR_VALUES", "STROKES", "Sprite", "pattern", "sprite", "stamp"]

Float = npt.NDArray[np.float32]
Stroke = tuple[str, str, tuple[float, ...]]  # ink, form (o: oval, r: box, p: polygon), coordinates

COLOUR_VALUES: dict[str, tuple[int, int, int]] = {
    "red": (222, 52, 48),
    "blue": (48, 106, 222),
    "green": (46, 160, 76),
    "yellow": (250, 214, 50),
    "orange": (246, 142, 36),
    "purple": (136, 70, 186),
    "pink": (246, 138, 178),
    "brown": (136, 88, 52),
    "white": (248, 248, 244),
    "black": (44, 44, 50),
    "teal": (38, 172, 178),
    "gold": (208, 164, 40),
    "silver": (170, 176, 186),
    "magenta": (220, 40, 150),
    "navy": (36, 48, 116),
    "lime": (170, 222, 44),
    "maroon": (122, 26, 50),
    "beige": (228, 208, 168),
    "lilac": (192, 164, 226),
    "coral": (250, 128, 108),
}

# ink -> (share of the object's own colour, fixed colour added)
_INKS: dict[str, tuple[float, tuple[int, int, int]]] = {
    "none": (0.0, (0, 0, 0)),
    "line": (0.3, (8, 8, 14)),
    "body": (1.0, (0, 0, 0)),
    "dark": (0.66, (0, 0, 0)),
    "light": (0.5, (124, 124, 122)),
    "wood": (0.0, (122, 82, 50)),
    "cream": (0.0, (246, 234, 206)),
    "glass": (0.0, (178, 222, 244)),
    "ink": (0.0, (34, 32, 40)),
    "yolk": (0.0, (252, 206, 62)),
    "snow": (0.0, (250, 250, 250)),
    "flame": (0.0, (252, 148, 40)),
}
_INK_NUMBER = {name: number for number, name in enumerate(_INKS)}
_LINE, _BODY = _INK_NUMBER["line"], _INK_NUMBER["body"]


def _wheel(count: int, outer: float, inner: float, turn: float = -0.25) -> tuple[float, ...]:
    """A polygon about (.5, .5) whose corners lie in turn at two radii: a star, or a regular polygon."""
    points: list[float] = []
    for index in range(2 * count):
        radius = outer if index % 2 == 0 else inner
        angle = 2 * math.pi * (index / (2 * count) + turn)
        points += [0.5 + radius * math.cos(angle), 0.5 + radius * math.sin(angle)]
    return tuple(points)


def _heart() -> tuple[float, ...]:
    points: list[float] = []
    for index in range(40):
        t = 2 * math.pi * index / 40
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points += [0.5 + x / 34, 0.46 - y / 34]
    return tuple(points)


def _dome(left: float, right: float, top: float, base: float) -> tuple[float, ...]:
    """The upper half of an oval."""
    middle, half = (left + right) / 2, (right - left) / 2
    points: list[float] = []
    for index in range(21):
        angle = math.pi * (1 + index / 20)
        points += [middle + half * math.cos(angle), base + (base - top) * math.sin(angle)]
    return tuple(points)


STROKES: dict[str, tuple[Stroke, ...]] = {
    "circle": (("body", "o", (0.04, 0.04, 0.96, 0.96)),),
    "square": (("body", "r", (0.08, 0.08, 0.92, 0.92)),),
    "triangle": (("body", "p", (0.5, 0.06, 0.97, 0.92, 0.03, 0.92)),),
    "star": (("body", "p", _wheel(5, 0.5, 0.22)),),
    "house": (
        ("body", "r", (0.13, 0.46, 0.87, 0.96)),
        ("dark", "p", (0.5, 0.03, 0.99, 0.5, 0.01, 0.5)),
        ("wood", "r", (0.54, 0.62, 0.74, 0.96)),
        ("glass", "r", (0.23, 0.58, 0.43, 0.77)),
    ),
    "tree": (
        ("wood", "r", (0.42, 0.6, 0.58, 0.98)),
        ("body", "o", (0.05, 0.3, 0.58, 0.76)),
        ("body", "o", (0.42, 0.3, 0.95, 0.76)),
        ("body", "o", (0.2, 0.03, 0.8, 0.6)),
    ),
    "fish": (
        ("dark", "p", (0.3, 0.5, 0.0, 0.2, 0.0, 0.8)),
        ("dark", "p", (0.42, 0.3, 0.68, 0.1, 0.72, 0.32)),
        ("body", "o", (0.16, 0.24, 0.99, 0.78)),
        ("snow", "o", (0.74, 0.36, 0.88, 0.5)),
        ("ink", "o", (0.79, 0.4, 0.87, 0.48)),
    ),
    "flower": (
        *(
            ("body", "o", (cx - 0.2, cy - 0.2, cx + 0.2, cy + 0.2))
            for cx, cy in (
                (0.5 + 0.28 * math.cos(math.pi * k / 3), 0.5 + 0.28 * math.sin(math.pi * k / 3)) for k in range(6)
            )
        ),
        ("yolk", "o", (0.35, 0.35, 0.65, 0.65)),
    ),
    "heart": (("body", "p", _heart()),),
    "boat": (
        ("wood", "r", (0.47, 0.04, 0.53, 0.7)),
        ("snow", "p", (0.56, 0.06, 0.92, 0.6, 0.56, 0.6)),
        ("light", "p", (0.44, 0.14, 0.44, 0.6, 0.14, 0.6)),
        ("body", "p", (0.01, 0.66, 0.99, 0.66, 0.8, 0.95, 0.2, 0.95)),
    ),
    "bird": (
        ("flame", "p", (0.86, 0.26, 1.0, 0.36, 0.86, 0.44)),
        ("flame", "r", (0.42, 0.8, 0.47, 0.98)),
        ("flame", "r", (0.57, 0.8, 0.62, 0.98)),
        ("dark", "p", (0.2, 0.5, 0.0, 0.34, 0.04, 0.62)),
        ("body", "o", (0.08, 0.34, 0.82, 0.88)),
        ("body", "o", (0.52, 0.08, 0.92, 0.5)),
        ("dark", "o", (0.24, 0.5, 0.58, 0.72)),
        ("ink", "o", (0.73, 0.2, 0.82, 0.29)),
    ),
    "balloon": (
        ("ink", "r", (0.485, 0.78, 0.515, 0.99)),
        ("dark", "p", (0.5, 0.7, 0.58, 0.82, 0.42, 0.82)),
        ("body", "o", (0.14, 0.01, 0.86, 0.76)),
        ("light", "o", (0.27, 0.12, 0.44, 0.32)),
    ),
    "mushroom": (
        ("cream", "r", (0.38, 0.45, 0.62, 0.96)),
        ("body", "p", _dome(0.03, 0.97, 0.05, 0.56)),
        ("snow", "o", (0.24, 0.26, 0.4, 0.42)),
        ("snow", "o", (0.54, 0.14, 0.7, 0.3)),
        ("snow", "o", (0.68, 0.36, 0.8, 0.48)),
    ),
    "ring": (("body", "o", (0.03, 0.03, 0.97, 0.97)), ("none", "o", (0.29, 0.29, 0.71, 0.71))),
    "cross": (("body", "r", (0.34, 0.04, 0.66, 0.96)), ("body", "r", (0.04, 0.34, 0.96, 0.66))),
    "diamond": (
        ("body", "p", (0.5, 0.01, 0.9, 0.5, 0.5, 0.99, 0.1, 0.5)),
        ("light", "p", (0.5, 0.12, 0.5, 0.46, 0.24, 0.46)),
    ),
    "hexagon": (("body", "p", _wheel(3, 0.49, 0.49)),),
    "moon": (("body", "o", (0.06, 0.03, 0.98, 0.97)), ("none", "o", (0.36, -0.02, 1.2, 0.78))),
    "arrow": (("body", "p", (0.02, 0.36, 0.55, 0.36, 0.55, 0.12, 0.99, 0.5, 0.55, 0.88, 0.55, 0.64, 0.02, 0.64)),),
    "rocket": (
        ("flame", "p", (0.36, 0.78, 0.64, 0.78, 0.5, 1.0)),
        ("dark", "p", (0.3, 0.5, 0.08, 0.84, 0.34, 0.8)),
        ("dark", "p", (0.7, 0.5, 0.92, 0.84, 0.66, 0.8)),
        ("body", "p", (0.5, 0.0, 0.64, 0.14, 0.72, 0.4, 0.66, 0.82, 0.34, 0.82, 0.28, 0.4, 0.36, 0.14)),
        ("glass", "o", (0.39, 0.28, 0.61, 0.5)),
    ),
    "car": (
        ("body", "p", (0.2, 0.5, 0.32, 0.22, 0.7, 0.22, 0.84, 0.5)),
        ("body", "r", (0.02, 0.46, 0.98, 0.76)),
        ("glass", "p", (0.3, 0.46, 0.37, 0.29, 0.49, 0.29, 0.49, 0.46)),
        ("glass", "p", (0.54, 0.46, 0.54, 0.29, 0.66, 0.29, 0.73, 0.46)),
        ("ink", "o", (0.12, 0.62, 0.38, 0.88)),
        ("ink", "o", (0.62, 0.62, 0.88, 0.88)),
        ("yolk", "o", (0.9, 0.5, 0.98, 0.6)),
    ),
    "cup": (
        ("dark", "o", (0.56, 0.3, 0.98, 0.76)),
        ("none", "o", (0.66, 0.41, 0.87, 0.65)),
        ("body", "p", (0.08, 0.16, 0.74, 0.16, 0.66, 0.92, 0.16, 0.92)),
        ("light", "o", (0.08, 0.08, 0.74, 0.25)),
        ("wood", "o", (0.15, 0.11, 0.67, 0.22)),
    ),
    "umbrella": (
        ("wood", "r", (0.47, 0.5, 0.53, 0.94)),
        ("wood", "r", (0.47, 0.88, 0.68, 0.94)),
        ("body", "p", _dome(0.01, 0.99, 0.05, 0.56)),
        ("dark", "p", (0.5, 0.05, 0.66, 0.56, 0.34, 0.56)),
    ),
    "crown": (
        ("body", "p", (0.06, 0.9, 0.0, 0.26, 0.27, 0.54, 0.5, 0.08, 0.73, 0.54, 1.0, 0.26, 0.94, 0.9)),
        ("dark", "r", (0.07, 0.76, 0.93, 0.9)),
        ("glass", "o", (0.42, 0.55, 0.58, 0.71)),
    ),
    "bolt": (("body", "p", (0.56, 0.0, 0.14, 0.56, 0.44, 0.56, 0.3, 1.0, 0.86, 0.38, 0.54, 0.38, 0.76, 0.0)),),
    "cat": (
        ("body", "p", (0.1, 0.02, 0.5, 0.3, 0.1, 0.55)),
        ("body", "p", (0.9, 0.02, 0.9, 0.55, 0.5, 0.3)),
        ("body", "o", (0.05, 0.18, 0.95, 0.96)),
        ("snow", "o", (0.22, 0.4, 0.42, 0.6)),
        ("snow", "o", (0.58, 0.4, 0.78, 0.6)),
        ("ink", "o", (0.29, 0.44, 0.38, 0.58)),
        ("ink", "o", (0.62, 0.44, 0.71, 0.58)),
        ("light", "o", (0.36, 0.62, 0.64, 0.84)),
        ("ink", "p", (0.44, 0.64, 0.56, 0.64, 0.5, 0.72)),
    ),
}


@dataclass(frozen=True, slots=True)
class Sprite:
    """A shape at one size, float32, padded by ``pad`` pixels on each side.

    Attributes:
        keep: [H, W, 1], what of the background stays, 0..1 (shadow included).
        tint: [H, W, 1], factor of the object's colour.
        body: [H, W, 1], where the pattern shows, 0..1.
        fixed: [H, W, 3], colours that the object has anyway, 0..255.
        pad: margin for outline and shadow.
    """

    keep: Float
    tint: Float
    body: Float
    fixed: Float
    pad: int


@lru_cache(maxsize=768)
def sprite(shape: str, pixels: int) -> Sprite:
    """Draw ``shape`` in a square of ``pixels``."""
    from PIL import Image, ImageDraw, ImageFilter

    pad = 1 + pixels // 16
    side, unit = 4 * (pixels + 2 * pad), 4 * pixels
    canvas = Image.new("L", (side, side))
    pen = ImageDraw.Draw(canvas)
    for ink, form, numbers in STROKES[shape]:
        spots = [4 * pad + unit * each for each in numbers]
        if form == "o":
            pen.ellipse(spots, fill=_INK_NUMBER[ink])
        elif form == "r":
            pen.rectangle(spots, fill=_INK_NUMBER[ink])
        else:
            pen.polygon(spots, fill=_INK_NUMBER[ink])
    inside = canvas.point([0] + [255] * 255)
    swollen = np.asarray(inside.filter(ImageFilter.MaxFilter(5 if pixels < 24 else 7))) > 0
    codes = np.asarray(canvas).copy()
    codes[(codes == 0) & swollen] = _LINE
    share = np.array([ink[0] for ink in _INKS.values()], np.float32)
    fixed = np.array([ink[1] for ink in _INKS.values()], np.float32)
    # light falls from the upper left
    ramp = np.linspace(0, 1, side // 4, dtype=np.float32)
    slope = 0.35 * ramp[None, :] + 0.65 * ramp[:, None]
    light = (1.1 - 0.24 * slope)[..., None].astype(np.float32)
    cover = _shrink((codes > 0).astype(np.float32)[..., None])
    shadow = np.zeros_like(cover)
    shift = pad
    shadow[shift:, shift:] = 0.3 * cover[:-shift, :-shift]
    return Sprite(
        keep=(1 - cover) * (1 - shadow),
        tint=_shrink(share[codes][..., None]) * light,
        body=_shrink((codes == _BODY).astype(np.float32)[..., None]) * light,
        fixed=_shrink(fixed[codes]),
        pad=pad,
    )


@lru_cache(maxsize=2048)
def pattern(texture: str, side: int, pixels: int, phase: int) -> Float:
    """Where a texture's second colour lies: float32 [side, side, 1], 0..1.

    Args:
        texture: a key of ``lexicon.TEXTURES``.
        side: of the padded sprite.
        pixels: of the shape itself; the pattern repeats about four times across it, never finer than 4.5 pixels.
        phase: 0..3, where the pattern starts.
    """
    period = max(4.5, pixels / 4)
    x, y = np.meshgrid(np.arange(side, dtype=np.float64), np.arange(side, dtype=np.float64))
    x, y = (x + phase * period / 4) / period, (y + phase * period / 8) / period
    if texture == "striped":
        wave = np.sin(2 * np.pi * (x + y) * 0.8)
    elif texture == "dotted":
        wave = np.cos(2 * np.pi * x) + np.cos(2 * np.pi * y) - 0.85
    elif texture == "checked":
        wave = np.sin(2 * np.pi * x / 1.5) * np.sin(2 * np.pi * y / 1.5) * 2
    elif texture == "zigzag":
        wave = np.sin(2 * np.pi * (y + 0.5 * np.abs(2 * ((x / 1.5) % 1) - 1)))
    elif texture == "hatched":
        wave = np.maximum(np.cos(2 * np.pi * x), np.cos(2 * np.pi * y)) - 0.6
    elif texture == "shaded":
        return np.broadcast_to(np.linspace(0, 1, side)[:, None, None], (side, side, 1)).astype(np.float32)
    else:
        return np.zeros((side, side, 1), np.float32)
    return np.clip(0.5 + 1.6 * wave, 0, 1).astype(np.float32)[..., None]


def stamp(
    image: Float,
    centre: tuple[float, float],
    shape: str,
    colour: str,
    texture: str,
    pixels: int,
    *,
    flip: bool,
    phase: int,
) -> None:
    """Put one object into ``image``: float32 [S, S, 3], changed in place; what lies outside is cut off."""
    form = sprite(shape, pixels)
    side = pixels + 2 * form.pad
    left = round(centre[0] - side / 2)
    top = round(centre[1] - side / 2)
    size = image.shape[0]
    x0, x1, y0, y1 = max(left, 0), min(left + side, size), max(top, 0), min(top + side, size)
    if x0 >= x1 or y0 >= y1:
        return
    first, second = _two_tones(colour)
    step = -1 if flip else 1
    cut = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    paint = first * form.tint[:, ::step][cut] + form.fixed[:, ::step][cut]
    if texture != "plain":
        paint += (second - first) * (form.body[:, ::step] * pattern(texture, side, pixels, phase))[cut]
    patch = image[y0:y1, x0:x1]
    patch *= form.keep[:, ::step][cut]
    patch += paint


@lru_cache(maxsize=64)
def _two_tones(colour: str) -> tuple[Float, Float]:
    """The colour, and what its pattern is drawn in: paler, or darker where it is pale already."""
    first = np.array(COLOUR_VALUES[colour], np.float32)
    pale = float(first.mean()) > 185
    second = first * 0.62 if pale else first + 0.62 * (255 - first)
    return first, second.astype(np.float32)


def _shrink(values: Float) -> Float:
    """Mean over blocks of 4 x 4: [4H, 4W, C] -> [H, W, C]."""
    side = values.shape[0] // 4
    means: Float = values.reshape(side, 4, side, 4, -1).mean(axis=(1, 3), dtype=np.float32)
    return means
