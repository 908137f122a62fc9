"""The noun between kernels and recipes: integer counts, from which every ROUGE and BLEU is made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["ORDERS", "OverlapStatistics", "SetStatistics"]

ORDERS = 4
"""n-grams are counted for n = 1 .. ORDERS."""

Counts = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class OverlapStatistics:
    """N hypotheses against their references, P pairs in all; lengths are in tokens.

    Attributes:
        offsets: int64 [N + 1]; the pairs of record i are rows offsets[i] to offsets[i + 1].
        hypothesis_length: int32 [N], of the n-gram tokens.
        hypothesis_length_lcs: int32 [N], of the tokens that the subsequence is taken of.
        best_matches: int32 [N, 4]; sum over the n-grams of min(count in the hypothesis, largest count in any one
            reference), n = 1 .. 4.
        closest_length: int32 [N]; length of the reference nearest in length to the hypothesis, the shorter of two
            equally near; 0 without a reference.
        lcs: int32 [P], length of the longest common subsequence.
        matches: int32 [P, 4]; sum over the n-grams of min(count in the hypothesis, count in this reference).
        reference_length: int32 [P], of the n-gram tokens.
        reference_length_lcs: int32 [P], of the tokens that the subsequence is taken of.
    """

    offsets: npt.NDArray[np.int64]
    hypothesis_length: Counts
    hypothesis_length_lcs: Counts
    best_matches: Counts
    closest_length: Counts
    lcs: Counts
    matches: Counts
    reference_length: Counts
    reference_length_lcs: Counts


@dataclass(frozen=True, slots=True)
class SetStatistics:
    """N hypotheses against their references, P pairs in all, as the package rouge 1.0.1 counts: n-grams as sets.

    Words are parted at white space and full stops, their case is kept.

    Attributes:
        hypothesis_distinct: int32 [N, 2]; distinct words, distinct bigrams.
        reference_distinct: int32 [P, 2]; the same of each reference.
        shared: int32 [P, 2]; those that both have.
        united: int32 [P]; distinct words of the longest common subsequences of each sentence with each.
    """

    hypothesis_distinct: Counts
    reference_distinct: Counts
    shared: Counts
    united: Counts
