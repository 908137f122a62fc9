"""The drawn scenes as pictures: colours where the plan puts them, shapes and patterns that can be told apart."""

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest

from m4i_fast.data.scenes import WORLDS, _streams, draw_scenes
from m4i_fast.data.scenes.backgrounds import paint_background
from m4i_fast.data.scenes.layout import Dice, plan_scene
from m4i_fast.data.scenes.lexicon import BACKGROUNDS, COLOURS, SHAPES, TEXTURES
from m4i_fast.data.scenes.sprites import COLOUR_VALUES, STROKES, stamp

Float = npt.NDArray[np.float32]


def _stamped(shape: str, colour: str = "blue", texture: str = "plain", *, x: float = 32, flip: bool = False) -> Float:
    """One object of 40 pixels in the middle of a middling grey: [64, 64, 3]."""
    image = np.full((64, 64, 3), 128, np.float32)
    stamp(image, (x, 32), shape, colour, texture, 40, flip=flip, phase=0)
    return image


@pytest.mark.parametrize(
    ("world", "index", "x", "y", "colour"),
    [
        ("plain", 14, 30, 38, (247, 143, 36)),  # the orange balloon
        ("plain", 14, 3, 45, (172, 209, 253)),  # the sky beside it
        ("plain", 3, 20, 40, (46, 160, 76)),  # the green square, left of the red fish
        ("plain", 3, 22, 45, (218, 51, 47)),  # the red fish
        ("plain", 0, 40, 35, (109, 67, 44)),  # a red cottage's door, of wood
        ("shifted", 13, 50, 32, (35, 46, 111)),  # a navy hexagon
        ("shifted", 19, 31, 22, (167, 173, 183)),  # the silver cat
        ("shifted", 18, 50, 10, (45, 156, 74)),  # a green ring
    ],
)
def test_these_pixels_have_these_colours(world: str, index: int, x: int, y: int, colour: tuple[int, int, int]) -> None:
    # within what another release of the drawing library may round otherwise
    pixels = draw_scenes(1, seed=0, world=world, start=index).pixels[0]
    assert np.abs(pixels[y, x].astype(int) - colour).max() <= 4


@pytest.mark.parametrize(
    ("colour", "value"),
    [("red", (217, 51, 47)), ("gold", (203, 160, 39)), ("white", (242, 242, 238)), ("navy", (35, 47, 113))],
)
def test_a_disc_has_its_colour_and_lies_in_the_middle(colour: str, value: tuple[int, int, int]) -> None:
    image = _stamped("circle", colour)
    assert np.abs(image[32, 32] - value).max() < 1.0
    assert np.abs(image[32, 15] - value).max() < 18
    assert image[5, 5].tolist() == [128, 128, 128]
    # light falls from the upper left, the shadow to the lower right
    assert image[16].sum() > image[47].sum()
    assert image[46, 47].mean() < 120 < image[17, 16].mean()


def test_every_word_can_be_drawn_and_no_two_colours_are_alike() -> None:
    assert set(COLOUR_VALUES) == set(COLOURS)
    assert set(STROKES) == set(SHAPES)
    values = np.array(list(COLOUR_VALUES.values()), float)
    apart = np.abs(values[:, None] - values[None]).sum(axis=2)
    assert apart[~np.eye(len(values), dtype=bool)].min() > 50


def test_no_two_shapes_look_alike() -> None:
    seen = {shape: _stamped(shape) for shape in SHAPES}
    for (one, first), (other, second) in combinations(seen.items(), 2):
        differs = np.abs(first - second).max(axis=2) > 40
        assert differs.sum() > 100, (one, other)  # of 1,600 pixels


def test_no_two_patterns_look_alike_and_they_stay_on_the_body() -> None:
    seen = {texture: _stamped("square", "blue", texture) for texture in TEXTURES}
    for (one, first), (other, second) in combinations(seen.items(), 2):
        assert (np.abs(first - second).max(axis=2) > 30).sum() > 200, (one, other)
    plain, striped = _stamped("mushroom", "red"), _stamped("mushroom", "red", "striped")
    changed = np.abs(plain - striped).max(axis=2) > 1
    assert changed[:38].any()
    assert not changed[38:].any()  # the stem is no part of the cap


