"""Longest common subsequence: by hand, and every backend against the textbook table."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from backends import backends_for
from hypothesis import given, settings
from hypothesis import strategies as st

from m4i_fast.kernels import backend
from m4i_fast.kernels.reference.lcs import lcs_length

BACKENDS = backend.built_backends()


def lcs_of(name: str, hypothesis: str, reference: str) -> int:
    return lcs_each(name, [(hypothesis, reference)])[0]


def lcs_each(name: str, pairs: list[tuple[str, str]]) -> list[int]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("M4I_FAST_KERNELS", name)
        counts = backend.overlap_statistics([h for h, _ in pairs], [[r] for _, r in pairs], tokeniser="whitespace")
    lengths: list[int] = counts.lcs.tolist()
    return lengths


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize(
    ("hypothesis", "reference", "length"),
    [
        ("a x c d", "a b c d", 3),
        ("", "", 0),
        ("", "a", 0),
        ("a", "", 0),
        ("a b c", "a b c", 3),
        ("a b c", "c b a", 1),
        ("a a a", "a a", 2),
        ("a b a b", "b a b a", 3),
        ("x y z", "a b c", 0),
        ("the cat sat on the mat", "the mat sat on the cat", 4),
    ],
)
def test_length_by_hand(name: str, hypothesis: str, reference: str, length: int) -> None:
    assert lcs_of(name, hypothesis, reference) == length


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("length", [63, 64, 65, 127, 128, 129])
def test_length_at_the_edges_of_machine_words(name: str, length: int) -> None:
    text = [f"w{i}" for i in range(length)]
    others = [text, text[1:], ["new", *text]]
    pairs = [(" ".join(text), " ".join(other)) for other in others]
    pairs.append((" ".join(["same"] * length), " ".join(["same"] * (length + 5))))
    assert lcs_each(name, pairs) == [length, length - 1, length, length]


@pytest.mark.parametrize("name", BACKENDS)
def test_a_carry_runs_through_several_blocks(name: str) -> None:
    # 200 tokens moved by 70 places: each match is found one block later.
    text = [f"w{i}" for i in range(200)]
    moved = text[130:] + text[:130]
    assert lcs_of(name, " ".join(text), " ".join(moved)) == 130


@pytest.mark.parametrize("letters", [2, 3, 30])
def test_long_texts_agree_with_the_table(letters: int) -> None:
    rng = np.random.default_rng(letters)
    for _ in range(12):
        a = [chr(97 + int(c)) for c in rng.integers(0, letters, rng.integers(60, 210))]
        b = [chr(97 + int(c)) for c in rng.integers(0, letters + 1, rng.integers(60, 210))]
        assert lcs_of(BACKENDS[0], " ".join(a), " ".join(b)) == lcs_length(a, b)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from("abcd"), max_size=150),
    st.lists(st.sampled_from("abcde"), max_size=150),
)
def test_backends_agree_with_the_table(a: list[str], b: list[str]) -> None:
    for name in backends_for(a, b):
        assert lcs_of(name, " ".join(a), " ".join(b)) == lcs_length(a, b)


def test_long_texts_take_linear_memory_and_little_time() -> None:
    # 40,000 against 40,000 tokens: a table would hold 1.6e9 cells.
    text = " ".join(f"w{i % 1000}" for i in range(40_000))
    other = " ".join(f"w{(i * 7) % 1000}" for i in range(40_000))
    counts = backend.overlap_statistics([text], [[other, text]], tokeniser="whitespace")
    assert counts.lcs[1] == 40_000
    assert 0 < counts.lcs[0] < 40_000


def test_statistics_have_the_documented_types() -> None:
    counts = backend.overlap_statistics(["a"], [["a", "b"]], tokeniser="words")
    kinds = {field.name: getattr(counts, field.name).dtype for field in dataclasses.fields(counts)}
    assert kinds.pop("offsets") == np.int64
    assert set(kinds.values()) == {np.dtype(np.int32)}
