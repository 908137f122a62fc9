"""BLEU of sentences and of whole corpora, from integer sums alone: the formulas of three packages, to the last bit.

A corpus is scored by its sums, not by its sentences' scores; so a bootstrap adds integers and compares no text anew.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from m4i_fast.kernels.statistics import ORDERS, OverlapStatistics

__all__ = ["BleuSums", "bleu_of_coco", "bleu_of_nltk", "bleu_of_sacrebleu"]

TINY: Final = 1e-15  # these two as in pycocoevalcap: a guess without any n-gram still gives a number near 0
SMALL: Final = 1e-9
LOG_OF_NOTHING: Final = -9999999999.0  # sacrebleu's
EPSILON: Final = 0.1  # nltk's method1

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class BleuSums:
    """What BLEU is made of, for M sentences or M corpora (then summed over the sentences of each).

    Attributes:
        matched: int [M, 4]; clipped matches, n = 1 .. 4.
        possible: int [M, 4]; n-grams of the hypotheses.
        without: int [M, 4]; hypotheses too short for an n-gram: nltk counts one n-gram for each of these.
        guessed: int [M]; tokens of the hypotheses.
        wanted: int [M]; tokens of the references nearest in length.
    """

    matched: Integers
    possible: Integers
    without: Integers
    guessed: Integers
    wanted: Integers

    @classmethod
    def of_sentences(cls, matched: Integers, guessed: Integers, wanted: Integers) -> BleuSums:
        """Each row a sentence of its own."""
        beyond = guessed[:, None] - np.arange(ORDERS, dtype=guessed.dtype)
        return cls(matched, np.maximum(beyond, 0), (beyond <= 0).astype(guessed.dtype), guessed, wanted)

    @classmethod
    def of_records(cls, counts: OverlapStatistics) -> BleuSums:
        """Each record against all of its references: counts clipped by the best, length by the nearest."""
        return cls.of_sentences(counts.best_matches, counts.hypothesis_length, counts.closest_length)

    def columns(self) -> Reals:
        """Side by side, float64 [M, 14]: rows may be added up, and ``from_columns`` takes the sums."""
        lengths = (self.guessed[:, None], self.wanted[:, None])
        return np.concatenate([self.matched, self.possible, self.without, *lengths], axis=1).astype(np.float64)

    @classmethod
    def from_columns(cls, columns: Reals) -> BleuSums:
        """The reverse of ``columns``; whole numbers below 2^53 are exact on the way."""
        parts = np.rint(columns).astype(np.int64)
        return cls(parts[:, :4], parts[:, 4:8], parts[:, 8:12], parts[:, 12], parts[:, 13])


# Each gives BLEU-1 .. BLEU-4, four arrays float64 [M].


def bleu_of_coco(sums: BleuSums, _: str = "", *, corpus: bool = False) -> list[Reals]:  # noqa: ARG001 - one formula
    """As pycocoevalcap 1.2: ``Bleu(4).compute_score``, its second result for sentences, its first for a corpus."""
    ratio = (sums.guessed + TINY) / (sums.wanted + SMALL)
    short = ratio < 1
    penalty = np.ones_like(ratio)
    penalty[short] = _exponential(1 - 1 / ratio[short])
    product = np.ones_like(ratio)
    columns = []
    for n in range(1, ORDERS + 1):
        product = product * ((sums.matched[:, n - 1] + TINY) / (sums.possible[:, n - 1] + SMALL))
        columns.append(_power(product, 1 / n) * penalty)
    return columns


# numpy's own pow and exp may be vector versions with another last bit; pow even takes ** 0.5 for a square root.


def _power(values: Reals, exponent: float) -> Reals:
    return np.array([value**exponent for value in values.tolist()], dtype=np.float64)


def _exponential(values: Reals) -> Reals:
    return np.array([math.exp(value) for value in values.tolist()], dtype=np.float64)


# Both packages go row by row through Python's own arithmetic, whose last bits are to be kept.


def bleu_of_sacrebleu(sums: BleuSums, variant: str, *, corpus: bool = False) -> list[Reals]:
    """As sacrebleu 2: ``sentence_score`` with the effective order, or ``corpus_score`` without, ``max_ngram_order=n``.

    ``variant``: ``exp`` or ``none``, the smoothing.
    """
    rows = zip(sums.matched.tolist(), sums.possible.tolist(), sums.guessed.tolist(), sums.wanted.tolist(), strict=True)
    values = [_sacrebleu(*row, smooth=variant == "exp", effective=not corpus) for row in rows]
    return list(np.array(values, np.float64).reshape(-1, ORDERS).T)


def _sacrebleu(
    matched: list[int], possible: list[int], guessed: int, wanted: int, *, smooth: bool, effective: bool
) -> list[float]:
    if not any(matched):
        return [0.0] * ORDERS
    penalty = math.exp(1 - wanted / guessed) if guessed < wanted else 1.0
    logarithms: list[float] = []
    found, unmatched = [], 0
    for shared, total in zip(matched, possible, strict=True):
        if total > 0:
            unmatched += shared == 0
            precision = 100.0 * shared / total if shared else 100.0 / (2**unmatched * total) if smooth else 0.0
            logarithms.append(math.log(precision) if precision else LOG_OF_NOTHING)
        elif not effective:
            logarithms.append(LOG_OF_NOTHING)
        found.append(penalty * math.exp(sum(logarithms) / len(logarithms)))
    return found


def bleu_of_nltk(sums: BleuSums, variant: str, *, corpus: bool = False) -> list[Reals]:  # noqa: ARG001 - one formula
    """As nltk 3.9: ``sentence_bleu`` or ``corpus_bleu`` with the weights 1/n, ... 1/n.

    ``variant``: ``method0`` or ``method1``, the smoothing.
    """
    totals = sums.possible + sums.without
    rows = zip(sums.matched.tolist(), totals.tolist(), sums.guessed.tolist(), sums.wanted.tolist(), strict=True)
    values = [_nltk(*row, smooth=variant == "method1") for row in rows]
    return list(np.array(values, np.float64).reshape(-1, ORDERS).T)


def _nltk(matched: list[int], totals: list[int], guessed: int, wanted: int, *, smooth: bool) -> list[float]:
    if not matched[0]:
        return [0.0] * ORDERS
    penalty = 1.0 if guessed > wanted else math.exp(1 - wanted / guessed)
    logarithms = []
    for shared, total in zip(matched, totals, strict=True):
        precision = shared / total if shared else EPSILON / total if smooth else sys.float_info.min
        logarithms.append(math.log(precision))
    return [
        penalty * math.exp(math.fsum(1 / n * logarithm for logarithm in logarithms[:n])) for n in range(1, ORDERS + 1)
    ]