def test_flipped_is_mirrored() -> None:
    assert np.array_equal(_stamped("bird", flip=True), _stamped("bird")[:, ::-1])
    assert not np.array_equal(_stamped("bird", flip=True), _stamped("bird"))


def test_what_lies_outside_is_cut_off() -> None:
    assert np.array_equal(_stamped("star", x=4)[:, :20], _stamped("star", x=32)[:, 28:48])
    assert np.array_equal(_stamped("star", x=-40), np.full((64, 64, 3), 128, np.float32))
    assert np.array_equal(_stamped("star", x=300), np.full((64, 64, 3), 128, np.float32))


@pytest.mark.parametrize("world", WORLDS)
def test_the_front_object_of_a_plan_is_seen_at_its_places(world: str) -> None:
    seen = 0
    for index in range(400):
        plan = plan_scene(Dice(_streams(17, world, index)[0]), world)
        group = plan.groups[plan.order[-1]]
        if group.shape not in {"circle", "square", "hexagon", "heart", "cross"} or group.texture != "plain":
            continue
        pixels = draw_scenes(1, seed=17, world=world, start=index).pixels[0]
        for x, y in group.places[-1:]:
            wanted = np.array(COLOUR_VALUES[group.colour]) * 0.98
            assert np.abs(pixels[int(y * 64), int(x * 64)] - wanted).max() < 14, (index, group)
            seen += 1
    assert seen > 5


@pytest.mark.parametrize("size", [16, 64, 97])
@pytest.mark.parametrize("kind", BACKGROUNDS)
def test_no_two_backgrounds_are_alike(kind: str, size: int) -> None:
    light = "clear" if kind in {"meadow", "sky", "beach", "sea", "snow", "desert", "city"} else "none"
    first = paint_background(kind, light, size, np.random.default_rng(1))
    again = paint_background(kind, light, size, np.random.default_rng(1))
    other = paint_background(kind, light, size, np.random.default_rng(2))
    assert first.shape == (size, size, 3)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert np.array_equal(first, again)
    assert np.abs(first - other).mean() > 5


def test_the_light_is_seen() -> None:
    means = {
        light: paint_background("meadow", light, 64, np.random.default_rng(3))[:10].mean(axis=(0, 1))
        for light in ("clear", "sunset", "overcast")
    }
    assert means["clear"][2] > means["clear"][0] + 60  # blue
    assert np.ptp(means["overcast"]) < 40  # grey
    assert means["sunset"][0] > means["clear"][0]  # warmer


def _separation(first: Float, second: Float) -> float:
    """AUC, on the odd rows, of the line between the means of the even rows."""
    line = first[::2].mean(axis=0) - second[::2].mean(axis=0)
    ours, theirs = first[1::2] @ line, second[1::2] @ line
    return float((ours[:, None] > theirs[None]).mean())


def _coarse(pixels: npt.NDArray[np.uint8]) -> Float:
    """Means of 8 x 8 cells: [N, 192]."""
    cells = pixels.reshape(len(pixels), 8, pixels.shape[1] // 8, 8, -1, 3)
    means: Float = cells.mean(axis=(2, 4), dtype=np.float32).reshape(len(pixels), -1)
    return means


def test_the_eye_tells_the_worlds_apart_but_not_the_halves_of_one() -> None:
    plain = _coarse(draw_scenes(800, seed=18, size=32).pixels)
    shifted = _coarse(draw_scenes(400, seed=18, world="shifted", size=32).pixels)
    assert _separation(plain[:400], shifted) > 0.7
    assert abs(_separation(plain[:400], plain[400:]) - 0.5) < 0.1
    assert abs(_separation(shifted[:200], shifted[200:]) - 0.5) < 0.13


@pytest.mark.parametrize("size", [16, 32, 128])
def test_a_scene_is_the_same_scene_at_every_size(size: int) -> None:
    # the brush's grain differs, the layout does not: coarse pictures agree
    here = _coarse(draw_scenes(40, seed=19, size=size).pixels)
    there = _coarse(draw_scenes(40, seed=19, size=64).pixels)
    same = [np.corrcoef(one, other)[0, 1] for one, other in zip(here, there, strict=True)]
    crossed = [np.corrcoef(one, other)[0, 1] for one, other in zip(here, np.roll(there, 1, axis=0), strict=True)]
    assert np.median(same) > 0.75
    assert np.median(same) > np.median(crossed) + 0.3
