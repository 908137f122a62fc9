from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m4i_fast.errors import AuditError
from m4i_fast.features.repeats import Repeats, pseudo_features, samples_features, views_features
from m4i_fast.text.overlap import overlap

CAPTION = st.none() | st.lists(st.sampled_from(["a", "dog", "cat", "runs", "on"]), max_size=6).map(" ".join)


def repeats(**said: list[list[str | None]]) -> Repeats:
    plain = said.pop("plain")
    return Repeats(tuple(f"r{row}" for row in range(len(plain[0]))), {"": plain, **said})


def test_views_by_hand() -> None:
    table = views_features(
        repeats(
            plain=[["a dog runs", "a cat", "a b c d", ""]],
            flip=[["a dog runs", "one bird", "a b x y", ""]],
            crop=[["a dog", None, "a b c d", "word"], ["a dog runs", "a cat", "d c b a", ""]],
        )
    )
    assert table.names == ("agree_flip", "same_flip", "agree_crop", "same_crop")
    assert table.recipe == "views|of:flipx1,cropx2|alike:rouge-score/words"
    # Of three words two in common: 2 * 2 / (3 + 2) = 0.8; of four and four, in turned order one: 2 * 1 / 8.
    wanted = [
        [1.0, 1.0, 0.9, 0.5],
        [0.0, 0.0, np.nan, np.nan],
        [0.5, 0.0, 0.625, 0.5],
        [1.0, 1.0, 0.5, 0.5],
    ]
    assert table.values == pytest.approx(np.array(wanted), nan_ok=True)


def test_samples_by_hand() -> None:
    table = samples_features(repeats(plain=[["a dog", "x", None], ["a dog", "y", "a"], ["a cat", "z", "a"]]))
    assert table.names == ("repeat_rouge_l", "repeat_same")
    # Pairs of the first: 1, 1/2, 1/2.
    assert table.values == pytest.approx(np.array([[2 / 3, 1 / 3], [0, 0], [np.nan, np.nan]]), nan_ok=True)


def test_pseudo_by_hand() -> None:
    given = repeats(plain=[["a dog", "x y", None, "a"], ["a cat", "x y", "a", "b"]])
    table = pseudo_features(given, [["a dog"], ["x y z", "q"], ["a"], []], recipe="rouge-score/words")
    assert table.names == ("pseudo_rouge_1", "pseudo_rouge_2", "pseudo_rouge_l", "pseudo_best")
    wanted = [[0.75, 0.5, 0.75, 1.0], [0.8, 2 / 3, 0.8, 0.8], [np.nan] * 4, [np.nan] * 4]
    assert table.values == pytest.approx(np.array(wanted), nan_ok=True)
    assert table.recipe.startswith("pseudo|of:2|recipe:rouge-score")


@given(st.integers(2, 4).flatmap(lambda k: st.lists(st.tuples(*[CAPTION] * k), min_size=1, max_size=5)))
def test_samples_agree_as_all_their_pairs_do(rows: list[tuple[str | None, ...]]) -> None:
    found = samples_features(repeats(plain=[list(column) for column in zip(*rows, strict=True)])).values
    for row, values in zip(rows, found, strict=True):
        if None in row:
            assert np.isnan(values).all()
            continue
        agree, same = [], []
        for one, other in combinations(row, 2):
            assert one is not None
            assert other is not None
            alike = overlap([one], [[other]], recipe="rouge-score/words").values[0, 2]
            agree.append(1.0 if one == other else alike)
            same.append(one == other)
        assert values == pytest.approx([np.mean(agree), np.mean(same)])


@given(st.lists(st.tuples(CAPTION, CAPTION), min_size=1, max_size=6))
def test_it_does_not_matter_which_of_two_captions_is_which(rows: list[tuple[str | None, str | None]]) -> None:
    one, other = (list(column) for column in zip(*rows, strict=True))
    there = views_features(repeats(plain=[one], flip=[other])).values
    back = views_features(repeats(plain=[other], flip=[one])).values
    assert np.array_equal(there, back, equal_nan=True)


def test_what_was_not_asked_is_refused_with_the_cure() -> None:
    alone = repeats(plain=[["a"]])
    with pytest.raises(AuditError, match=r"no changed picture was asked about.*--augment"):
        views_features(alone)
    with pytest.raises(AuditError, match=r"several are needed.*--samples 5"):
        samples_features(alone)
    with pytest.raises(AuditError, match="several are needed"):
        pseudo_features(alone, [["a"]])
