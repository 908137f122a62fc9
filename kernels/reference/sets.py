"""What the package rouge 1.0.1 counts: n-grams as sets, and the words of subsequences united over sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from m4i_fast.kernels.statistics import SetStatistics

__all__ = ["sentences", "set_statistics"]


def sentences(text: str) -> list[list[str]]:
    """Parted at full stops, each split at white space. One of white space alone holds one empty word; "" is none.

    >>> sentences("A dog. It runs ..")
    [['A', 'dog'], ['It', 'runs']]
    >>> sentences("dog. ")
    [['dog'], ['']]
    """
    return [sentence.split() or [""] for sentence in text.split(".") if sentence]


def set_statistics(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> SetStatistics:
    """As ``backend.set_statistics``, for texts that were checked."""
    records = [(sentences(h), [sentences(r) for r in row]) for h, row in zip(hypotheses, references, strict=True)]
    pairs = [(h, r) for h, row in records for r in row]
    return SetStatistics(
        hypothesis_distinct=_table([[len(_ngrams(h, n)) for n in (1, 2)] for h, _ in records]),
        reference_distinct=_table([[len(_ngrams(r, n)) for n in (1, 2)] for _, r in pairs]),
        shared=_table([[len(_ngrams(h, n) & _ngrams(r, n)) for n in (1, 2)] for h, r in pairs]),
        united=np.array([len(_united(h, r)) for h, r in pairs], np.int32),
    )


def _table(rows: list[list[int]]) -> np.ndarray[tuple[int, int], np.dtype[np.int32]]:
    return np.array(rows, np.int32).reshape(-1, 2)


def _ngrams(text: list[list[str]], n: int) -> set[tuple[str, ...]]:
    """Across the ends of sentences, as rouge takes them."""
    words = [word for sentence in text for word in sentence]
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


def _united(hypothesis: list[list[str]], reference: list[list[str]]) -> set[str]:
    return {word for mine in hypothesis for theirs in reference for word in _one_subsequence(theirs, mine)}


def _one_subsequence(x: list[str], y: list[str]) -> list[str]:
    """Of several that are longest, the one that rouge finds: from the end, up only where the table is larger there."""
    table = [[0] * (len(y) + 1) for _ in range(len(x) + 1)]
    for i, left in enumerate(x, start=1):
        for j, right in enumerate(y, start=1):
            table[i][j] = table[i - 1][j - 1] + 1 if left == right else max(table[i - 1][j], table[i][j - 1])
    i, j = len(x), len(y)
    words = []
    while i > 0 and j > 0:
        if x[i - 1] == y[j - 1]:
            words.append(x[i - 1])
            i, j = i - 1, j - 1
        elif table[i - 1][j] > table[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return words
