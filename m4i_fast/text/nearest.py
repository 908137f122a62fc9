"""For each caption the captions that are most like it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from m4i_fast.kernels.ids import Nearest, nearest
from m4i_fast.kernels.numbering import Numbering

__all__ = ["nearest_captions"]


def nearest_captions(
    captions: Sequence[str],
    among: Sequence[str],
    k: int = 5,
    *,
    tokeniser: str = "words",
    measure: str = "rouge_l",
    advance: Callable[[int], object] | None = None,
) -> Nearest:
    """Find for each of N captions the k of M others with the highest F1 of ROUGE, all compared with all.

    Args:
        captions: N texts.
        among: M texts; they may be the same, then each is its own nearest.
        k: how many to find.
        tokeniser: a name in ``kernels.tokens.TOKENISERS``.
        measure: ``rouge_l`` or ``rouge_1``; F1 = 2PR / (P + R), as of the recipe ``rouge-score``.
        advance: is told how many more captions are done.

    Raises:
        DataError: something is not a string (says which).
        ConfigError: no such tokeniser or measure, k below 1, or ``M4I_FAST_KERNELS`` is wrong.

    >>> nearest_captions(["a dog runs"], ["a red bus", "the dog runs", "a dog"], 2).indices.tolist()
    [[2, 1]]
    """
    numbering = Numbering(tokeniser)
    candidates = numbering.ids(among)
    return nearest(numbering.ids(captions), candidates, k, measure=measure, advance=advance)
