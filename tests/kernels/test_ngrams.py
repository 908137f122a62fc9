"""Clipped n-gram matches: by hand, and every backend against plain counting."""

from __future__ import annotations

import pytest
from backends import backends_for
from hypothesis import given, settings
from hypothesis import strategies as st

from m4i_fast.kernels import backend
from m4i_fast.kernels.reference.ngrams import best_matches, clipped_matches

BACKENDS = backend.built_backends()


def matches_of(name: str, hypothesis: str, references: list[str]) -> tuple[list[list[int]], list[int]]:
    """Per reference, then clipped by the best of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("M4I_FAST_KERNELS", name)
        counts = backend.overlap_statistics([hypothesis], [references], tokeniser="whitespace")
    return counts.matches.tolist(), counts.best_matches[0].tolist()


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize(
    ("hypothesis", "references", "each", "best"),
    [
        ("a b c d", ["a b c d"], [[4, 3, 2, 1]], [4, 3, 2, 1]),
        ("a b c d e", ["a b c d e"], [[5, 4, 3, 2]], [5, 4, 3, 2]),
        ("the the the", ["the cat the"], [[2, 0, 0, 0]], [2, 0, 0, 0]),
        # The clip is by the largest count in any ONE reference, not by their sum.
        ("a a a a", ["a a", "a a a", "b"], [[2, 1, 0, 0], [3, 2, 1, 0], [0, 0, 0, 0]], [3, 2, 1, 0]),
        # Two references may each bring what the other lacks.
        ("a b x c d", ["a b", "c d"], [[2, 1, 0, 0], [2, 1, 0, 0]], [4, 2, 0, 0]),
        ("a a b b", ["a a b", "a b b"], [[3, 2, 1, 0], [3, 2, 1, 0]], [4, 3, 2, 0]),
        ("a b", ["a x b", "b a"], [[2, 0, 0, 0], [2, 0, 0, 0]], [2, 0, 0, 0]),
        ("", ["a", ""], [[0, 0, 0, 0], [0, 0, 0, 0]], [0, 0, 0, 0]),
        ("a", [], [], [0, 0, 0, 0]),
    ],
)
def test_matches_by_hand(
    name: str, hypothesis: str, references: list[str], each: list[list[int]], best: list[int]
) -> None:
    assert matches_of(name, hypothesis, references) == (each, best)


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize(
    ("hypothesis", "references", "closest"),
    [
        ("a b c", ["a b", "a b c d"], 2),  # both one away: the shorter
        ("a b c", ["a b c d", "a b"], 2),
        ("a b c", ["a", "a b c d"], 4),
        ("a b c", ["a b c d e f", "a b c"], 3),
        ("", ["a b", "a"], 1),
        ("a", [], 0),
    ],
)
def test_closest_length_by_hand(
    monkeypatch: pytest.MonkeyPatch, name: str, hypothesis: str, references: list[str], closest: int
) -> None:
    monkeypatch.setenv("M4I_FAST_KERNELS", name)
    counts = backend.overlap_statistics([hypothesis], [references], tokeniser="whitespace")
    assert counts.closest_length.tolist() == [closest]


tokens = st.lists(st.sampled_from(["a", "b", "c", "longer-than-eight", "longer-than-eighth"]), max_size=40)


@settings(deadline=None, max_examples=80)
@given(tokens, st.lists(tokens, max_size=3))
def test_backends_agree_with_counting(hypothesis: list[str], references: list[list[str]]) -> None:
    each = [[clipped_matches(hypothesis, reference, n) for n in (1, 2, 3, 4)] for reference in references]
    best = [best_matches(hypothesis, references, n) for n in (1, 2, 3, 4)]
    for name in backends_for(hypothesis, references):
        got = matches_of(name, " ".join(hypothesis), [" ".join(reference) for reference in references])
        assert got == (each, best)


def test_one_word_many_times_stays_linear() -> None:
    # A quadratic n-gram path would need 4e10 steps here.
    text = "a " * 200_000
    counts = backend.overlap_statistics([text], [["a " * 10]], tokeniser="words")
    assert counts.matches.tolist() == [[10, 9, 8, 7]]


def test_long_words_of_one_beginning_and_length_stay_apart() -> None:
    here = [f"one-beginning-{i:04d}-one-end" for i in range(1000)]
    there = [f"one-beginning-{i:04d}-one-end" for i in range(1000, 2000)]
    counts = backend.overlap_statistics([" ".join(here)], [[" ".join(there), here[7]]], tokeniser="whitespace")
    assert counts.matches[:, 0].tolist() == [0, 1]
    assert counts.best_matches.tolist() == [[1, 0, 0, 0]]
    assert counts.hypothesis_length.tolist() == [1000]
