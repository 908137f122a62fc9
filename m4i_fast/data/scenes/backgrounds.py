"""The twelve backgrounds, painted by arrays: [S, S, 3], values 0..255, no two alike.

Each takes its sky from the scene's light, and all get mottling at the scale of an eighth of the picture, so that even
two empty lawns differ in their coarse structure as photographs do.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["paint_background"]

Array = npt.NDArray[np.float64]
RGB = tuple[float, float, float]

_SKIES: dict[str, tuple[RGB, RGB]] = {
    "clear": ((84, 150, 226), (196, 226, 246)),
    "sunset": ((116, 92, 158), (252, 180, 104)),
    "overcast": ((140, 148, 158), (206, 210, 214)),
}
_TINTS: dict[str, RGB] = {
    "clear": (1.0, 1.0, 1.0),
    "sunset": (1.0, 0.84, 0.74),
    "overcast": (0.84, 0.86, 0.9),
    "none": (1.0, 1.0, 1.0),
}


class _Canvas:
    """A picture under the brush."""

    def __init__(self, size: int, light: str, rng: np.random.Generator) -> None:
        self.size, self.light, self.rng = size, light, rng
        self.y, self.x = _grid(size)
        self.image: Array = np.zeros((size, size, 3))

    def fill(self, top: RGB, bottom: RGB) -> None:
        """A vertical gradient, each end a little off its colour."""
        upper, lower = self.shade(top, 10), self.shade(bottom, 10)
        self.image[:] = upper + self.y[..., None] * (lower - upper)

    def sky(self) -> None:
        """The gradient of the scene's light, with some clouds."""
        self.fill(*_SKIES[self.light])

    def shade(self, colour: RGB, spread: float = 8) -> Array:
        """The colour, off by a random bit in brightness and hue."""
        shaded: Array = np.array(colour) + self.rng.normal(0, spread) * 0.7 + self.rng.normal(0, spread * 0.5, 3)
        return shaded

    def ground(self, colour: RGB) -> Array:
        """A ground colour in the scene's light."""
        lit: Array = self.shade(colour) * np.array(_TINTS[self.light])
        return lit

    def cover(self, mask: Array, colour: Array) -> None:
        """Lay a colour over the picture where ``mask`` [S, S] says so, 0..1."""
        self.image += mask[..., None] * (colour - self.image)

    def ridge(self, height: float, rough: float) -> Array:
        """Mask of what lies below a wavy line at ``height``."""
        rng = self.rng
        line = height + rough * (
            np.sin(2 * np.pi * (rng.uniform(0.4, 1.2) * self.x + rng.random()))
            + 0.5 * np.sin(2 * np.pi * (rng.uniform(1.5, 3) * self.x + rng.random()))
        )
        return self.below(line)

    def below(self, line: Array | float) -> Array:
        """Mask of what lies below a line [1, S] or a height, softened over one pixel."""
        mask: Array = np.clip((self.y - line) * self.size + 0.5, 0, 1) + 0 * self.x
        return mask

    def blob(self, x: float, y: float, wide: float, high: float) -> Array:
        """A soft round spot, 1 in its centre."""
        return np.exp(-(((self.y - y) / high) ** 2)) * np.exp(-(((self.x - x) / wide) ** 2))

    def specks(self, count: int, colour: RGB, top: float = 0.0, bottom: float = 1.0, dim: float = 0.4) -> None:
        """Single pixels between two heights, each of its own strength."""
        rng = self.rng
        rows = (rng.uniform(top, bottom, count) * self.size).astype(np.intp)
        columns = rng.integers(0, self.size, count)
        strength = rng.uniform(dim, 1, count)[:, None]
        self.image[rows, columns] += strength * (np.array(colour) - self.image[rows, columns])


