"""The drawn scenes: seeded, truthful, rich in words, and two worlds that can be told apart."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m4i_fast.data.readers import read_records
from m4i_fast.data.scenes import WORLDS, _streams, draw_scenes, write_scenes
from m4i_fast.data.scenes.grammar import CAPTIONS, LONGEST, describe
from m4i_fast.data.scenes.layout import _CONTAINERS, Dice, plan_scene
from m4i_fast.data.scenes.lexicon import BACKGROUNDS, COLOUR_OF_WORD, LIGHTS
from m4i_fast.errors import ConfigError, RunError
from m4i_fast.text.words import words

SEEDS = st.integers(0, 2**32)
ANY_WORLD = st.sampled_from(WORLDS)


def test_a_seed_means_these_scenes_for_ever() -> None:
    scenes = draw_scenes(1, seed=0, size=16)
    assert scenes.pixels.shape == (1, 16, 16, 3)
    assert scenes.pixels.dtype == np.uint8
    assert scenes.captions[0] == (
        "A single checkered white lightning bolt, five red cottages and two tiny black trees on the beach.",
        "Somebody has hidden five cosy houses by a single large bolt in checks.",
        "I like how the white bolt is close to the scarlet houses.",
        "The lightning bolt seems simple right beside the five houses.",
        "There is a bolt on the left, and nothing else.",
    )


@given(seed=SEEDS, world=ANY_WORLD, start=st.integers(0, 50))
@settings(max_examples=15, deadline=None)
def test_a_scene_depends_on_seed_world_and_index_alone(seed: int, world: str, start: int) -> None:
    whole = draw_scenes(start + 3, seed=seed, world=world, size=16)
    part = draw_scenes(3, seed=seed, world=world, size=16, start=start)
    assert np.array_equal(whole.pixels[start:], part.pixels)
    assert whole.captions[start:] == part.captions
    assert draw_scenes(3, seed=seed, world=world, size=24, start=start).captions == part.captions
    assert draw_scenes(3, seed=seed + 1, world=world, size=16, start=start).captions != part.captions


@given(seed=SEEDS, world=ANY_WORLD, index=st.integers(0, 10**6))
@settings(max_examples=300, deadline=None)
def test_captions_tell_the_truth(seed: int, world: str, index: int) -> None:
    dice = Dice(_streams(seed, world, index)[0])
    plan = plan_scene(dice, world)
    captions = describe(dice, plan)
    assert len(set(captions)) == CAPTIONS == 5
    there = {group.colour for group in plan.groups}
    there |= {*BACKGROUNDS[plan.background].colours, *LIGHTS[plan.light].colours}
    for caption in captions:
        assert caption.endswith(".")
        assert caption[0].isupper()
        assert len(caption.split()) <= LONGEST
        named = {COLOUR_OF_WORD[word] for word in words(caption) if word in COLOUR_OF_WORD}
        assert named <= there, (caption, there)
    for group in plan.groups:
        for x, y in group.places:
            assert 0 <= x <= 1
            assert 0 <= y <= 1
    if plan.relation == "inside":
        assert plan.groups[1].shape in _CONTAINERS[world]


@pytest.mark.parametrize("world", WORLDS)
def test_a_scene_whose_containers_are_all_taken_is_planned_too(world: str) -> None:
    # With no shape left to put something into, the relation becomes another one.
    plans = [plan_scene(Dice(_streams(0, world, index)[0]), world) for index in range(6000)]
    crowded = [plan for plan in plans if set(_CONTAINERS[world]) <= {group.shape for group in plan.groups}]
    assert crowded
    assert "near" in {plan.relation for plan in crowded}


def test_the_grammar_has_many_words() -> None:
    captions = draw_scenes(500, seed=1, size=16).captions
    assert len({word for scene in captions for caption in scene for word in words(caption)}) >= 300
    firsts = [scene[0] for scene in captions]
    assert len(set(firsts)) > 0.99 * len(firsts)


def _accuracy(first: list[str], second: list[str]) -> float:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score

    x = CountVectorizer().fit_transform([*first, *second])
    y = np.repeat([0, 1], [len(first), len(second)])
    order = np.random.default_rng(0).permutation(y.size)
    return float(cross_val_score(LogisticRegression(), x[order], y[order], cv=3).mean())


def test_worlds_differ_and_halves_of_one_world_do_not() -> None:
    plain = [" ".join(scene) for scene in draw_scenes(600, seed=2, size=16).captions]
    shifted = [" ".join(scene) for scene in draw_scenes(300, seed=2, world="shifted", size=16).captions]
    assert _accuracy(plain[:300], shifted) > 0.95
    assert abs(_accuracy(plain[:300], plain[300:]) - 0.5) < 0.08


def test_files_in_the_layout_of_coco(tmp_path: Path) -> None:
    path = write_scenes(tmp_path / "a", count=3, seed=5, size=32, start=7, prefix="x-")
    drawn = draw_scenes(3, seed=5, size=32, start=7)
    records = read_records(path)
    assert [record.id for record in records] == ["x-000007", "x-000008", "x-000009"]
    for record, pixels, captions in zip(records, drawn.pixels, drawn.captions, strict=True):
        from PIL import Image

        with Image.open(record.image) as picture:
            assert np.array_equal(np.asarray(picture), pixels)
        assert record.references == captions
        assert record.error is None
    assert sorted(each.name for each in (tmp_path / "a/images").iterdir()) == [f"x-00000{i}.png" for i in (7, 8, 9)]
    content = json.loads(path.read_text())
    assert len({each["id"] for each in content["annotations"]}) == 15
    assert write_scenes(tmp_path / "b", count=1, seed=5).read_text().count('"id": 0') == 2  # the image, a caption


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": 0},
        {"count": 1.5},
        {"seed": -1},
        {"world": "other"},
        {"size": 15},
        {"size": 513},
        {"start": -1},
        {"count": True},
    ],
    ids=str,
)
def test_settings_out_of_range_are_named(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        draw_scenes(**({"count": 1, "seed": 0} | wrong))  # type: ignore[arg-type]
    assert caught.value.where == next(iter(wrong))


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(RunError, match="cannot be written"):
        write_scenes(tmp_path / "taken", count=1, seed=0)
    with pytest.raises(ConfigError, match="cannot begin a file name"):
        write_scenes(tmp_path / "b", count=1, seed=0, prefix="../x")
