"""References that were prepared once give the very numbers that they give when they are not."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable

import numpy as np
import pytest
from backends import backends_for
from hypothesis import given, settings
from hypothesis import strategies as st

import m4i_fast
from m4i_fast.errors import ConfigError, DataError
from m4i_fast.kernels.backend import PreparedReferences, built_backends, overlap_statistics
from m4i_fast.kernels.tokens import TOKENISERS
from m4i_fast.text.overlap import References, overlap, overlaps

Rows = list[list[str]]


def agree(hypotheses: list[list[str]], references: Rows, tokeniser: str, threads: int = 1, one_in: int = 1) -> None:
    """Several sets of hypotheses against references that are prepared once, on every backend."""
    for name in backends_for(hypotheses, references, tokeniser, one_in=one_in):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M4I_FAST_KERNELS", name)
            prepared = PreparedReferences(references, tokeniser=tokeniser)
            assert len(prepared) == len(references)
            for each in hypotheses:
                found = prepared.statistics(each, threads=threads)
                expected = overlap_statistics(each, references, tokeniser=tokeniser)
                for field in dataclasses.fields(expected):
                    np.testing.assert_array_equal(
                        getattr(found, field.name), getattr(expected, field.name), err_msg=f"{name} {field.name}"
                    )


WORDS = [
    "a",
    "dog",
    "dogs",
    "running",
    "skateboarding",
    "skateboards",
    "caf\u00e9",
    "x.",
    "3.5",
    "",
    "a\tb",
    "wonderfully",
    "\0",
    "abcdefgh\0",
]


def lines(seed: int, count: int, longest: int = 20) -> list[str]:
    chance = random.Random(seed)
    return [" ".join(chance.choices(WORDS, k=chance.randint(0, longest))) for _ in range(count)]


@pytest.mark.parametrize("tokeniser", TOKENISERS)
def test_as_if_they_were_not_prepared(tokeniser: str) -> None:
    chance = random.Random(1)
    pool = lines(2, 200)
    references = [chance.choices(pool, k=chance.randint(0, 6)) for _ in range(150)]
    # The third set knows words that no reference has, short ones and such as must be numbered.
    strange = [
        f"{text} zebra crossings-everywhere unheard-of-altogether unheard-of-altogether" for text in lines(5, 150)
    ]
    agree([lines(3, 150), lines(4, 150), strange], references, tokeniser, one_in=2)


@pytest.mark.parametrize(("more", "tokeniser"), [(0, "coco-space"), (1, "words"), (1, "coco-space")])
def test_as_many_different_words_as_there_are_numbers_of_16_bits(more: int, tokeniser: str) -> None:
    """The last number and one beyond it: there the core takes another way."""
    most = 65_535 + more
    words = [f"w{i}" for i in range(most)]
    references = [[" ".join(words[i : i + 1500]), f"{words[-1 - i]} w{i}"] for i in range(0, most, 1500)]
    said = [f"{words[i]} w65534 w65535 unheard w{i + 1}" for i in range(0, most, 1500)]
    for name in set(built_backends()) & {"avx512", "avx2", "baseline"}:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M4I_FAST_KERNELS", name)
            found = PreparedReferences(references, tokeniser=tokeniser).statistics(said, threads=1)
            expected = overlap_statistics(said, references, tokeniser=tokeniser)
            for field in dataclasses.fields(expected):
                np.testing.assert_array_equal(getattr(found, field.name), getattr(expected, field.name), err_msg=name)


@pytest.mark.parametrize("tokeniser", ["words", "coco-space", "porter"])
def test_long_texts_and_many_threads(tokeniser: str) -> None:
    chance = random.Random(1)
    pool = lines(2, 60, longest=200)
    references = [chance.choices(pool, k=chance.randint(0, 4)) for _ in range(200)]
    agree([lines(3, 200, longest=150)], references, tokeniser, threads=3, one_in=16)


@pytest.mark.parametrize("tokeniser", TOKENISERS)
@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.text(max_size=20), st.text(max_size=20), st.lists(st.text(max_size=20), max_size=3)), max_size=5
    )
)
def test_any_text(tokeniser: str, rows: list[tuple[str, str, list[str]]]) -> None:
    agree([[row[0] for row in rows], [row[1] for row in rows]], [row[2] for row in rows], tokeniser, one_in=16)


@pytest.mark.parametrize("recipe", ["coco", "coco/coco-space/mean", "rouge-score/porter", "sacrebleu", "nltk/method1"])
def test_scores_are_those_of_overlap(recipe: str) -> None:
    references = [lines(seed, 3) for seed in range(40)]
    prepared = m4i_fast.References(references, recipe=recipe)
    for seed in (50, 51):
        said = lines(seed, 40)
        table, expected = prepared.score(said), overlap(said, references, recipe=recipe)
        assert table.names == expected.names
        assert table.recipe == expected.recipe
        np.testing.assert_array_equal(table.values, expected.values)


def test_several_recipes_share_what_is_prepared() -> None:
    references = [lines(seed, seed % 4) for seed in range(60)]
    names = [
        "coco",
        "m4i",
        "rouge-score/words",
        "sacrebleu",
        "coco/mean",
        "nltk",
        "coco/ptb-exact",
        "rouge-score/words/mean",
    ]
    for backend in built_backends():
        if backend == "triton":  # texts are numbered for it; its interpreter takes seconds for so many
            continue
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M4I_FAST_KERNELS", backend)
            prepared = References(references, recipe=names)
            assert len(prepared) == 60
            for seed in (70, 71):
                said = lines(seed, 60)
                found, expected = prepared.scores(said), overlaps(said, references, names)
                assert [each.recipe for each in found] == [each.recipe for each in expected]
                for one, other in zip(found, expected, strict=True):
                    np.testing.assert_array_equal(one.values, other.values)
                np.testing.assert_array_equal(prepared.score(said).values, expected[0].values)
    assert References([["a"]], recipe=["coco", "rouge-score"], reduce="mean").scores(["a"])[1].recipe.count("refs:mean")


def test_recipes_of_one_tokeniser_are_tokenised_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def prepare(rows: Rows, *, tokeniser: str) -> PreparedReferences:
        made.append(tokeniser)
        return PreparedReferences(rows, tokeniser=tokeniser)

    monkeypatch.setattr("m4i_fast.text.overlap.PreparedReferences", prepare)
    References([["a"]], recipe=["coco", "sacrebleu", "rouge-score/words", "coco/mean"])
    assert made == ["words", "13a"]


@pytest.mark.parametrize("recipe", ["sacrebleu", "nltk/13a", "coco/ptb-exact", "m4i"])
def test_a_list_that_shrinks_while_it_is_read_is_named(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = ["a caf\u00e9 &amp; a bar"] * 600  # Python itself still takes entities apart
    for name, tokeniser in TOKENISERS.items():

        def encode(text: str, encode: Callable[[str], bytes] = tokeniser.encode) -> bytes:
            del said[300:]  # as another thread might, once Python runs
            return encode(text)

        monkeypatch.setitem(TOKENISERS, name, dataclasses.replace(tokeniser, encode=encode))
    references = References([["a dog"]] * 600, recipe=recipe)
    if recipe in {"coco/ptb-exact", "m4i"}:  # which copy the list before they look at a text
        assert references.score(said).values.shape == (600, 7)
    else:
        with pytest.raises(DataError, match="there are 300 hypotheses but references for 600"):
            references.score(said)


def test_what_was_prepared_does_not_change_with_the_lists_it_came_from() -> None:
    rows = [["a dog"], ["a cat"]]
    prepared = References(rows)
    rows[0][0] = "nothing"
    rows.append(["more"])
    for name in built_backends():
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M4I_FAST_KERNELS", name)
            assert prepared.score(["a dog", "a cat"]).values[:, 2].tolist() == [1.0, 1.0]


def test_bad_input() -> None:
    with pytest.raises(DataError, match=r"references\[1\]\[0\]: the reference is None, not a string"):
        References([["a"], [None]])  # type: ignore[list-item]
    with pytest.raises(DataError, match=r"references\[0\]: the references of a record are of type 'str'"):
        References(["a"])
    with pytest.raises(ConfigError, match="'meteor' is not a recipe"):
        References([["a"]], recipe="meteor")
    prepared = References([["a"], ["b"]])
    for name in built_backends():
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M4I_FAST_KERNELS", name)
            with pytest.raises(DataError, match="there are 1 hypotheses but references for 2"):
                prepared.score(["a"])
            with pytest.raises(DataError, match=r"hypotheses\[1\]: the hypothesis is of type 'int'"):
                prepared.score(["a", 1])  # type: ignore[list-item]
    assert References([]).score([]).values.shape == (0, 7)
