"""Word overlap of generated captions with their references: the everyday door to ROUGE and BLEU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from m4i_fast.kernels.backend import PreparedReferences, overlap_statistics
from m4i_fast.text.recipes import COLUMNS, recipe_named, scores

__all__ = ["OverlapTable", "References", "overlap"]


@dataclass(frozen=True, slots=True)
class OverlapTable:
    """Scores of N hypotheses, a column a metric.

    Attributes:
        names: rouge_1, rouge_2, rouge_l, bleu_1, bleu_2, bleu_3, bleu_4.
        values: float64 [N, 7] in 0 .. 1; NaN in the rows that have no reference.
        recipe: the signature, such as ``recipe:coco|tok:words|refs:max|beta:1.2|v:0.1.0``.
    """

    names: tuple[str, ...]
    values: npt.NDArray[np.float64]
    recipe: str


def overlap(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    recipe: str = "coco",
    tokeniser: str | None = None,
    reduce: str | None = None,
) -> OverlapTable:
    """Score hypotheses against their references.

    Args:
        hypotheses: N generated captions; an empty one scores 0 (``coco`` gives ROUGE-L 1 for nothing against nothing).
        references: N lists of reference captions; a list may be empty.
        recipe: ``coco`` or ``rouge-score``; a tokeniser and ``mean`` may follow, as in ``coco/coco-space/mean``.
            See ``m4i_fast.text.recipes`` for the definitions.
        tokeniser: another one than the recipe's own: ``words``, ``coco-space`` (text that was tokenised before),
            ``whitespace``, ``rouge-score``.
        reduce: ``max`` (default; the recipe's own way to join references) or ``mean``, the mean over the references of
            the score against each alone.

    Raises:
        DataError: the lengths differ, or something is not a string (says which).
        ConfigError: no such recipe, tokeniser or reduction, or ``M4I_FAST_KERNELS`` is wrong.

    >>> table = overlap(["a dog runs"], [["a dog runs fast", "the dog"]])
    >>> dict(zip(table.names, table.values[0].round(3).tolist()))["rouge_l"]
    0.836
    """
    chosen = recipe_named(recipe, tokeniser=tokeniser, reduce=reduce)
    counts = overlap_statistics(hypotheses, references, tokeniser=chosen.tokeniser)
    return OverlapTable(COLUMNS, scores(counts, chosen), chosen.signature)


class References:
    """Reference captions that many sets of hypotheses are scored against: tokenised once.

    Args:
        references: N lists of reference captions; a list may be empty.
        recipe: as for ``overlap``; so are ``tokeniser`` and ``reduce``.

    Raises:
        DataError: something is not a string (says which).
        ConfigError: no such recipe, tokeniser or reduction, or ``M4I_FAST_KERNELS`` is wrong.

    >>> references = References([["a dog runs fast", "the dog"], ["a cat"]])
    >>> for said in (["a dog runs", "a cat"], ["a dog", "two cats"]):
    ...     references.score(said).values[:, 2].round(3).tolist()
    [0.836, 1.0]
    [0.75, 0.0]
    """

    def __init__(
        self,
        references: Sequence[Sequence[str]],
        *,
        recipe: str = "coco",
        tokeniser: str | None = None,
        reduce: str | None = None,
    ) -> None:
        self.recipe = recipe_named(recipe, tokeniser=tokeniser, reduce=reduce)
        self._prepared = PreparedReferences(references, tokeniser=self.recipe.tokeniser)

    def __len__(self) -> int:
        """N."""
        return len(self._prepared)

    def score(self, hypotheses: Sequence[str]) -> OverlapTable:
        """Score N hypotheses, the i-th against the i-th list of references; the same numbers as ``overlap``.

        Raises:
            DataError: the lengths differ, or something is not a string (says which).
        """
        counts = self._prepared.statistics(hypotheses)
        return OverlapTable(COLUMNS, scores(counts, self.recipe), self.recipe.signature)
