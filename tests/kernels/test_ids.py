"""Texts that are numbers: counts, subsequences and nearest texts, on every backend against plain definitions."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
from backends import backends_for
from hypothesis import given, settings
from hypothesis import strategies as st

from m4i_fast.errors import ConfigError, DataError
from m4i_fast.kernels.backend import built_backends, overlap_statistics
from m4i_fast.kernels.ids import MEASURES, TokenIds, id_statistics, nearest, overlap_matrix, subsequence_lengths
from m4i_fast.kernels.numbering import Numbering
from m4i_fast.kernels.reference.lcs import lcs_length
from m4i_fast.kernels.reference.ngrams import clipped_matches
from m4i_fast.kernels.tokens import TOKENISERS

Lists = list[list[int]]


def backends(*example: object, one_in: int = 1) -> Iterator[str]:
    for name in backends_for(*example, one_in=one_in):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M4I_FAST_KERNELS", name)
            yield name


def agree(hypotheses: Lists, references: list[Lists], one_in: int = 1) -> None:
    """As the words that the numbers would be."""
    texts = [" ".join(map(str, text)) for text in hypotheses]
    rows = [[" ".join(map(str, text)) for text in row] for row in references]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("M4I_FAST_KERNELS", "reference")
        wanted = overlap_statistics(texts, rows, tokeniser="whitespace")
    said = TokenIds.from_lists(hypotheses)
    others = TokenIds.from_lists([text for row in references for text in row])
    at = np.cumsum([0, *map(len, references)])
    for name in backends(hypotheses, references, one_in=one_in):
        found = id_statistics(said, others, at, threads=1)
        for field in dataclasses.fields(wanted):
            np.testing.assert_array_equal(
                getattr(found, field.name), getattr(wanted, field.name), err_msg=f"{name} {field.name}"
            )
        np.testing.assert_array_equal(subsequence_lengths(said, others, at, threads=1), wanted.lcs, err_msg=name)


def test_by_hand() -> None:
    said, others = TokenIds.from_lists([[0, 1, 2], []]), TokenIds.from_lists([[0, 2, 5], [1], [0], [7, 8]])
    for name in backends():
        counts = id_statistics(said, others)
        assert counts.lcs.tolist() == [2, 1, 0, 0], name
        assert counts.best_matches.tolist() == [[3, 0, 0, 0], [0, 0, 0, 0]], name
        assert counts.closest_length.tolist() == [3, 1], name
        assert subsequence_lengths(said, others).tolist() == [2, 1, 0, 0], name


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130])
@pytest.mark.parametrize("distinct", [1, 2, 9])
def test_lengths_around_the_width_of_vectors(length: int, distinct: int) -> None:
    rng = np.random.default_rng(1000 * length + distinct)

    def text(count: int) -> list[int]:
        return rng.integers(0, distinct, count).tolist()

    row = [text(size) for size in (0, 1, 7, 8, 9, length, length + 1, 16, 40, 200)]
    agree([text(length) for _ in range(3)], [row, row[:3], []], one_in=16)


def test_references_beyond_the_lanes() -> None:
    rng = np.random.default_rng(2)
    agree(
        [rng.integers(0, 5, 30).tolist()] * 2, [[rng.integers(0, 5, size).tolist()] for size in (2048, 2049)], one_in=16
    )


def test_many_pairs_of_all_lengths() -> None:
    """Enough of each kind to fill a vector of the widest machine and to leave some over, in records of all sizes."""
    rng = np.random.default_rng(4)

    def text(longest: int) -> list[int]:
        return rng.integers(0, 7, rng.integers(0, longest)).tolist()

    said = [text(70 if i % 3 == 0 else 20) for i in range(90)]
    agree(said, [[text(24) for _ in range(rng.integers(0, 20))] for _ in said], one_in=16)


def test_numbers_around_16_bits() -> None:
    rng = np.random.default_rng(5)
    for largest, fits in ((65_534, True), (65_535, True), (65_536, False), (2**31 - 1, False)):
        some = np.array([0, 1, largest - 65_536 if largest > 65_536 else 2, largest - 1, largest])
        said = [rng.choice(some, size).tolist() for size in (3, 9, 20, 40, 70)]
        said[0][0] = largest
        texts = TokenIds.from_lists(said)
        assert texts.packed.tolist() == ([*texts.ids.tolist(), *[0] * 64] if fits else [])
        assert not texts.packed.flags.writeable
        agree(said, [said[::-1], [said[0]], [], said[:2], [said[1]]], one_in=16)


def test_numbers_that_fit_16_bits_beside_some_that_do_not() -> None:
    others = [[1, 3]] * 1100 + [[2**20, 2, 3]] * 10
    texts, wanted = TokenIds.from_lists([[1, 2, 3]] * 1110), TokenIds.from_lists(others)
    assert len(texts.packed)
    assert not len(wanted.packed)
    for name in set(built_backends()) & {"avx512", "avx2", "baseline", "rapidfuzz"}:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M4I_FAST_KERNELS", name)
            assert subsequence_lengths(texts, wanted, threads=1).tolist() == [2] * 1110, name
            assert id_statistics(wanted, texts, threads=1).lcs.tolist() == [2] * 1110, name


texts = st.lists(st.integers(0, 6), max_size=80)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(texts, st.lists(texts, max_size=4)), max_size=12))
def test_as_the_words_that_they_would_be(rows: list[tuple[list[int], Lists]]) -> None:
    agree([said for said, _ in rows], [row for _, row in rows], one_in=16)


def test_threads_change_nothing() -> None:
    rng = np.random.default_rng(3)
    said = [rng.integers(0, 30, rng.integers(0, 90)).tolist() for _ in range(3000)]
    rows = [[said[i] for i in rng.integers(0, 3000, rng.integers(0, 4))] for _ in said]
    one, at = TokenIds.from_lists(said), np.cumsum([0, *map(len, rows)])
    others = TokenIds.from_lists([text for row in rows for text in row])
    alone, together = (id_statistics(one, others, at, threads=threads) for threads in (1, 5))
    for field in dataclasses.fields(alone):
        np.testing.assert_array_equal(getattr(alone, field.name), getattr(together, field.name))
    np.testing.assert_array_equal(subsequence_lengths(one, others, at, threads=5), alone.lcs)


def by_definition(said: list[int], other: list[int], measure: str) -> tuple[int, float]:
    shared = lcs_length(said, other) if measure == "rouge_l" else clipped_matches(said, other, 1)
    if not shared:
        return 0, 0.0
    precision, recall = shared / len(said), shared / len(other)
    return shared, 2 * precision * recall / (precision + recall)


def find_agrees(hypotheses: Lists, candidates: Lists, k: int, one_in: int = 1) -> None:
    said, others = TokenIds.from_lists(hypotheses), TokenIds.from_lists(candidates)
    for measure in MEASURES:
        pairs = [[by_definition(h, c, measure) for c in candidates] for h in hypotheses]
        order = [sorted(range(len(candidates)), key=lambda i: (-row[i][1], i))[:k] for row in pairs]
        pad = [-1] * max(0, k - len(candidates))
        for name in backends(hypotheses, candidates, one_in=one_in):
            found = nearest(said, others, k, measure=measure, threads=1)
            assert found.indices.tolist() == [indices + pad for indices in order], (name, measure)
            wanted = np.array(
                [[row[i][1] for i in indices] + [np.nan] * len(pad) for row, indices in zip(pairs, order, strict=True)]
            )
            np.testing.assert_array_equal(found.scores, wanted.reshape(found.scores.shape), err_msg=name)
            matrix = overlap_matrix(said, others, measure=measure, threads=1)
            assert matrix.tolist() == [[shared for shared, _ in row] for row in pairs], (name, measure)


def test_nearest_by_hand() -> None:
    # The second and the third are equally like it; the one that stands first is named first.
    find_agrees([[1, 2, 3], []], [[9], [1, 2], [2, 3], [3, 2, 1], []], 3)


@settings(max_examples=60, deadline=None)
@given(
    hypotheses=st.lists(st.lists(st.integers(0, 5), max_size=70), max_size=6),
    candidates=st.lists(st.lists(st.integers(0, 5), max_size=70), max_size=12),
    k=st.integers(1, 14),
)
def test_nearest_is_what_sorting_the_matrix_gives(hypotheses: Lists, candidates: Lists, k: int) -> None:
    find_agrees(hypotheses, candidates, k, one_in=16)


def test_nearest_among_many_with_any_number_of_threads() -> None:
    rng = np.random.default_rng(4)
    texts = TokenIds.from_lists([rng.integers(0, 40, rng.integers(0, 25)).tolist() for _ in range(700)])
    steps: list[int] = []
    found = nearest(texts, texts, 3, threads=4, advance=steps.append)
    assert sum(steps) == 700
    assert (nearest(texts, texts, 3, threads=1).indices == found.indices).all()
    matrix = overlap_matrix(texts, texts)
    lengths = np.diff(texts.offsets)
    total = lengths[:, None] + lengths
    f1 = np.divide(2.0 * matrix, total, out=np.zeros(matrix.shape), where=total > 0)
    np.testing.assert_allclose(found.scores, -np.sort(-f1, axis=1)[:, :3], rtol=1e-12)


@pytest.mark.parametrize("tokeniser", TOKENISERS)
def test_numbers_are_equal_where_tokens_are(tokeniser: str) -> None:
    lines = [
        "a dog's ball",
        "A café, 3.5 skateboarding skateboards",
        "",
        "dog\0 dog",
        "x \ud800 \u2028 wonderfully a",
        "&amp; a",
    ]
    for name in backends():
        numbering = Numbering(tokeniser)
        found = [numbering.ids(lines[:3]), numbering.ids(lines[3:])]
        known: dict[str, int] = {}
        wanted = [
            [known.setdefault(token, len(known)) for token in TOKENISERS[tokeniser].ngrams(line)] for line in lines
        ]
        assert [text for each in found for text in each.lists()] == wanted, name
        assert len(numbering) == len(known)


def test_many_tokens_keep_their_numbers() -> None:
    lines = [f"w{i} skateboarding{i}" for i in range(20_000)]
    for name in backends():
        numbering = Numbering("whitespace")
        assert numbering.ids(lines).ids.tolist() == list(range(40_000)), name
        assert numbering.ids(lines[:5]).ids.tolist() == list(range(10)), name


def test_padded_rows() -> None:
    padded = TokenIds.from_padded(np.array([[3, 4, -1], [5, -1, -1], [6, 7, 8]]), [2, 1, 3])
    assert list(padded.lists()) == [[3, 4], [5], [6, 7, 8]]
    assert [list(padded.between(i, i + 2).lists()) for i in (0, 1)] == [[[3, 4], [5]], [[5], [6, 7, 8]]]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: TokenIds.from_lists([[1, -2]]), r"ids\[1\]: the token id -2 is out of range"),
        (lambda: TokenIds.from_lists([[2**31]]), r"ids\[0\]: the token id 2147483648 is out of range"),
        (
            lambda: TokenIds(np.array([1.0, 2.0]), np.array([0, 2])),
            "ids: integers in 1 dimension are wanted, not float64",
        ),
        (lambda: TokenIds(np.array([1, 2]), np.array([0, 1])), "offsets: the offsets do not part 2 ids"),
        (lambda: TokenIds(np.array([1, 2]), np.array([0, 3, 2])), "offsets: the offsets do not part"),
        (lambda: TokenIds.from_padded([[1, 2]], [3]), r"lengths\[0\]: a row of 2 ids cannot hold 3"),
        (lambda: TokenIds.from_padded([[1, 2]], [1, 1]), "lengths: there are 2 lengths for 1 rows"),
        (lambda: TokenIds.from_padded([1, 2], [1]), "matrix: integers in 2 dimensions are wanted"),
        (lambda: id_statistics(ONE, TWO, [0, 1]), "rows: they do not part 2 references among 1 hypotheses"),
        (lambda: id_statistics(TWO, ONE), "references: 1 references are not the same number for each of 2"),
        (lambda: subsequence_lengths(ONE, TWO, [0, 3]), "rows: they do not part"),
        (lambda: nearest(TokenIds.from_lists([[2**30]]), ONE, 1), "ids: the token id 1073741824 is far beyond"),
        (lambda: Numbering().ids(["a", None]), r"texts\[1\]: the text is None, not a string"),  # type: ignore[list-item]
        (lambda: Numbering().ids("a dog"), "texts: a list is wanted, not one value of type 'str'"),
    ],
)
def test_bad_input_is_named(make: object, said: str) -> None:
    assert callable(make)
    with pytest.raises(DataError, match=said):
        make()


def test_settings_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="k: 0 neighbours"):
        nearest(ONE, ONE, 0)
    with pytest.raises(ConfigError, match="measure: 'bleu' is not a measure"):
        nearest(ONE, ONE, 1, measure="bleu")
    with pytest.raises(ConfigError, match="measure: 'bleu' is not a measure"):
        overlap_matrix(ONE, ONE, measure="bleu")
    with pytest.raises(ConfigError, match="tokeniser: 'ptbb' is not a tokeniser"):
        Numbering("ptbb")


ONE, TWO = TokenIds.from_lists([[1]]), TokenIds.from_lists([[1], [2]])
