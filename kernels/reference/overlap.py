"""All statistics, pair by pair, from the obvious pieces."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from m4i_fast.kernels.reference.lcs import lcs_length
from m4i_fast.kernels.reference.ngrams import best_matches, clipped_matches
from m4i_fast.kernels.statistics import ORDERS, OverlapStatistics
from m4i_fast.kernels.tokens import Tokeniser

__all__ = ["overlap_statistics"]

_N = range(1, ORDERS + 1)


def overlap_statistics(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], tokeniser: Tokeniser
) -> OverlapStatistics:
    """As ``backend.overlap_statistics``, for texts that were checked."""
    split, steps = tokeniser.ngrams, tokeniser.subsequence
    pairs = [(h, r) for h, row in zip(hypotheses, references, strict=True) for r in row]
    records = [(split(h), [split(r) for r in row]) for h, row in zip(hypotheses, references, strict=True)]
    return OverlapStatistics(
        offsets=np.cumsum([0, *map(len, references)], dtype=np.int64),
        hypothesis_length=_counts([len(h) for h, _ in records]),
        hypothesis_length_lcs=_counts([len(steps(h)) for h in hypotheses]),
        best_matches=_counts([best_matches(h, row, n) for h, row in records for n in _N]).reshape(-1, ORDERS),
        closest_length=_counts([_closest(len(h), [len(r) for r in row]) for h, row in records]),
        lcs=_counts([lcs_length(steps(h), steps(r)) for h, r in pairs]),
        matches=_counts([clipped_matches(split(h), split(r), n) for h, r in pairs for n in _N]).reshape(-1, ORDERS),
        reference_length=_counts([len(split(r)) for _, r in pairs]),
        reference_length_lcs=_counts([len(steps(r)) for _, r in pairs]),
    )


def _closest(length: int, references: list[int]) -> int:
    """The reference length nearest to ``length``, the shorter of two equally near, 0 without any."""
    return min(references, key=lambda other: (abs(other - length), other), default=0)


def _counts(values: list[int]) -> npt.NDArray[np.int32]:
    return np.array(values, dtype=np.int32)
