"""Reports: hypotheses of 65 to 1,024 tokens, around every size that is compiled, and what is kept between them."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from m4i_fast.kernels import backend
from m4i_fast.kernels.ids import TokenIds, id_statistics, subsequence_lengths
from m4i_fast.kernels.statistics import OverlapStatistics

FAST = [name for name in backend.built_backends() if name in backend.CORES]
pytestmark = pytest.mark.skipif(not FAST, reason="the C++ core was not built here")

Ids = list[int]
PIECE = 512  # reference tokens that the core looks at together
WIDE = 1024  # tokens of a hypothesis up to which it is wide
TABLE = 1 << 14  # tokens that the core's table of numbers holds at most


def drawn(rng: np.random.Generator, count: int, distinct: int) -> Ids:
    """Numbers of which the small ones are common, as words are."""
    numbers: Ids = np.minimum(rng.zipf(1.3, count) - 1, distinct - 1).tolist()
    return numbers


def counts_by_hand(hypothesis: Ids, references: list[Ids]) -> OverlapStatistics:
    """One record, slowly, but not as slowly as the reference backend: rows of the subsequence's table by numpy."""
    orders = range(1, 5)

    def ngrams(text: Ids, order: int) -> dict[tuple[int, ...], int]:
        found: dict[tuple[int, ...], int] = {}
        for at in range(len(text) - order + 1):
            ngram = tuple(text[at : at + order])
            found[ngram] = found.get(ngram, 0) + 1
        return found

    def subsequence(reference: Ids) -> int:
        row, said = np.zeros(len(hypothesis) + 1, dtype=np.int64), np.array(hypothesis, dtype=np.int64)
        for token in reference:
            row[1:] = np.maximum.accumulate(np.maximum(row[1:], row[:-1] + (said == token)))
        return int(row[-1])

    mine = [ngrams(hypothesis, order) for order in orders]
    best: list[dict[tuple[int, ...], int]] = [{} for _ in orders]
    matches = []
    for reference in references:
        matches.append([0] * 4)
        for order in orders:
            for ngram, count in ngrams(reference, order).items():
                shared = min(count, mine[order - 1].get(ngram, 0))
                matches[-1][order - 1] += shared
                best[order - 1][ngram] = max(best[order - 1].get(ngram, 0), shared)
    lengths = np.array(list(map(len, references)), dtype=np.int32)
    nearest = min(lengths.tolist(), key=lambda length: (abs(length - len(hypothesis)), length), default=0)
    said_length = np.array([len(hypothesis)], dtype=np.int32)
    return OverlapStatistics(
        offsets=np.array([0, len(references)]),
        hypothesis_length=said_length,
        hypothesis_length_lcs=said_length,
        best_matches=np.array([[sum(each.values()) for each in best]], dtype=np.int32),
        closest_length=np.array([nearest], dtype=np.int32),
        lcs=np.array([subsequence(reference) for reference in references], dtype=np.int32),
        matches=np.array(matches, dtype=np.int32).reshape(-1, 4),
        reference_length=lengths,
        reference_length_lcs=lengths,
    )


def together(records: list[tuple[Ids, list[Ids]]]) -> OverlapStatistics:
    parts = [counts_by_hand(*record) for record in records]
    columns = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in dataclasses.fields(OverlapStatistics)
    }
    columns["offsets"] = np.cumsum([0, *(len(references) for _, references in records)])
    return OverlapStatistics(**columns)


def agree(records: list[tuple[Ids, list[Ids]]], word: str = "w{}") -> None:
    """As strings, with prepared references, as numbers of 16 bits and of 32; on every instruction set that runs."""
    wanted = together(records)

    def same(found: OverlapStatistics, what: str) -> None:
        for field in dataclasses.fields(OverlapStatistics):
            np.testing.assert_array_equal(
                getattr(found, field.name), getattr(wanted, field.name), err_msg=f"{what} {field.name}"
            )

    def text(ids: Ids) -> str:
        return " ".join(map(word.format, ids))

    said = [text(hypothesis) for hypothesis, _ in records]
    others = [[text(reference) for reference in references] for _, references in records]
    rows = np.cumsum([0, *(len(references) for _, references in records)])
    for name in FAST:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M4I_FAST_KERNELS", name)
            same(backend.overlap_statistics(said, others, tokeniser="words"), name)
            same(backend.PreparedReferences(others, tokeniser="words").statistics(said), f"{name} prepared")
            for more in (0, 1 << 17):  # numbers that fit 16 bits, and such as do not
                ids = TokenIds.from_lists([[token + more for token in hypothesis] for hypothesis, _ in records])
                flat = [[token + more for token in text] for _, references in records for text in references]
                other_ids = TokenIds.from_lists(flat)
                same(id_statistics(ids, other_ids, rows, threads=1), f"{name} ids from {more}")
                lengths = subsequence_lengths(ids, other_ids, rows, threads=1)
                np.testing.assert_array_equal(lengths, wanted.lcs, err_msg=f"{name} ids from {more}")


