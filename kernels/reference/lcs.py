"""Longest common subsequence by the textbook table."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["lcs_length"]


def lcs_length(a: Sequence[object], b: Sequence[object]) -> int:
    """Length of the longest common subsequence of two token lists.

    >>> lcs_length("a x c d".split(), "a b c d".split())
    3
    """
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, left in enumerate(a, start=1):
        for j, right in enumerate(b, start=1):
            table[i][j] = table[i - 1][j - 1] + 1 if left == right else max(table[i - 1][j], table[i][j - 1])
    return table[-1][-1]
