"""The drawn scenes: seeded, truthful, rich in words, and two worlds that can be told apart."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from m4i_fast.data import scenes
from m4i_fast.data.readers import read_records
from m4i_fast.data.scenes import WORLDS, _streams, draw_scenes, write_scenes
from m4i_fast.data.scenes.grammar import CAPTIONS, LONGEST, describe
from m4i_fast.data.scenes.layout import _CONTAINERS, Dice, plan_scene
from m4i_fast.data.scenes.lexicon import BACKGROUNDS, COLOUR_OF_WORD, LIGHTS
from m4i_fast.errors import ConfigError, RunError
from m4i_fast.runs import write_json
from m4i_fast.text.words import words

SEEDS = st.integers(0, 2**32)
ANY_WORLD = st.sampled_from(WORLDS)


def test_a_seed_means_these_scenes_for_ever() -> None:
    drawn = draw_scenes(1, seed=0, size=16)
    assert drawn.pixels.shape == (1, 16, 16, 3)
    assert drawn.pixels.dtype == np.uint8
    assert drawn.captions[0] == (
        "A single checkered white lightning bolt, five red cottages and two tiny black trees on the beach.",
        "Somebody has hidden five cosy houses by a single large bolt in checks.",
        "I like how the white bolt is close to the scarlet houses.",
        "The lightning bolt seems simple right beside the five houses.",
        "There is a bolt on the left, and nothing else.",
    )
    assert draw_scenes(1, seed=0, world="shifted", size=16, start=16).captions[0] == (
        "Exhibit: a metallic black rocket standing between tree trunks.",
        "A black rocket in the forest.",
        "Exhibit: a black rocket standing in the forest.",
        "Exhibit: an expensive black rocket waiting in the forest.",
        "In the forest there is a black rocket.",
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


def test_the_json_comes_after_the_last_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []

    def spy(path: Path, value: object) -> None:
        seen.append(sorted(each.name for each in path.parent.rglob("*") if each.is_file()))
        write_json(path, value)

    monkeypatch.setattr(scenes, "write_json", spy)
    write_scenes(tmp_path, count=300, seed=5, size=16)  # more than one block
    assert seen == [[f"{number:06d}.png" for number in range(300)]]
    names = sorted(each.name for each in tmp_path.rglob("*") if each.is_file())
    assert names == [*(f"{number:06d}.png" for number in range(300)), "captions.json"]
    records = read_records(tmp_path / "captions.json")
    assert [record.id for record in records] == [str(number) for number in range(300)]
    assert [record.references for record in records] == list(draw_scenes(300, seed=5, size=16).captions)


def test_stopped_midway_no_json_and_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = Image.Image.save
    left = iter(range(2))

    def full_disk(self: Image.Image, path: Path, **settings: object) -> None:
        save(self, path, **settings)  # type: ignore[arg-type]
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full_disk)
    with pytest.raises(RunError, match=r"cannot be written \(No space left on device\)") as caught:
        write_scenes(tmp_path, count=5, seed=5, size=16)
    assert caught.value.where == str(tmp_path)
    assert caught.value.exit_code == 2
    names = sorted(each.name for each in tmp_path.rglob("*") if each.is_file())
    assert names == ["000000.png", "000001.png"]


def test_files_of_the_same_name_are_replaced(tmp_path: Path) -> None:
    write_scenes(tmp_path, count=2, seed=5, size=16)
    path = write_scenes(tmp_path, count=2, seed=6, size=32)
    assert [record.references for record in read_records(path)] == list(draw_scenes(2, seed=6, size=16).captions)
    with Image.open(tmp_path / "images/000001.png") as picture:
        assert np.array_equal(np.asarray(picture), draw_scenes(2, seed=6, size=32).pixels[1])


def test_the_same_call_writes_the_same_bytes(tmp_path: Path) -> None:
    paths = [write_scenes(tmp_path / name, count=3, seed=7, size=16, start=2) for name in "ab"]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    for name in ("000002.png", "000004.png"):
        assert (tmp_path / "a/images" / name).read_bytes() == (tmp_path / "b/images" / name).read_bytes()


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "captions.json").mkdir()
    with pytest.raises(RunError, match="cannot be written"):
        write_scenes(tmp_path, count=1, seed=0, size=16)
    assert not [each for each in tmp_path.rglob("*") if "tmp" in each.name or each.name.startswith(".")]


@pytest.mark.parametrize("prefix", ["a b", "a/b", "..", "a\0", "x.y", "\n"])
def test_a_prefix_that_is_no_part_of_a_file_name_is_refused(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(ConfigError, match="cannot begin a file name"):
        write_scenes(tmp_path / "new", count=1, seed=0, prefix=prefix)
    assert not (tmp_path / "new").exists()