EDGES = sorted({words * 64 + more for words in (1, 2, 3, 4, 5, 6, 8, 12, 16) for more in (-1, 0, 1)})


@pytest.mark.parametrize("length", EDGES)
@pytest.mark.parametrize("distinct", [1, 3, 400])
def test_hypotheses_around_each_size(length: int, distinct: int) -> None:
    rng = np.random.default_rng(1000 * length + distinct)
    hypothesis = drawn(rng, length, distinct)
    changed = [token + (rng.random() < 0.1) for token in hypothesis]
    references = [hypothesis, changed, drawn(rng, length // 2, distinct)]
    references += [drawn(rng, length + 70, 2 * distinct), [], [0]]
    agree([(hypothesis, references), (changed, references[:1]), (hypothesis, [])])


@pytest.mark.parametrize("at", [*range(PIECE - 6, PIECE + 3), 2 * PIECE - 2, 2 * PIECE])
@pytest.mark.parametrize("rest", [0, 1, 40])
def test_ngrams_across_the_pieces_of_a_reference(at: int, rest: int) -> None:
    hypothesis = list(range(65))
    for filler in (7, 1000):  # tokens that the hypothesis has, and such as it has not
        reference = [filler] * at + hypothesis[10:15] + [filler] * rest
        agree([(hypothesis, [reference, hypothesis, reference[1:]])])


def test_ngrams_are_clipped_where_they_stand_in_any_word() -> None:
    for length in (130, 520, 1024):
        hypothesis = list(range(100, 100 + length))
        for at in (0, 61, 62, 63, 64, 125, 126, length - 5):
            hypothesis[at : at + 4] = [1, 2, 3, 4]
        once, thrice = [1, 2, 3, 4, 5], [1, 2, 3, 4, 5] * 3
        agree([(hypothesis, [once, thrice, [5, *once], [1, 2, 3] * 20, [2, 3, 4] * 20, once])])


def test_short_and_long_records_together() -> None:
    rng = np.random.default_rng(5)
    records = []
    for length in [10, 70, 64, 65, 0, 300, 12, 1025, 1024, 20, 5, 90] * 2:
        counts = rng.choice([0, 1, 9, 40, 65, 200, 600], size=int(rng.integers(0, 5)))
        records.append((drawn(rng, length, 90), [drawn(rng, int(count), 120) for count in counts]))
    agree(records)
    agree(records, word="skateboarding{}")
    agree([*records[3:4], *records[8:9]])


def test_a_short_hypothesis_with_a_reference_that_is_too_long_for_lanes() -> None:
    rng = np.random.default_rng(6)
    for length in (0, 1, 16, 64, 65):
        agree([(drawn(rng, length, 30), [drawn(rng, 2049, 60), [3, 1], drawn(rng, 3000, 20)])])


def test_a_token_more_often_than_sixteen_bits_count() -> None:
    for name in FAST:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M4I_FAST_KERNELS", name)
            found = backend.overlap_statistics(["a " * 70], [["a " * 70_000, "a " * 65_537, "a"]], tokeniser="words")
        assert found.matches.tolist() == [[70, 69, 68, 67], [70, 69, 68, 67], [1, 0, 0, 0]], name
        assert found.lcs.tolist() == [70, 70, 1], name
        assert found.best_matches.tolist() == [[70, 69, 68, 67]], name


@pytest.mark.parametrize("word", ["w{}", "skateboarding{}"])
def test_more_different_tokens_than_the_table_of_numbers_holds(word: str) -> None:
    rng = np.random.default_rng(7)
    records = []
    for record in range(3 * TABLE // 500):
        fresh = list(range(400 * record, 400 * record + 500))  # some of which the record before had
        rng.shuffle(fresh)
        records.append((fresh[:250], [fresh[100:400], fresh[:90]]))
    agree(records, word)


@pytest.mark.parametrize("more", [-1, 0, 1, 5000])
def test_a_reference_of_more_tokens_than_the_table_of_numbers_holds(more: int) -> None:
    hypothesis = list(range(0, 700, 7))
    known = [*range(60, 400), *hypothesis]
    long = [*range(TABLE + more - len(known) - len(hypothesis)), *known]
    agree([(hypothesis[:80], [hypothesis]), (hypothesis, [long]), (known, [hypothesis, long[::-1]])])


def test_a_call_is_what_its_records_are_one_by_one() -> None:
    rng = np.random.default_rng(8)
    texts = [" ".join(f"token{each}" for each in drawn(rng, int(rng.integers(60, 300)), 3000)) for _ in range(150)]
    for name in FAST:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M4I_FAST_KERNELS", name)
            whole = backend.overlap_statistics(texts[1:], [[text, "token1"] for text in texts[:-1]], tokeniser="words")
            for row, (reference, said) in enumerate(pairwise(texts)):
                alone = backend.overlap_statistics([said], [[reference, "token1"]], tokeniser="words")
                assert np.array_equal(whole.best_matches[row], alone.best_matches[0]), (name, row)
                assert np.array_equal(whole.lcs[2 * row : 2 * row + 2], alone.lcs), (name, row)
