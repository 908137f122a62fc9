import numpy as np
import numpy.typing as npt
import pytest
from threadpoolctl import threadpool_limits

from m4i_fast.errors import AuditError
from m4i_fast.stats.roc import auc, balanced_accuracy
from m4i_fast.validity.blind import blind_both, blind_scores, blind_text, image_statistics

WORDS = [f"word{i}" for i in range(200)]


def labels_of(count: int) -> npt.NDArray[np.bool_]:
    return np.arange(count) % 2 == 0


def names(count: int) -> tuple[str, ...]:
    return tuple(f"r{i}" for i in range(count))


def captions(count: int, seed: int = 0, shift: float = 0.0) -> list[list[str]]:
    rng = np.random.default_rng(seed)
    texts = [[" ".join(rng.choice(WORDS, 9)) for _ in range(3)] for _ in range(count)]
    marked = labels_of(count) & (rng.random(count) < shift)
    return [[f"{each} aerial" for each in row] if m else row for row, m in zip(texts, marked, strict=True)]


def test_nothing_is_found_on_an_honest_split() -> None:
    # Mean of several small samples: pooled raw scores would lie clearly below 0.5 here.
    found = []
    for seed in range(12):
        y = labels_of(80)
        x = np.random.default_rng(seed).normal(size=(80, 20))
        found.append(auc(blind_scores("image", x, y, None, ids=names(80), seed=seed).values, y))
    assert abs(np.mean(found) - 0.5) < 0.06
    y = labels_of(400)
    assert abs(auc(blind_text(captions(400), y, None, ids=names(400), seed=0).values, y) - 0.5) < 0.1


def test_a_shift_in_the_words_is_found() -> None:
    y = labels_of(200)
    scores = blind_text(captions(200, shift=0.9), y, None, ids=names(200), seed=0)
    assert auc(scores.values, y) > 0.9
    assert (scores.attack, scores.threshold) == ("text", 0.5)
    assert balanced_accuracy(scores.values, y, 0.5) > 0.85


def test_a_shift_in_the_pictures_is_found() -> None:
    y = labels_of(200)
    x = np.random.default_rng(0).normal(size=(200, 30)) + 1.0 * y[:, None]
    assert auc(blind_scores("image", x, y, None, ids=names(200), seed=0).values, y) > 0.95


def test_wide_features_are_reduced_and_the_shift_is_still_found() -> None:
    y = labels_of(400)
    x = np.random.default_rng(0).normal(size=(400, 600)) + 0.3 * y[:, None]
    assert auc(blind_scores("image", x, y, None, ids=names(400), seed=0).values, y) > 0.95


def test_both_finds_a_shift_on_either_side() -> None:
    y, rng = labels_of(200), np.random.default_rng(0)
    plain, moved = rng.normal(size=(200, 10)), rng.normal(size=(200, 10)) + 1.0 * y[:, None]
    for texts, x in ((captions(200, shift=0.9), plain), (captions(200), moved)):
        assert auc(blind_both(texts, x, y, None, ids=names(200), seed=0).values, y) > 0.85


def test_lengths_alone_are_found() -> None:
    y = labels_of(200)
    texts = [row[:2] if m else row for row, m in zip(captions(200), y, strict=True)]
    assert auc(blind_text(texts, y, None, ids=names(200), seed=0).values, y) > 0.9


def test_a_group_never_stands_on_both_sides_of_a_fold() -> None:
    # Four copies of each picture, no shift: a classifier that saw a copy would know the label.
    rng = np.random.default_rng(0)
    y = np.repeat(labels_of(60), 4)
    x = np.repeat(rng.normal(size=(60, 40)), 4, axis=0)
    groups = [f"g{i // 4}" for i in range(240)]
    honest = auc(blind_scores("image", x, y, groups, ids=names(240), seed=0).values, y)
    fooled = auc(blind_scores("image", x, y, None, ids=names(240), seed=0).values, y)
    assert honest < 0.65
    assert fooled > 0.85


