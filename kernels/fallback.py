"""The stand-in where the C++ core was not built: rapidfuzz for the subsequence, Counters for the n-grams."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain

import numpy as np

from m4i_fast.kernels.statistics import ORDERS, OverlapStatistics
from m4i_fast.kernels.tokens import Tokeniser

__all__ = ["overlap_statistics"]

Ngrams = Counter[tuple[str, ...]]


def overlap_statistics(
    hypotheses: tuple[str, ...], references: tuple[Sequence[str], ...], tokeniser: Tokeniser
) -> OverlapStatistics:
    """As ``backend.overlap_statistics``, for texts that were checked."""
    from rapidfuzz.distance import LCSseq

    pairs: list[tuple[int, ...]] = []
    records: list[tuple[int, ...]] = []
    offsets = [0]
    for hypothesis, row in zip(hypotheses, references, strict=True):
        tokens = tokeniser.ngrams(hypothesis)
        steps = tokeniser.subsequence(hypothesis)
        numbers = {token: number for number, token in enumerate(dict.fromkeys(steps))}
        # rapidfuzz compares list items by their hash: small integers are their own, strings might collide.
        steps_numbered = [numbers[token] for token in steps]
        counts = _ngrams(tokens)
        best: Ngrams = Counter()
        lengths = []
        for text in row:
            reference = tokeniser.ngrams(text)
            reference_steps = tokeniser.subsequence(text)
            lcs = LCSseq.similarity(steps_numbered, [numbers.get(token, len(numbers)) for token in reference_steps])
            shared = _shared(counts, _ngrams(reference))
            best |= shared
            lengths.append(len(reference))
            pairs.append((lcs, *_by_order(shared), len(reference), len(reference_steps)))
        closest = min(((abs(length - len(tokens)), length) for length in lengths), default=(0, 0))[1]
        records.append((len(tokens), len(steps), *_by_order(best), closest))
        offsets.append(len(pairs))
    pair = np.array(pairs, dtype=np.int32).reshape(len(pairs), ORDERS + 3)
    record = np.array(records, dtype=np.int32).reshape(len(records), ORDERS + 3)
    return OverlapStatistics(
        offsets=np.array(offsets, dtype=np.int64),
        hypothesis_length=record[:, 0].copy(),
        hypothesis_length_lcs=record[:, 1].copy(),
        best_matches=record[:, 2 : 2 + ORDERS].copy(),
        closest_length=record[:, 2 + ORDERS].copy(),
        lcs=pair[:, 0].copy(),
        matches=pair[:, 1 : 1 + ORDERS].copy(),
        reference_length=pair[:, 1 + ORDERS].copy(),
        reference_length_lcs=pair[:, 2 + ORDERS].copy(),
    )


def _ngrams(tokens: list[str]) -> Ngrams:
    """All n-grams of all orders; the order of one is its length."""
    shifted = [tokens[k:] for k in range(ORDERS)]
    return Counter(chain.from_iterable(zip(*shifted[:n], strict=False) for n in range(1, ORDERS + 1)))


def _shared(hypothesis: Ngrams, reference: Ngrams) -> Ngrams:
    """``hypothesis & reference``, looking only at what the hypothesis has."""
    return Counter({gram: min(count, reference[gram]) for gram, count in hypothesis.items() if gram in reference})


def _by_order(matches: Ngrams) -> list[int]:
    sums = [0] * ORDERS
    for gram, count in matches.items():
        sums[len(gram) - 1] += count
    return sums
