"""The recipe m4i as the package rouge 1.0.1 says it, to the last bit, on every backend."""

from __future__ import annotations

import random

import numpy as np
import pytest
from backends import backends_for
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge import Rouge

from m4i_fast.errors import ConfigError
from m4i_fast.kernels.backend import built_backends, set_statistics
from m4i_fast.kernels.ids import TokenIds
from m4i_fast.text.overlap import References, overlap, overlap_ids, overlaps

Rows = list[tuple[str, list[str]]]


def has_sentence(text: str) -> bool:
    """Where there is none the package stops."""
    return any(text.split("."))


def rouge(hypothesis: str, references: list[str]) -> list[float]:
    said = [Rouge().get_scores(hypothesis, reference)[0] for reference in references]
    return [sum(each[name]["f"] for each in said) / len(said) for name in ("rouge-1", "rouge-2", "rouge-l")]


def agree(rows: Rows, one_in: int = 1) -> None:
    wanted = [rouge(*row) for row in rows]
    for name in backends_for(rows, one_in=one_in):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M4I_FAST_KERNELS", name)
            table = overlap([said for said, _ in rows], [row for _, row in rows], recipe="m4i")
        assert table.recipe.startswith("recipe:m4i|tok:whitespace|refs:mean|sets|")
        np.testing.assert_array_equal(table.values[:, :3], np.array(wanted).reshape(-1, 3), err_msg=name)


def test_by_hand() -> None:
    # {the, dog, runs} against {the, dog}: P = 2/3, R = 1; two bigrams against one.
    table = overlap(["the dog runs the"], [["the dog"]], recipe="m4i")
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
    agree([(line, chance.choices(lines, k=chance.randint(1, 3))) for line in lines], one_in=16 if longest > 100 else 1)


some_text = st.text(st.sampled_from("ab. \t\u2028\u00e9\ud800"), max_size=24).filter(has_sentence)


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(st.tuples(some_text, st.lists(some_text, min_size=1, max_size=3)), min_size=1, max_size=4))
def test_as_the_package_on_any_text(rows: Rows) -> None:
    agree(rows, one_in=16)


def test_where_the_package_stops_a_pair_scores_nothing() -> None:
    for name in built_backends():
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M4I_FAST_KERNELS", name)
            table = overlap(["", "...", "a", "a"], [["a"], ["a", ""], ["", ""], []], recipe="m4i")
        assert (table.values[:3, :3] == 0).all(), name
        assert np.isnan(table.values[3]).all(), name
        halved = overlap(["a"], [["a", ".."]], recipe="m4i").values[0, 0]
        assert halved == rouge("a", ["a"])[0] / 2


def test_max_takes_the_best_reference() -> None:
    best = overlap(["a dog"], [["a cat", "a dog"]], recipe="m4i/max")
    assert best.values[0, 0] == rouge("a dog", ["a dog"])[0]
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
