"""The recipe m4i as the package rouge 1.0.1 says it, to the last bit, on every backend."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m4i_fast.errors import ConfigError
from m4i_fast.kernels.backend import built_backends, set_statistics
from m4i_fast.kernels.ids import TokenIds
from m4i_fast.text.overlap import References, overlap, overlap_ids, overlaps
from tests.text.oracles import agrees, rouge

Rows = list[tuple[str, list[str]]]


def has_sentence(text: str) -> bool:
    """Where there is none the package stops."""
    return any(text.split("."))


def agree(rows: Rows) -> None:
    agrees("m4i", [said for said, _ in rows], [row for _, row in rows])


def test_by_hand() -> None:
    # {the, dog, runs} against {the, dog}: P = 2/3, R = 1; two bigrams against one.
    table = overlap(["the dog runs the"], [["the dog"]], recipe="m4i")
    assert table.recipe.startswith("recipe:m4i|tok:whitespace|refs:mean|sets|")
    assert table.values[0, 0] == 2.0 * ((2 / 3 * 1.0) / (2 / 3 + 1.0 + 1e-8))
    assert table.values[0, 1] == 2.0 * ((1 / 3 * 1.0) / (1 / 3 + 1.0 + 1e-8))
    counts = set_statistics(["w1 w2 w6 w7 w8. w1 w3 w8 w9 w5"], [["w1 w2 w3 w4 w5"]])
    assert counts.united.tolist() == [4]  # w1 w2 of the first sentence, w1 w3 w5 of the second
    assert counts.hypothesis_distinct.tolist() == [[8, 9]]


def test_of_two_longest_subsequences_the_same_one_is_taken() -> None:
    agree([("a b", ["b a"]), ("a b. b", ["b a. a c"]), ("c a b. b c", ["b c a. x b", "a. b. c"])])


WORDS = [
    "a",
    "b",
    "c",
    "dog",
    "A",
    ".",
    "..",
    ". ",
    "x.y",
    "caf\u00e9",
    "  ",
    "\t",
    "skateboarding",
    "e\u0301",
    "\u2028",
    "\0",
]


@pytest.mark.parametrize("longest", [4, 15, 150])
def test_as_the_package_on_drawn_lines(longest: int) -> None:
    chance = random.Random(longest)
    lines = [" ".join(chance.choices(WORDS, k=chance.randint(1, longest))) for _ in range(120)]
    lines = [line for line in lines if has_sentence(line)]
    agree([(line, chance.choices(lines, k=chance.randint(1, 3))) for line in lines])


def united(hypothesis: list[str], reference: list[str]) -> set[str]:
    """Of one sentence each, by NumPy: rouge's table row by row, and its way back."""
    numbers = {word: number for number, word in enumerate(dict.fromkeys(hypothesis + reference))}
    mine, other = np.array([numbers[word] for word in hypothesis]), [numbers[word] for word in reference]
    row = np.zeros(len(mine) + 1, np.int32)
    grows = []  # a bit a word of the hypothesis: whether the table grows there
    for word in other:
        row[1:] = np.maximum.accumulate(np.maximum(row[1:], row[:-1] + (mine == word)))
        grows.append(np.packbits(np.diff(row) > 0))
    i, j, found = len(mine), len(other), set()
    while i > 0 and j > 0:
        if mine[i - 1] == other[j - 1]:
            i, j = i - 1, j - 1
            found.add(hypothesis[i])
        elif grows[j - 1][(i - 1) // 8] >> (7 - (i - 1) % 8) & 1:  # where they differ: the cell above is the larger one
            j -= 1
        else:
            i -= 1
    return found


@pytest.mark.parametrize(
    ("length", "other", "distinct"),
    [(5, 7, 3), (70, 90, 5), (200, 130, 40), (9000, 8200, 3000), (8300, 9000, 40), (60, 1_100_000 // 60, 20)],
)
def test_the_words_of_one_subsequence_however_long_the_texts_are(length: int, other: int, distinct: int) -> None:
    """Beyond a million words of its table the core makes rows anew on the way back."""
    rng = np.random.default_rng(length + distinct)
    said, text = ([f"w{i}" for i in rng.integers(0, distinct, size)] for size in (length, other))
    said += [f"only{i}" for i in range(9)]  # so that the union is never all there is
    wanted = len(united(said, text))
    assert wanted < len(set(said))
    # rapidfuzz takes the truth's way here, whose table is of Python's numbers.
    backends = built_backends() if length * other < 100_000 else built_backends()[:-2]
    for name in backends:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M4I_FAST_KERNELS", name)
            assert set_statistics([" ".join(said)], [[" ".join(text)]]).united.tolist() == [wanted], name


some_text = st.text(st.sampled_from("ab. \t\u2028\u00e9\ud800"), max_size=24).filter(has_sentence)


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(st.tuples(some_text, st.lists(some_text, min_size=1, max_size=3)), min_size=1, max_size=4))
def test_as_the_package_on_any_text(rows: Rows) -> None:
    agree(rows)


def test_where_the_package_stops_a_pair_scores_nothing() -> None:
    for name in built_backends():
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M4I_FAST_KERNELS", name)
            table = overlap(["", "...", "a", "a"], [["a"], ["a", ""], ["", ""], []], recipe="m4i")
        assert (table.values[:3, :3] == 0).all(), name
        assert np.isnan(table.values[3]).all(), name
        halved = overlap(["a"], [["a", ".."]], recipe="m4i").values[0, 0]
        assert halved == rouge(["a"], [["a"]])[0, 0] / 2


def test_max_takes_the_best_reference() -> None:
    best = overlap(["a dog"], [["a cat", "a dog"]], recipe="m4i/max")
    assert best.values[0, 0] == rouge(["a dog"], [["a dog"]])[0, 0]
    assert "refs:max" in best.recipe


def test_prepared_references_give_the_same() -> None:
    said, rows = ["a dog. it runs", "x"], [["a dog runs. fast", "it"], ["x. x"]]
    np.testing.assert_array_equal(
        References(rows, recipe="m4i").score(said).values, overlap(said, rows, recipe="m4i").values
    )


def test_several_recipes_at_once_are_the_recipes_one_by_one() -> None:
    said, rows = ["a dog's ball. it runs", "The cat"], [["a dog runs. fast", "it"], ["the Cat sat"]]
    names = ["coco", "m4i", "rouge-score/words", "rouge-score/porter", "nltk", "sacrebleu/none", "coco/mean"]
    for name, table in zip(names, overlaps(said, rows, names), strict=True):
        alone = overlap(said, rows, recipe=name)
        assert table.recipe == alone.recipe
        np.testing.assert_array_equal(table.values, alone.values)


def test_ids_score_as_the_words_that_they_stand_for() -> None:
    said, others = TokenIds.from_lists([[1, 2, 3], [4]]), TokenIds.from_lists([[1, 3, 9], [2], [4, 4]])
    texts = ["1 2 3", "4"], [["1 3 9", "2"], ["4 4"]]
    for recipe in ("coco", "rouge-score", "sacrebleu/none", "nltk/mean"):
        table = overlap_ids(said, others, [0, 2, 3], recipe=recipe)
        np.testing.assert_array_equal(table.values, overlap(*texts, recipe=recipe, tokeniser="words").values)
        assert "|tok:ids|" in table.recipe
    with pytest.raises(ConfigError, match="recipe 'm4i' does not work with the tokeniser 'ids'"):
        overlap_ids(said, others, [0, 2, 3], recipe="m4i")
