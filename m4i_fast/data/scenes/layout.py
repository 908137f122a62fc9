"""What stands where in a scene: groups of like objects, their looks, places and relation, drawn from a world's tastes.

Lengths are fractions of the picture's side, x to the right, y downwards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TypeVar

import numpy as np

from m4i_fast.data.scenes.lexicon import BACKGROUNDS, COLOURS, SHAPES

__all__ = ["WORLDS", "Dice", "Group", "Plan", "plan_scene"]

T = TypeVar("T")

WORLDS = ("plain", "shifted")
FOREIGN = 1 / 16  # weight of the other world's favourites, against 1 for the own

# favourites of the plain world stand first in each table; the rest are the shifted world's
_SHAPES = tuple(SHAPES)
_COLOURS = tuple(COLOURS)
_BACKGROUNDS = tuple(BACKGROUNDS)
_TEXTURES = ("striped", "dotted", "checked", "zigzag", "hatched", "shaded")
_CONTAINERS = {"plain": ("circle", "square", "heart"), "shifted": ("ring", "hexagon", "diamond")}
_OUTDOOR = ("meadow", "sky", "beach", "sea", "snow", "desert", "city")
_LIGHTS = ("clear", "sunset", "overcast")
_DIAMETERS = {"tiny": 0.14, "small": 0.19, "medium": 0.26, "large": 0.35, "huge": 0.47}
_SIZES = tuple(_DIAMETERS)
_RELATIONS = ("left", "right", "above", "below", "near", "on", "inside", "front", "behind")
_RELATION_SHARES = (0.17, 0.17, 0.12, 0.12, 0.14, 0.1, 0.08, 0.05, 0.05)
_GAP = 1.06  # from centre to centre of neighbours, in diameters


class Dice:
    """Cheap scalar draws from one generator: uniform numbers are fetched in blocks."""

    __slots__ = ("_rng", "_stock")

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._stock: list[float] = []

    def roll(self) -> float:
        """Uniform in [0, 1)."""
        if not self._stock:
            self._stock = self._rng.random(256).tolist()
        return self._stock.pop()

    def between(self, low: float, high: float) -> float:
        """Uniform in [low, high); the middle where the range is empty."""
        return (low + high) / 2 if low >= high else low + (high - low) * self.roll()

    def chance(self, share: float) -> bool:
        """True in ``share`` of the cases."""
        return self.roll() < share

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, all alike."""
        return options[int(self.roll() * len(options))]

    def lean(self, options: Sequence[T], skew: float = 3.0) -> T:
        """One of the options, the earlier the likelier: of n, the first k have (k / n) ** (1 / skew) of the cases."""
        return options[int(self.roll() ** skew * len(options))]

    def weighted(self, options: Sequence[T], shares: Sequence[float]) -> T:
        """One of the options, in proportion to its share."""
        sums = list(accumulate(shares))
        aim = self.roll() * sums[-1]
        return next((option for option, total in zip(options, sums, strict=True) if aim < total), options[-1])

    def sample(self, options: Sequence[T], shares: Sequence[float], count: int) -> list[T]:
        """``count`` different options, one after the other in proportion to their shares."""
        pool, rest, drawn = list(options), list(shares), []
        for _ in range(count):
            position = self.weighted(range(len(pool)), rest)
            drawn.append(pool.pop(position))
            rest.pop(position)
        return drawn


@dataclass(frozen=True, slots=True)
class Group:
    """One to five like objects.

    Attributes:
        shape, colour, size, texture, arrangement: keys of the lexicon.
        diameter: of each object.
        x, y: centre of the group.
        places: centre of each object, in drawing order.
        flip: mirrored left to right.
    """

    shape: str
    colour: str
    size: str
    texture: str
    arrangement: str
    diameter: float
    x: float
    y: float
    places: tuple[tuple[float, float], ...]
    flip: bool

    @property
    def number(self) -> int:
        """How many objects."""
        return len(self.places)


@dataclass(frozen=True, slots=True)
class Plan:
    """A scene before it is drawn. ``relation``: of group 0 to 1, or None; ``order``: groups from back to front."""

    world: str
    background: str
    light: str
    groups: tuple[Group, ...]
    relation: str | None
    order: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Box:
    left: float = 0.02
    right: float = 0.98
    top: float = 0.02
    bottom: float = 0.98


