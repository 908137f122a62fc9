"""Overlap scores: by hand, and to the last bit as the tools that the recipes are named after, on every backend."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from backends import backends_for
from hypothesis import given, settings
from hypothesis import strategies as st

import m4i_fast
from m4i_fast.errors import ConfigError, DataError
from m4i_fast.kernels.backend import built_backends
from m4i_fast.text.overlap import OverlapTable, overlap
from tests.text.oracles import agrees

NAMES = ("rouge_1", "rouge_2", "rouge_l", "bleu_1", "bleu_2", "bleu_3", "bleu_4")


def agree(hypotheses: list[str], references: list[list[str]], *, one_in: int = 1, **options: str) -> OverlapTable:
    """The table, after every backend has given the very same one."""
    tables = []
    for name in backends_for(hypotheses, references, options, one_in=one_in):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M4I_FAST_KERNELS", name)
            tables.append(overlap(hypotheses, references, **options))
    for table in tables:
        assert table.names == NAMES
        assert table.recipe == tables[0].recipe
        assert table.values.dtype == np.float64
        np.testing.assert_array_equal(table.values, tables[0].values)
    return tables[0]


def column(table: OverlapTable, name: str) -> list[float]:
    values: list[float] = table.values[:, table.names.index(name)].tolist()
    return values


def drawn_captions(seed: int, records: int) -> tuple[list[str], list[list[str]]]:
    """Captions of a small vocabulary: many ties, repeats and partial matches, 1 to 5 references a record."""
    rng = np.random.default_rng(seed)
    vocabulary = ["a", "the", "dog", "cat", "man", "runs", "sits", "on", "in", "red", "ball", ".", ",", "over", "two"]

    def caption() -> str:
        return " ".join(rng.choice(vocabulary, rng.integers(0, 15)))

    return [caption() for _ in range(records)], [[caption() for _ in range(rng.integers(1, 6))] for _ in range(records)]


# By hand.


def test_coco_by_hand() -> None:
    table = agree(["a dog runs"], [["a dog runs fast", "the dog"]], recipe="coco")
    assert table.recipe == "recipe:coco|tok:words|refs:max|beta:1.2|v:0.1.0"
    # Against the first: P = 3/3, R = 3/4. Against the second: P = 1/3, R = 1/2. Largest: 1 and 3/4.
    assert column(table, "rouge_l") == [pytest.approx((1 + 1.44) * 0.75 / (0.75 + 1.44))]
    assert column(table, "rouge_1") == [pytest.approx(2 * 1 * 0.75 / 1.75)]
    assert column(table, "rouge_2") == [pytest.approx(2 * 1 * (2 / 3) / (5 / 3))]
    # Lengths 4 and 2 are equally near to 3: the shorter, so no brevity penalty. No 4-gram to guess: 1e-15 / 1e-9.
    assert column(table, "bleu_3") == [pytest.approx(1.0, abs=1e-8)]
    assert column(table, "bleu_4") == [pytest.approx((1e-6) ** 0.25, rel=1e-6)]


def test_precision_and_recall_come_from_different_references() -> None:
    # P = 1 against the long one, R = 1 against the short one: together 1, though neither reference scores 1.
    table = agree(["a b"], [["a b c d", "a"]], recipe="coco")
    assert column(table, "rouge_l") == [1.0]


def test_rouge_score_by_hand() -> None:
    table = agree(["The dog's RUN!"], [["a dog s run", "the cat"]], recipe="rouge-score")
    # Tokens: the dog s run. First: 3 of 4 and 3 of 4. Second: 1 of 4 and 1 of 2.
    assert column(table, "rouge_1") == [0.75]
    assert column(table, "rouge_2") == [pytest.approx(2 / 3)]
    assert column(table, "rouge_l") == [0.75]


def test_a_short_caption_pays_the_brevity_penalty() -> None:
    table = agree(["a b c"], [["a b c d e f"]], recipe="coco")
    assert column(table, "bleu_1") == [pytest.approx(math.exp(1 - 6 / 3), abs=1e-8)]


def test_a_one_word_match_gives_the_known_figure() -> None:
    assert column(agree(["dog"], [["dog"]], recipe="coco"), "bleu_1") == [pytest.approx(0.999999998, abs=1e-11)]


def test_mean_over_references() -> None:
    table = agree(["a b"], [["a b", "c d", "a c"]], recipe="rouge-score", reduce="mean")
    assert table.recipe == "recipe:rouge-score|tok:rouge-score|refs:mean|v:0.1.0"
    assert column(table, "rouge_1") == [pytest.approx((1 + 0 + 0.5) / 3)]
    assert column(table, "rouge_2") == [pytest.approx(1 / 3)]
    assert column(table, "bleu_1") == [pytest.approx((1 + 0 + 0.5) / 3, abs=1e-8)]


@pytest.mark.parametrize("recipe", ["coco", "rouge-score", "coco/mean", "coco/coco-space", "rouge-score/mean"])
def test_empty_hypothesis_and_missing_references(recipe: str) -> None:
    table = agree(["", "a dog", "", "a"], [["a dog"], [], [], ["", "b"]], recipe=recipe)
    assert table.values[0].tolist() == [0.0] * 7
    assert np.isnan(table.values[1:3]).all()
    assert table.values[3, :3].tolist() == [0.0, 0.0, 0.0]
    assert (table.values[3] < 1e-6).sum() >= 4
    assert np.isfinite(table.values[3]).all()


def test_nothing_against_nothing() -> None:
    # pycocoevalcap calls the empty text one empty token; rouge-score calls it no match.
    assert column(agree(["..."], [["!"]], recipe="coco"), "rouge_l") == [1.0]
    assert column(agree(["..."], [["!"]], recipe="coco/mean"), "rouge_l") == [1.0]
    assert column(agree(["..."], [["!"]], recipe="rouge-score"), "rouge_l") == [0.0]


def test_no_records_give_an_empty_table() -> None:
    assert agree([], []).values.shape == (0, 7)


# To the last bit, against the tools.


@pytest.mark.parametrize("recipe", ["coco", "coco/coco-space", "rouge-score", "rouge-score/porter"])
def test_drawn_captions_equal_the_tools(recipe: str) -> None:
    hypotheses, references = drawn_captions(1, 300)
    if recipe == "rouge-score/porter":
        endings = ("", "s", "ed", "ing", "ly", "ational", "ies", "ness")
        hypotheses, *references = (
            [
                " ".join(f"{word}{endings[(i * k + len(text)) % 8]}" for i, word in enumerate(text.split()))
                for text in texts
            ]
            for k, texts in enumerate((hypotheses, *references), start=1)
        )
    agrees(recipe, hypotheses, references)


@pytest.mark.parametrize("recipe", ["coco/coco-space", "rouge-score"])
def test_long_texts_equal_the_tools(recipe: str) -> None:
    rng = np.random.default_rng(4)
    texts = [" ".join(f"w{i}" for i in rng.integers(0, 40, size)) for size in (70, 129, 200, 64, 63, 1)]
    # Triton's interpreter gets long texts in tests/kernels/test_gpu.py.
    names = [name for name in built_backends() if name != "triton"]
    agrees(recipe, texts, [texts[1:4]] * len(texts), backends=names)


captions = st.text(st.sampled_from("ab .'\t\u4e00\U0001f600\0\u2028\xa0\ud800\u0130\u212aA"), max_size=24) | st.text(
    max_size=8
)
records = st.lists(st.tuples(captions, st.lists(captions, min_size=1, max_size=3)), min_size=1, max_size=3)


@settings(deadline=None, max_examples=50)
@given(records, st.sampled_from(["coco", "coco/coco-space", "rouge-score"]))
def test_the_mean_is_the_mean_of_single_references(drawn: list[tuple[str, list[str]]], recipe: str) -> None:
    hypotheses, references = [h for h, _ in drawn], [row for _, row in drawn]
    table = agree(hypotheses, references, one_in=16, recipe=recipe, reduce="mean")
    for i, (hypothesis, row) in enumerate(drawn):
        single = overlap([hypothesis] * len(row), [[reference] for reference in row], recipe=recipe)
        np.testing.assert_allclose(table.values[i], single.values.mean(axis=0), rtol=1e-12, atol=1e-300)


@settings(deadline=None, max_examples=50)
@given(records, st.sampled_from(["coco", "coco/mean", "rouge-score"]))
def test_scores_lie_between_0_and_1(drawn: list[tuple[str, list[str]]], recipe: str) -> None:
    values = overlap([h for h, _ in drawn], [row for _, row in drawn], recipe=recipe).values
    assert ((values >= 0) & (values <= 1)).all()


def test_a_record_does_not_feel_its_neighbours() -> None:
    hypotheses, references = drawn_captions(5, 60)
    references[10], references[59] = [], []
    whole = overlap(hypotheses, references).values
    for i in (0, 9, 10, 11, 58, 59):
        np.testing.assert_array_equal(overlap([hypotheses[i]], [references[i]]).values[0], whole[i])


# Bad input, and the package's front door.


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((["a", None], [["a"], ["a"]]), DataError, r"hypotheses\[1\]: the hypothesis is None"),
        ((["a"], [["a", 5]]), DataError, r"references\[0\]\[1\]: the reference is of type 'int'"),
        ((["a", "b"], [["a"]]), DataError, "2 hypotheses but references for 1"),
        ((["a"], ["a"]), DataError, r"references\[0\]"),
    ],
)
def test_bad_input_is_named(arguments: tuple[list[str], list[list[str]]], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        overlap(*arguments)


def test_an_unknown_recipe_is_refused() -> None:
    with pytest.raises(ConfigError, match="'meteor' is not a recipe"):
        overlap(["a"], [["a"]], recipe="meteor")


def test_overlap_stands_at_the_front_door_and_loads_nothing_before_it_is_asked_for() -> None:
    assert m4i_fast.overlap is overlap
    assert set(m4i_fast.__all__) <= set(dir(m4i_fast))
    with pytest.raises(AttributeError, match="has no attribute 'rouge'"):
        m4i_fast.rouge  # noqa: B018
    code = "import sys, m4i_fast; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
