"""The built-in generated data: drawn scenes with five captions each, to show the tool without a download.

A scene has a background and one to four groups of like objects with colour, size, pattern, number, place and relation
(``layout``), drawn by arrays (``sprites``, ``backgrounds``) and told in five ways (``grammar``, ``lexicon``). Scene i
depends on seed, world and i alone. ``plain`` and ``shifted`` are two distributions that differ in what they show and in
how their annotators speak; scenes of one world are i.i.d.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from operator import index as whole_number
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from m4i_fast.data.scenes.backgrounds import paint_background
from m4i_fast.data.scenes.grammar import describe
from m4i_fast.data.scenes.layout import WORLDS, Dice, Plan, plan_scene
from m4i_fast.data.scenes.sprites import stamp
from m4i_fast.errors import ConfigError, RunError
from m4i_fast.runs import TEMPORARY, write_json

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["LARGEST", "SMALLEST", "WORLDS", "Scenes", "draw_scenes", "write_scenes"]

SMALLEST, LARGEST = 16, 512  # pixels a side


@dataclass(frozen=True, slots=True)
class Scenes:
    """Drawn scenes. ``pixels``: uint8 [N, S, S, 3], RGB. ``captions``: N times five sentences."""

    pixels: npt.NDArray[np.uint8]
    captions: tuple[tuple[str, ...], ...]


def draw_scenes(count: int, *, seed: int, world: str = "plain", size: int = 64, start: int = 0) -> Scenes:
    """Draw scenes ``start`` to ``start + count - 1`` of a world.

    Args:
        count: how many, N >= 1.
        seed: 0 or more; other seeds give other scenes.
        world: ``plain`` or ``shifted``.
        size: S, side in pixels, 16 to 512; captions and layout do not depend on it.
        start: index of the first scene; any range can be drawn without the rest.

    Raises:
        ConfigError: a setting is out of range.
    """
    count, seed, size, start = _checked(count=count, seed=seed, world=world, size=size, start=start)
    pixels = np.empty((count, size, size, 3), np.uint8)
    captions: list[tuple[str, ...]] = []
    for position in range(count):
        words, brush = _streams(seed, world, start + position)
        dice = Dice(words)
        plan = plan_scene(dice, world)
        captions.append(describe(dice, plan))
        pixels[position] = _paint(plan, size, brush)
    return Scenes(pixels, tuple(captions))


def write_scenes(
    folder: Path,
    *,
    count: int,
    seed: int,
    world: str = "plain",
    size: int = 64,
    start: int = 0,
    prefix: str = "",
) -> Path:
    """Write scenes as PNG files and ``captions.json`` in COCO's layout; the JSON comes last, so it names whole files.

    Args:
        folder: made where absent; files of the same name in it are replaced.
        count: as in ``draw_scenes``, like ``seed``, ``world``, ``size`` and ``start``.
        seed: see above.
        world: see above.
        size: see above.
        start: see above.
        prefix: put before each picture's name and id: ``images/<prefix><index>.png`` (index of six digits).

    Returns:
        Path of ``captions.json``: ``images`` of ``{id, file_name, width, height}`` and ``annotations`` of
        ``{id, image_id, caption}``. An image's id is its number, or ``<prefix><number>`` where a prefix is given;
        ``file_name`` is relative to ``images/``.

    Raises:
        ConfigError: a setting is out of range, or the prefix cannot stand in a file name.
        RunError: the folder cannot be written.
    """
    from PIL import Image

    count, seed, size, start = _checked(count=count, seed=seed, world=world, size=size, start=start)
    if prefix and not all(each.isalnum() or each in "-_" for each in prefix):
        raise ConfigError(
            f"'{prefix}' cannot begin a file name", where="prefix", cure="Use letters, digits, '-' and '_' alone."
        )
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    target = folder / "captions.json"
    try:
        (folder / "images").mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)  # of an earlier call: while its pictures are replaced it would not be true
        for first in range(start, start + count, 256):
            scenes = draw_scenes(min(256, start + count - first), seed=seed, world=world, size=size, start=first)
            for number, (pixels, captions) in enumerate(zip(scenes.pixels, scenes.captions, strict=True), first):
                name = f"{prefix}{number:06d}.png"
                key: int | str = f"{prefix}{number:06d}" if prefix else number
                _write_png(folder / "images" / name, Image.fromarray(pixels))
                images.append({"id": key, "file_name": name, "width": size, "height": size})
                annotations += [
                    {"id": len(annotations) + nth, "image_id": key, "caption": caption}
                    for nth, caption in enumerate(captions)
                ]
        write_json(target, {"images": images, "annotations": annotations})
    except OSError as error:
        raise RunError(
            f"the scenes cannot be written ({error.strerror or error})", where=folder, cure="Choose another folder."
        ) from error
    return target


def _checked(*, count: int, seed: int, world: str, size: int, start: int) -> tuple[int, int, int, int]:
    """The whole numbers as plain ints, or a ConfigError that names the setting."""
    limits = {
        "count": (count, 1, None),
        "seed": (seed, 0, None),
        "size": (size, SMALLEST, LARGEST),
        "start": (start, 0, None),
    }
    numbers: list[int] = []
    for name, (value, low, high) in limits.items():
        span = f"at least {low}" if high is None else f"{low} to {high}"
        try:
            number = whole_number(value)
        except TypeError:
            raise ConfigError(f"{value!r} is no whole number", where=name, cure=f"Give {span}.") from None
        if isinstance(value, bool) or number < low or (high is not None and number > high):
            raise ConfigError(f"{value!r} is out of range", where=name, cure=f"Give {span}.")
        numbers.append(number)
    if world not in WORLDS:
        raise ConfigError(f"there is no world {world!r}", where="world", cure=f"Choose one of: {', '.join(WORLDS)}.")
    return numbers[0], numbers[1], numbers[2], numbers[3]


def _streams(seed: int, world: str, index: int) -> tuple[np.random.Generator, np.random.Generator]:
    """One stream for plan and captions, one for the brush: so captions are the same at every picture size."""
    return (
        np.random.default_rng((seed, WORLDS.index(world), index, 0)),
        np.random.default_rng((seed, WORLDS.index(world), index, 1)),
    )


def _paint(plan: Plan, size: int, brush: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Paint a planned scene: uint8 [S, S, 3]."""
    image = paint_background(plan.background, plan.light, size, brush)
    for group in (plan.groups[position] for position in plan.order):
        phase = int(brush.integers(4))
        pixels = max(5, round(group.diameter * size))
        for x, y in group.places:
            stamp(
                image,
                (x * size, y * size),
                group.shape,
                group.colour,
                group.texture,
                pixels,
                flip=group.flip,
                phase=phase,
            )
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def _write_png(path: Path, picture: Image.Image) -> None:
    """Write under a temporary name, then rename; not synced, since the JSON that names the file comes after it."""
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    try:
        picture.save(temporary, format="PNG", compress_level=1)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