def plan_scene(dice: Dice, world: str) -> Plan:
    """Draw a scene of ``world``: one of ``WORLDS``."""
    background = dice.weighted(_BACKGROUNDS, _taste(world, len(_BACKGROUNDS), 6))
    light = dice.weighted(_LIGHTS, (0.5, 0.28, 0.22)) if background in _OUTDOOR else "none"
    count = dice.weighted((1, 2, 3, 4), (0.28, 0.47, 0.18, 0.07))
    shapes = dice.sample(_SHAPES, _taste(world, len(_SHAPES), 13), count)
    colours = dice.sample(_COLOURS, _taste(world, len(_COLOURS), 10), count)
    relation = dice.weighted(_RELATIONS, _RELATION_SHARES) if count > 1 else None
    if relation == "inside":
        free = [each for each in _CONTAINERS[world] if each not in shapes[:1] + shapes[2:]]
        if free:
            shapes[1] = dice.pick(free)
        else:  # every container stands in the scene already, as something else
            relation = "near"
    looks = [
        _Look(
            shape,
            colour,
            _texture(dice, world),
            _number(dice, index, relation),
            _size(dice, index, relation),
            dice.chance(0.5),
        )
        for index, (shape, colour) in enumerate(zip(shapes, colours, strict=True))
    ]
    groups = [_fit(dice, looks[0], _Box())] if relation is None else _pair(dice, looks, relation)
    for look in looks[2:]:
        # an extra group goes where there is most room
        tries = [_fit(dice, look, _Box()) for _ in range(8)]
        groups.append(max(tries, key=lambda each: _room(each, groups)))
    front_last = relation in {"on", "inside", "front"}
    order = (1, 0) if front_last else (0, 1)
    return Plan(world, background, light, tuple(groups), relation, (*range(2, count), *order) if relation else (0,))


@dataclass(frozen=True, slots=True)
class _Look:
    shape: str
    colour: str
    texture: str
    number: int
    size: str
    flip: bool


def _taste(world: str, count: int, first: int) -> list[float]:
    own, other = (1.0, FOREIGN) if world == "plain" else (FOREIGN, 1.0)
    return [own] * first + [other] * (count - first)


def _texture(dice: Dice, world: str) -> str:
    return "plain" if dice.chance(0.45) else dice.weighted(_TEXTURES, _taste(world, len(_TEXTURES), 3))


def _number(dice: Dice, index: int, relation: str | None) -> int:
    if relation == "inside":
        return 1 if index == 1 else dice.weighted((1, 2, 3), (0.7, 0.15, 0.15))
    if relation in {"front", "behind"} and index < 2:
        return 1
    return dice.weighted((1, 2, 3, 4, 5), (0.56, 0.17, 0.13, 0.08, 0.06))


def _size(dice: Dice, index: int, relation: str | None) -> str:
    if index >= 2:
        return dice.pick(("tiny", "small", "medium"))
    if relation == "inside":
        return "huge" if index == 1 else "tiny"
    if relation in {"front", "behind"}:
        return dice.pick(("medium", "large") if (index == 0) == (relation == "front") else ("large", "huge"))
    return dice.weighted(_SIZES, (0.08, 0.22, 0.25, 0.28, 0.17))


def _pair(dice: Dice, looks: Sequence[_Look], relation: str) -> list[Group]:
    """Groups 0 and 1 so that 0 stands in ``relation`` to 1."""
    first, second = looks[0], looks[1]
    if relation in {"left", "right"}:
        sides = (_Box(right=0.49), _Box(left=0.51))
        a, b = (sides[0], sides[1]) if relation == "left" else (sides[1], sides[0])
        one = _fit(dice, first, a)
        other = _fit(dice, second, b)
        return [one, _at(other, other.x, one.y + dice.between(-0.12, 0.12))]
    if relation in {"above", "below"}:
        halves = (_Box(bottom=0.48), _Box(top=0.52))
        a, b = (halves[0], halves[1]) if relation == "above" else (halves[1], halves[0])
        one = _fit(dice, first, a)
        other = _fit(dice, second, b)
        return [one, _at(other, one.x + dice.between(-0.12, 0.12), other.y)]
    if relation == "near":
        one = _fit(dice, first, _Box(right=0.46))
        other = _fit(dice, second, _Box(left=0.54))
        reach, other_reach = _reach(one)[0], _reach(other)[0]
        middle = dice.between(0.03 + 2 * reach, 0.96 - 2 * other_reach)
        pair = [
            _at(one, middle - reach, one.y),
            _at(other, middle + 0.01 + other_reach, one.y + dice.between(-0.05, 0.05)),
        ]
        return pair if dice.chance(0.5) else [_mirrored(each) for each in pair]
    if relation == "on":
        other = _fit(dice, second, _Box(top=0.5))
        one = _fit(dice, first, _Box(bottom=0.5))
        top = other.y - _reach(other)[1]
        return [_at(one, other.x + dice.between(-0.03, 0.03), top - _reach(one)[1] + 0.03), other]
    if relation == "inside":
        other = _fit(dice, replace(second, size="huge"), _Box())
        half = other.diameter * (0.26 if second.shape in {"ring", "diamond", "heart"} else 0.33)
        one = _fit(dice, first, _Box(other.x - half, other.x + half, other.y - half, other.y + half))
        return [_at(one, other.x, other.y), other]
    one = _fit(dice, first, _Box(0.2, 0.8, 0.2, 0.8))
    other = _fit(dice, second, _Box(0.1, 0.9, 0.1, 0.9))
    apart = 0.27 * (one.diameter + other.diameter)
    angle = dice.between(0, 2 * math.pi)
    return [one, _at(other, one.x + apart * math.cos(angle), one.y + apart * math.sin(angle))]


