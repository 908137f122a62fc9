"""Clipped n-gram matches by counting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

__all__ = ["best_matches", "clipped_matches", "ngram_counts"]


def ngram_counts(tokens: Sequence[Hashable], n: int) -> Counter[tuple[Hashable, ...]]:
    """How often each run of n tokens occurs."""
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def clipped_matches(hypothesis: Sequence[Hashable], reference: Sequence[Hashable], n: int) -> int:
    """Sum over n-grams of min(count in the hypothesis, count in the reference).

    >>> clipped_matches(["the", "the", "the"], ["the", "cat", "the"], 1)
    2
    """
    return best_matches(hypothesis, [reference], n)


def best_matches(hypothesis: Sequence[Hashable], references: Sequence[Sequence[Hashable]], n: int) -> int:
    """Sum over n-grams of min(count in the hypothesis, largest count in any one reference)."""
    counted = [ngram_counts(reference, n) for reference in references]
    return sum(
        min(count, max((reference[gram] for reference in counted), default=0))
        for gram, count in ngram_counts(hypothesis, n).items()
    )
