"""Tokenisers: by hand, and every backend against the truth. On every character there is: test_unicode.py."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from backends import backends_for
from hypothesis import given, settings
from hypothesis import strategies as st

from m4i_fast.kernels import backend
from m4i_fast.kernels.statistics import OverlapStatistics
from m4i_fast.kernels.tokens import TOKENISERS

BACKENDS = backend.built_backends()


def statistics(name: str, hypotheses: list[str], references: list[list[str]], tokeniser: str) -> OverlapStatistics:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("M4I_FAST_KERNELS", name)
        return backend.overlap_statistics(hypotheses, references, tokeniser=tokeniser)


def assert_agree(hypotheses: list[str], references: list[list[str]], tokeniser: str, one_in: int = 1) -> None:
    truth = statistics("reference", hypotheses, references, tokeniser)
    for name in backends_for(hypotheses, references, tokeniser, one_in=one_in):
        counts = statistics(name, hypotheses, references, tokeniser)
        for field in dataclasses.fields(truth):
            expected, actual = getattr(truth, field.name), getattr(counts, field.name)
            assert actual.dtype == expected.dtype, (name, field.name)
            np.testing.assert_array_equal(actual, expected, err_msg=f"{name} {field.name}")


@pytest.mark.parametrize(
    ("tokeniser", "text", "expected"),
    [
        ("words", "The dog's ball -- it isn't RED!", ["the", "dog's", "ball", "it", "isn't", "red"]),
        ("words", "'quoted' rock'n'roll dogs' ''", ["quoted", "rock'n'roll", "dogs"]),
        ("words", "snake_case 3.5 x2", ["snake", "case", "3", "5", "x2"]),
        ("words", "don\u2019t CAF\u00c9 cafe\u0301", ["don't", "caf\u00e9", "caf\u00e9"]),
        ("words", "\u4e00\u53ea\u72d7 \U0001f415", ["\u4e00\u53ea\u72d7"]),
        ("words", "a\0b\ud800c", ["a", "b", "c"]),
        ("rouge-score", "The dog's caf\u00e9", ["the", "dog", "s", "caf"]),
        ("rouge-score", "\u212alein \u0130x", ["klein", "i", "x"]),
        ("whitespace", " The\tdog's\u00a0 caf\u00e9.\n", ["The", "dog's", "caf\u00e9."]),
        ("coco-space", "a  b\tc", ["a", "b", "c"]),
        (
            "13a",
            "The dog's 3.5, 1,000-x (a.b) well-made.",
            ["The", "dog's", "3.5", ",", "1,000", "-", "x", "(", "a", ".", "b", ")", "well-made", "."],
        ),
        (
            "13a",
            "caf\u00e9. \u00b2.5 &quot;&amp;lt; a-\nb <skipped>c \n",
            ["caf\u00e9", ".", "\u00b2", ".", "5", '"', "<", "ab", "c"],
        ),
    ],
)
def test_tokens_by_hand(tokeniser: str, text: str, expected: list[str]) -> None:
    assert TOKENISERS[tokeniser].ngrams(text) == expected


def test_coco_space_takes_the_subsequence_of_single_space_tokens() -> None:
    assert TOKENISERS["coco-space"].subsequence(" a  b\tc") == ["", "a", "", "b\tc"]
    for name in BACKENDS:
        counts = statistics(name, ["", "a  b"], [["", "a b"], ["a  c", "a b", "b\tc"]], "coco-space")
        assert counts.lcs.tolist() == [1, 0, 2, 2, 0]
        assert counts.hypothesis_length_lcs.tolist() == [1, 3]
        assert counts.reference_length_lcs.tolist() == [1, 2, 3, 2, 1]
        assert counts.hypothesis_length.tolist() == [0, 2]
        assert counts.reference_length.tolist() == [0, 2, 2, 2, 2]
        assert counts.matches[:, 0].tolist() == [0, 0, 1, 2, 1]


def test_tokeniser_numbers_are_the_cores() -> None:
    assert {name: tokeniser.number for name, tokeniser in TOKENISERS.items()} == {
        "words": 0,
        "rouge-score": 1,
        "whitespace": 2,
        "coco-space": 3,
        "13a": 4,
        "porter": 5,
        "ptb": 6,
    }


HOSTILE = [
    "",
    " ",
    "  ",
    "...",
    "\0",
    "a\0b",
    "a\0c",
    "\ud800",
    "\udfff a \ud83d\ude00",
    "\U0001f600 a",
    "\u4e00\u53ea\u72d7\u5728\u8dd1",
    "e\u0301 \u00e9",
    "\u0130stanbul ISTANBUL",
    "\u2028 \u2029\x85a\x1cb",
    "don't don\u2019t 'a' a'",
    "\u0644\u0627 \u0939\u093f\u0928\u094d\u0926\u0940",
    "longer-than-eight longer-than-eighth aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac",
    "abcdefgh abcdefghi abcdefg abcdefg\0 abcdefgh\0",
]


@pytest.mark.parametrize("tokeniser", TOKENISERS)
def test_hostile_texts_agree(tokeniser: str) -> None:
    assert_agree(HOSTILE, [HOSTILE] * len(HOSTILE), tokeniser)


letters = st.text(st.sampled_from("aAbB'_ \t\n.,0\u00a0\u00e9\u0301\u2019\u2028\u0130\u212a\ud800\U0001f600\x1c\0"))


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(letters, st.lists(letters | st.text(), max_size=3)), max_size=4))
def test_backends_agree_on_any_text(records: list[tuple[str, list[str]]]) -> None:
    for tokeniser in TOKENISERS:
        assert_agree([hypothesis for hypothesis, _ in records], [row for _, row in records], tokeniser, one_in=32)