def _fit(dice: Dice, look: _Look, box: _Box) -> Group:
    """Place a group anywhere in the box, made smaller where it would not fit."""
    width, height = box.right - box.left, box.bottom - box.top
    arrangement = _arrangement(dice, look.number, width, height)
    offsets = [
        (dx + dice.between(-0.07, 0.07), dy + dice.between(-0.07, 0.07)) if look.number > 1 else (dx, dy)
        for dx, dy in _offsets(arrangement, look.number)
    ]
    wide = 2 * max(abs(dx) for dx, _ in offsets) + 1
    high = 2 * max(abs(dy) for _, dy in offsets) + 1
    wanted = _DIAMETERS[look.size] * dice.between(0.93, 1.07) / (1 + 0.1 * (look.number - 1))
    diameter = min(wanted, width / wide, height / high)
    x = dice.between(box.left + wide * diameter / 2, box.right - wide * diameter / 2)
    y = dice.between(box.top + high * diameter / 2, box.bottom - high * diameter / 2)
    return Group(
        shape=look.shape,
        colour=look.colour,
        size=_size_word(diameter),
        texture=look.texture,
        arrangement=arrangement,
        diameter=diameter,
        x=x,
        y=y,
        places=tuple((x + dx * diameter, y + dy * diameter) for dx, dy in offsets),
        flip=look.flip,
    )


def _arrangement(dice: Dice, number: int, width: float, height: float) -> str:
    if number == 1:
        return "single"
    options = ["cluster"] if number > 2 else ["diagonal"]
    if number == 5:
        options.append("ring")
    if width >= height * 0.8:
        options.append("row")
    if height >= width * 0.8:
        options.append("column")
    return dice.pick(options)


def _offsets(arrangement: str, number: int) -> list[tuple[float, float]]:
    """Centres in diameters about the group's centre."""
    line = [_GAP * (index - (number - 1) / 2) for index in range(number)]
    if arrangement == "single":
        return [(0.0, 0.0)]
    if arrangement == "row":
        return [(each, 0.0) for each in line]
    if arrangement == "column":
        return [(0.0, each) for each in line]
    if arrangement == "diagonal":
        return [(0.9 * each, 0.7 * each) for each in line]
    if arrangement == "cluster" and number == 5:
        return [(-0.75, -0.75), (0.75, -0.75), (-0.75, 0.75), (0.75, 0.75), (0.0, 0.0)]
    # three in a triangle, four in a rhomb, five in a ring
    radius = _GAP / (2 * math.sin(math.pi / number))
    turns = [2 * math.pi * (index / number - 0.25) for index in range(number)]
    return [(radius * math.cos(turn), radius * math.sin(turn)) for turn in turns]


def _size_word(diameter: float) -> str:
    limits = {"tiny": 0.15, "small": 0.21, "medium": 0.29, "large": 0.39}
    return next((name for name, limit in limits.items() if diameter < limit), "huge")


def _reach(group: Group) -> tuple[float, float]:
    """Half the group's width and height."""
    half = group.diameter / 2
    return (
        max(abs(x - group.x) for x, _ in group.places) + half,
        max(abs(y - group.y) for _, y in group.places) + half,
    )


def _at(group: Group, x: float, y: float) -> Group:
    """The group moved to a centre, held inside the picture."""
    wide, high = _reach(group)
    x = min(max(x, 0.02 + wide), 0.98 - wide)
    y = min(max(y, 0.02 + high), 0.98 - high)
    moved = tuple((px + x - group.x, py + y - group.y) for px, py in group.places)
    return replace(group, x=x, y=y, places=moved)


def _mirrored(group: Group) -> Group:
    return replace(group, x=1 - group.x, places=tuple((1 - x, y) for x, y in group.places))


def _room(group: Group, others: Sequence[Group]) -> float:
    """The smallest free distance to an object of another group; negative where they overlap."""
    return min(
        math.hypot(x - ox, y - oy) - (group.diameter + other.diameter) / 2
        for x, y in group.places
        for other in others
        for ox, oy in other.places
    )