def test_the_threshold_calls_as_many_as_there_are_members() -> None:
    y = np.arange(200) < 40
    x = np.random.default_rng(0).normal(size=(200, 5))
    scores = blind_scores("image", x, y, None, ids=names(200), seed=0)
    assert 25 <= (scores.values > 0.5).sum() <= 55
    assert scores.values.min() >= 0
    assert scores.values.max() <= 1


def test_rows_without_features_get_no_score() -> None:
    y, x = labels_of(60), np.random.default_rng(0).normal(size=(60, 4))
    x[7, 2] = np.nan
    scores = blind_scores("image", x, y, None, ids=names(60), seed=0)
    assert np.flatnonzero(np.isnan(scores.values)).tolist() == [7]
    both = blind_both(captions(60), x, y, None, ids=names(60), seed=0)
    assert np.flatnonzero(np.isnan(both.values)).tolist() == [7]


def test_the_same_seed_gives_the_same_scores() -> None:
    y, x = labels_of(60), np.random.default_rng(0).normal(size=(60, 4))
    one, two, other = (blind_scores("i", x, y, None, ids=names(60), seed=s).values for s in (0, 0, 1))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_hostile_captions_are_taken() -> None:
    y = labels_of(40)
    texts: list[list[str]] = [["", "\x00", "\u202e \u200b", "<script>", "x" * 10_000] for _ in range(40)]
    texts[3] = []
    assert np.isfinite(blind_text(texts, y, None, ids=names(40), seed=0).values).all()


def test_no_caption_at_all_is_refused() -> None:
    with pytest.raises(AuditError, match="no record has a reference caption"):
        blind_text([[""], []] * 20, labels_of(40), None, ids=names(40), seed=0)


def test_too_few_groups_and_one_class_are_refused() -> None:
    x = np.zeros((40, 2))
    with pytest.raises(AuditError, match="too few groups for 5 folds: 9 of members, 31 of non-members"):
        blind_scores("image", x, np.arange(40) < 9, None, ids=names(40), seed=0)
    with pytest.raises(AuditError, match="0 of members"):
        blind_scores("image", x, np.zeros(40, np.bool_), None, ids=names(40), seed=0)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(AuditError, match="one row, one label and one id"):
        blind_scores("image", np.zeros((3, 2)), labels_of(4), None, ids=names(4), seed=0)
    with pytest.raises(AuditError, match="3 lists of references, 4 labels"):
        blind_text([["a"]] * 3, labels_of(4), None, ids=names(4), seed=0)


def test_image_statistics_by_hand() -> None:
    pixels = np.zeros((2, 2, 2, 3), np.uint8)
    pixels[1, :, 1] = (255, 0, 0)
    dark, half_red = image_statistics(pixels)
    assert dark.tolist() == [0.0] * 10
    assert half_red.tolist() == pytest.approx([0.5, 0, 0, 0.5, 0, 0, 0, 1 / 3, 0, 1 / 3])


def test_trees_find_what_a_straight_line_cannot() -> None:
    # Members are 500 wide, others 400 or 600: their mean is the same.
    rng = np.random.default_rng(0)
    member = np.arange(400) % 2 == 0
    width = np.where(member, 500.0, rng.choice([400.0, 600.0], 400))
    ids = [str(row) for row in range(400)]
    with threadpool_limits(1):
        told = {
            trees: auc(blind_scores("file", width[:, None], member, None, ids=ids, seed=0, trees=trees).values, member)
            for trees in (False, True)
        }
    assert told[True] > 0.99
    assert told[False] < 0.6


def test_trees_are_at_chance_where_there_is_nothing() -> None:
    ids = [str(row) for row in range(1000)]
    member = np.arange(1000) % 2 == 0
    found = []
    for seed in range(2):
        noise = np.random.default_rng(seed).normal(size=(1000, 17))
        with threadpool_limits(1):
            scores = blind_scores("file", noise, member, None, ids=ids, seed=seed, trees=True)
        found.append(auc(scores.values, member))
    assert abs(np.mean(found) - 0.5) < 0.05