def paint_background(kind: str, light: str, size: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Paint one background.

    Args:
        kind: a key of ``lexicon.BACKGROUNDS``.
        light: ``clear``, ``sunset``, ``overcast``, or ``none`` for the places that have no daylight.
        size: S, pixels.
        rng: source of all that varies.

    Returns:
        float32 [S, S, 3], about 0..255, not clipped.
    """
    canvas = _Canvas(size, light, rng)
    _PAINTERS[kind](canvas)
    canvas.image += 15 * _mottling(size, rng)[..., None]
    canvas.image += rng.normal(0, 3.0, (size, size, 1))
    return canvas.image.astype(np.float32)


def _meadow(canvas: _Canvas) -> None:
    rng = canvas.rng
    canvas.sky()
    horizon = rng.uniform(0.2, 0.5)
    canvas.cover(canvas.ridge(horizon - 0.04, 0.05), canvas.ground((112, 168, 96)))
    front = canvas.ridge(horizon + 0.08, 0.04)
    canvas.cover(front, canvas.ground((92, 172, 70)))
    blades = np.repeat(rng.normal(0, 9, (canvas.size // 3 + 1, canvas.size)), 3, axis=0)[: canvas.size]
    canvas.image += (front * blades)[..., None]
    canvas.specks(int(rng.integers(0, 14)), (250, 240, 150), top=horizon + 0.2)


def _sky(canvas: _Canvas) -> None:
    rng = canvas.rng
    canvas.sky()
    white = np.array((255.0, 252, 250)) * (0.6 + 0.4 * np.array(_TINTS[canvas.light]))
    for _ in range(rng.integers(2, 5)):
        x, y, wide = rng.uniform(0, 1), rng.uniform(0.05, 0.95), rng.uniform(0.1, 0.2)
        puffs = sum(
            canvas.blob(x + shift * wide, y + rng.uniform(-0.03, 0.02), wide * 0.7, 0.06) for shift in (-0.8, 0, 0.8)
        )
        canvas.cover(np.clip(1.3 * puffs - 0.25, 0, 0.92), white)


def _beach(canvas: _Canvas) -> None:
    rng = canvas.rng
    canvas.sky()
    sea = rng.uniform(0.15, 0.35)
    shore = sea + rng.uniform(0.08, 0.22)
    canvas.cover(canvas.below(sea), canvas.ground((58, 142, 192)))
    sand = canvas.ridge(shore, 0.02)
    canvas.cover(canvas.ridge(shore - 0.02, 0.02), canvas.ground((238, 246, 250)))
    canvas.cover(sand, canvas.ground((236, 210, 154)))
    canvas.image += (sand * rng.normal(0, 7, (canvas.size, canvas.size)))[..., None]


_WALLS: tuple[RGB, ...] = (
    (232, 216, 196),
    (206, 222, 208),
    (226, 204, 214),
    (204, 214, 230),
    (240, 230, 190),
)


def _room(canvas: _Canvas) -> None:
    rng = canvas.rng
    wall = _WALLS[rng.integers(len(_WALLS))]
    canvas.fill(wall, wall)
    paper = np.sin(2 * np.pi * (canvas.x * rng.integers(5, 11) + rng.random()))
    canvas.image += 7 * np.sign(paper)[..., None]
    floor = rng.uniform(0.58, 0.78)
    mask = canvas.below(floor)
    canvas.cover(canvas.below(floor - 0.035), canvas.shade((246, 240, 228), 4))
    canvas.cover(mask, canvas.shade((176, 124, 78), 10))
    # boards run towards the eye
    depth = (canvas.y - floor) / (1 - floor) + 0.7
    boards = np.sin(2 * np.pi * ((canvas.x - rng.uniform(0.3, 0.7)) / depth * 4))
    canvas.image -= (mask * np.where(boards > 0.9, 26, 6 * boards))[..., None]
    if rng.random() < 0.5:
        x, y = rng.uniform(0.1, 0.75), rng.uniform(0.08, 0.2)
        frame = _box(canvas, x, x + 0.2, y, y + 0.26)
        canvas.cover(frame, canvas.shade((120, 90, 60)))
        canvas.cover(_box(canvas, x + 0.03, x + 0.17, y + 0.03, y + 0.23), canvas.shade((170, 208, 232), 20))


def _sea(canvas: _Canvas) -> None:
    rng = canvas.rng
    canvas.sky()
    horizon = rng.uniform(0.12, 0.4)
    water = canvas.below(horizon)
    canvas.cover(water, canvas.ground((40, 110, 176)))
    depth = np.clip((canvas.y - horizon) / (1 - horizon), 0.02, 1)
    swell = np.sin(
        2 * np.pi * (9 * depth**0.6 + 0.25 * np.sin(2 * np.pi * (rng.uniform(1, 3) * canvas.x + rng.random())))
    )
    canvas.image += (water * 16 * swell)[..., None]
    if rng.random() < 0.5:
        canvas.cover(canvas.ridge(horizon - 0.04, 0.04) * (1 - water), canvas.ground((96, 130, 130)))


def _snow(canvas: _Canvas) -> None:
    rng = canvas.rng
    canvas.sky()
    canvas.image += 0.35 * (225 - canvas.image)
    horizon = rng.uniform(0.2, 0.5)
    canvas.cover(canvas.ridge(horizon, 0.06), canvas.ground((214, 226, 240)))
    canvas.cover(canvas.ridge(horizon + rng.uniform(0.15, 0.3), 0.05), canvas.ground((236, 242, 250)))
    canvas.specks(canvas.size, (255, 255, 255), dim=0.7)


def _night(canvas: _Canvas) -> None:
    rng = canvas.rng
    canvas.fill((14, 18, 52), (56, 62, 112))
    canvas.specks(canvas.size // 2, (255, 250, 220))
    x, y = rng.uniform(0.08, 0.92), rng.uniform(0.08, 0.3)
    canvas.cover(0.5 * canvas.blob(x, y, 0.2, 0.2), np.array((150.0, 150, 180)))
    canvas.cover(np.clip(9 * canvas.blob(x, y, 0.08, 0.08) - 4, 0, 1), np.array((246.0, 240, 206)))
    canvas.cover(canvas.ridge(rng.uniform(0.7, 0.88), 0.05), canvas.shade((22, 30, 44)))


def _space(canvas: _Canvas) -> None:
    rng = canvas.rng
    canvas.fill((10, 8, 26), (26, 14, 44))
    for colour in ((120, 40, 140), (30, 80, 160), (170, 60, 90)):
        cloud = canvas.blob(rng.random(), rng.random(), rng.uniform(0.12, 0.4), rng.uniform(0.12, 0.4))
        canvas.cover(rng.uniform(0.3, 0.8) * cloud, canvas.shade(colour, 20))
    canvas.specks(canvas.size, (255, 255, 255), dim=0.15)


def _desert(canvas: _Canvas) -> None:
    rng = canvas.rng
    canvas.sky()
    height = rng.uniform(0.25, 0.5)
    for colour in ((208, 150, 92), (222, 172, 104), (234, 188, 116)):
        canvas.cover(canvas.ridge(height, 0.07), canvas.ground(colour))
        height += rng.uniform(0.12, 0.24)
    canvas.image += 5 * np.sin(2 * np.pi * (16 * canvas.y + 2 * canvas.x))[..., None] * (canvas.y > 0.55)[..., None]


def _forest(canvas: _Canvas) -> None:
    rng = canvas.rng
    canvas.fill((58, 96, 66), (34, 60, 40))
    for depth in (0.5, 1.0):
        for _ in range(rng.integers(3, 6)):
            x, wide = rng.random(), rng.uniform(0.02, 0.035) * (0.6 + depth)
            trunk = np.clip((wide - np.abs(canvas.x - x)) * canvas.size + 0.5, 0, 1) + 0 * canvas.y
            trunk *= 1 - canvas.below(0.6 + 0.25 * depth)
            canvas.cover(0.9 * trunk, canvas.shade((44 + 24 * depth, 40 + 8 * depth, 34)))
    canvas.cover(canvas.ridge(rng.uniform(0.74, 0.86), 0.03), canvas.shade((46, 62, 34)))
    canvas.specks(canvas.size, (120, 160, 84), bottom=0.4)


def _city(canvas: _Canvas) -> None:
    rng = canvas.rng
    canvas.sky()
    for shade, low in ((1.25, 0.15), (0.85, 0.4)):
        x = -rng.uniform(0, 0.15)
        while x < 1:
            wide, top = rng.uniform(0.1, 0.22), rng.uniform(low, low + 0.35)
            tower = _box(canvas, x, x + wide, top, 1.0)
            canvas.cover(tower, canvas.ground((104 * shade, 108 * shade, 124 * shade)))
            lamps = (np.sin(44 * np.pi * canvas.x) > 0.3) & (np.sin(36 * np.pi * canvas.y) > 0.3)
            inner = _box(canvas, x + 0.02, x + wide - 0.02, top + 0.03, 1.0)
            canvas.cover(0.7 * inner * lamps, canvas.shade((244, 222, 140), 20))
            x += wide + rng.uniform(0.0, 0.06)
    canvas.cover(canvas.below(rng.uniform(0.82, 0.9)), canvas.ground((78, 78, 84)))


_CLOTHS: tuple[RGB, ...] = ((214, 92, 92), (110, 140, 206), (126, 176, 120), (224, 178, 96), (186, 140, 190))


def _table(canvas: _Canvas) -> None:
    rng = canvas.rng
    canvas.fill((248, 246, 240), (238, 236, 230))
    colour = canvas.shade(_CLOTHS[rng.integers(len(_CLOTHS))], 16)
    turn, rate = rng.uniform(-0.6, 0.6), rng.uniform(3.5, 6.5)
    across = np.cos(turn) * canvas.x + np.sin(turn) * canvas.y
    along = np.cos(turn) * canvas.y - np.sin(turn) * canvas.x
    for axis in (across, along):
        band = np.clip(0.5 + 3 * np.sin(2 * np.pi * (rate * axis + rng.random())), 0, 1)
        canvas.cover(0.42 * band, colour)


_PAINTERS: dict[str, Callable[[_Canvas], None]] = {
    "meadow": _meadow,
    "sky": _sky,
    "beach": _beach,
    "room": _room,
    "sea": _sea,
    "snow": _snow,
    "night": _night,
    "space": _space,
    "desert": _desert,
    "forest": _forest,
    "city": _city,
    "table": _table,
}


def _box(canvas: _Canvas, left: float, right: float, top: float, bottom: float) -> Array:
    """Mask of an upright box with soft edges."""
    inside_x = np.clip(np.minimum(canvas.x - left, right - canvas.x) * canvas.size + 0.5, 0, 1)
    inside_y = np.clip(np.minimum(canvas.y - top, bottom - canvas.y) * canvas.size + 0.5, 0, 1)
    mask: Array = inside_x * inside_y
    return mask


def _mottling(size: int, rng: np.random.Generator) -> Array:
    """Smooth noise of standard deviation about 0.5 with a grain of an eighth of the picture: [S, S]."""
    weights = _upsampling(size, 9)
    field: Array = weights @ rng.standard_normal((9, 9)) @ weights.T
    return field


@lru_cache(maxsize=8)
def _upsampling(size: int, knots: int) -> Array:
    """Weights [S, knots] of a smooth interpolation between evenly spread knots."""
    position = (np.arange(size) + 0.5) / size * (knots - 1)
    near = np.clip(1 - np.abs(position[:, None] - np.arange(knots)), 0, 1)
    smooth: Array = near * near * (3 - 2 * near)
    return smooth


@lru_cache(maxsize=8)
def _grid(size: int) -> tuple[Array, Array]:
    """Centres of the pixels as fractions: y [S, 1], x [1, S]."""
    line = (np.arange(size) + 0.5) / size
    return line[:, None], line[None, :]
