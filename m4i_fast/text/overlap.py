"""Word overlap of generated captions with their references: the everyday door to ROUGE and BLEU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from m4i_fast.errors import ConfigError
from m4i_fast.kernels.backend import Formula, PreparedReferences, overlap_scores, overlap_statistics, set_statistics
from m4i_fast.kernels.ids import TokenIds, id_statistics
from m4i_fast.kernels.statistics import OverlapStatistics, SetStatistics
from m4i_fast.kernels.texts import as_tuple, check_lengths, plain_texts, read_once
from m4i_fast.text.ptb import ptb_document
from m4i_fast.text.recipes import COLUMNS, IDS, RECIPES, SUM_COMPENSATES, Recipe, recipe_named, scores

__all__ = ["Counted", "OverlapTable", "References", "counted", "overlap", "overlap_ids", "overlaps"]


@dataclass(frozen=True, slots=True)
class OverlapTable:
    """Scores of N hypotheses, a column a metric.

    Attributes:
        names: rouge_1, rouge_2, rouge_l, bleu_1, bleu_2, bleu_3, bleu_4.
        values: float64 [N, 7] in 0 .. 1 (BLEU of ``sacrebleu``: 0 .. 100); NaN in the rows that have no reference.
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
            Anything that yields strings in their order: a list, a generator, a NumPy array, a column of a table.
        references: N such lists of reference captions; a list may be empty.
        recipe: ``coco``, ``rouge-score``, ``sacrebleu``, ``nltk`` or ``m4i``; a tokeniser, a variant and ``mean`` may
            follow, as in ``coco/ptb/mean``. See ``m4i_fast.text.recipes`` for the definitions.
        tokeniser: another one than the recipe's own, such as ``coco-space`` (text that was tokenised before).
        reduce: ``max`` (the recipe's own way to join references) or ``mean``, the mean over the references of the
            score against each alone (the default of ``m4i``).

    Raises:
        DataError: the lengths differ; something is not a string (says which); or it is one value, a dict, a set or a
            table, of which other things than its texts would be read, or in no order.
        ConfigError: no such recipe, tokeniser or reduction, or ``M4I_FAST_KERNELS`` is wrong.

    >>> table = overlap(["a dog runs"], [["a dog runs fast", "the dog"]])
    >>> dict(zip(table.names, table.values[0].round(3).tolist()))["rouge_l"]
    0.836
    """
    chosen = recipe_named(recipe, tokeniser=tokeniser, reduce=reduce)
    (table,) = _tables(hypotheses, references, [chosen])
    return table


def overlaps(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], recipes: Sequence[str]
) -> tuple[OverlapTable, ...]:
    """Score by several recipes; those of one tokeniser share their counting.

    Arguments and errors as for ``overlap``; a table a recipe.

    >>> coco, google = overlaps(["a dog runs"], [["a dog runs fast"]], ["coco", "rouge-score/words"])
    >>> coco.values[0, 2].round(3).item(), google.values[0, 2].round(3).item()
    (0.836, 0.857)
    """
    chosen = [recipe_named(recipe) for recipe in as_tuple(recipes, "recipes")]
    return tuple(_tables(hypotheses, references, chosen))


def _tables(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], recipes: Sequence[Recipe]
) -> list[OverlapTable]:
    need_sets = any(recipe.counts_sets for recipe in recipes)
    if need_sets or len({recipe.tokeniser for recipe in recipes}) > 1:
        # All must count the same, whatever another thread does to the lists.
        hypotheses, references = read_once(hypotheses, references)
    sets = set_statistics(hypotheses, references) if need_sets else None

    def given(recipe: Recipe) -> _Given:
        said, wanted, tokeniser = _as_tokenised(hypotheses, references, recipe)
        return _Given(
            lambda formulas: overlap_scores(said, wanted, formulas, tokeniser=tokeniser, exact_sum=SUM_COMPENSATES),
            lambda: overlap_statistics(said, wanted, tokeniser=tokeniser),
        )

    return _by_tokeniser(recipes, given, sets)


class _Given(NamedTuple):
    """Texts that are ready for one tokeniser: their scores in one go where that can be done, and their counts."""

    scores: Callable[[list[Formula]], list[npt.NDArray[np.float64]] | None]
    counts: Callable[[], OverlapStatistics]


def _by_tokeniser(
    recipes: Sequence[Recipe], given: Callable[[Recipe], _Given], sets: SetStatistics | None
) -> list[OverlapTable]:
    """A table a recipe; those of one tokeniser share ``given`` and its counting."""
    values: dict[int, npt.NDArray[np.float64]] = {}
    for tokeniser in {recipe.tokeniser: None for recipe in recipes}:
        some = {i: recipe for i, recipe in enumerate(recipes) if recipe.tokeniser == tokeniser}
        texts = given(next(iter(some.values())))
        tables = None
        if not any(recipe.counts_sets for recipe in some.values()):
            tables = texts.scores([recipe.formula for recipe in some.values()])
        if tables is None:
            counts = texts.counts()
            tables = [scores(counts, recipe, sets) for recipe in some.values()]
        values.update(zip(some, tables, strict=True))
    return [OverlapTable(COLUMNS, values[i], recipe.signature) for i, recipe in enumerate(recipes)]


@dataclass(frozen=True, slots=True)
class Counted:
    """Scores of N hypotheses by one recipe, float64 [N, 7] as in ``OverlapTable``, and the counts behind them."""

    recipe: Recipe
    values: npt.NDArray[np.float64]
    counts: OverlapStatistics


def counted(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], recipes: Sequence[Recipe]
) -> tuple[Counted, ...]:
    """As ``overlaps``, with the integers too: what a corpus is scored by."""
    if any(each.counts_sets for each in recipes) or len({each.tokeniser for each in recipes}) > 1:
        hypotheses, references = read_once(hypotheses, references)  # as in _tables
    counts: dict[str, OverlapStatistics] = {}
    for each in recipes:
        if each.tokeniser not in counts:
            said, wanted, kernel_tokeniser = _as_tokenised(hypotheses, references, each)
            counts[each.tokeniser] = overlap_statistics(said, wanted, tokeniser=kernel_tokeniser)
    sets = set_statistics(hypotheses, references) if any(each.counts_sets for each in recipes) else None
    return tuple(Counted(each, scores(counts[each.tokeniser], each, sets), counts[each.tokeniser]) for each in recipes)


def overlap_ids(
    hypotheses: TokenIds,
    references: TokenIds,
    rows: npt.ArrayLike | None = None,
    *,
    recipe: str = "coco",
    reduce: str | None = None,
) -> OverlapTable:
    """Score texts that are numbers already: a captioner's tokens, say.

    Args:
        hypotheses: N texts.
        references: of all records, one record after the other.
        rows: int64 [N + 1]; the references of record i are rows[i] to rows[i + 1]. Without it every record has as many.
        recipe: as for ``overlap``, without a tokeniser; the signature then says ``tok:ids``. Not ``m4i``, which looks
            into the text.
        reduce: as for ``overlap``.

    Raises:
        DataError: the rows do not fit (says how).
        ConfigError: no such recipe or reduction, or ``M4I_FAST_KERNELS`` is wrong.

    >>> said, wanted = TokenIds.from_lists([[5, 8, 2]]), TokenIds.from_lists([[5, 8, 2, 9], [1, 8]])
    >>> overlap_ids(said, wanted).values[0, 2].round(3).item()
    0.836
    """
    chosen = recipe_named(recipe, tokeniser=IDS, reduce=reduce)
    return OverlapTable(COLUMNS, scores(id_statistics(hypotheses, references, rows), chosen), chosen.signature)


class References:
    """Reference captions that many sets of hypotheses are scored against: tokenised once (but not the sets of ``m4i``).

    Args:
        references: N lists of reference captions; a list may be empty.
        recipe: as for ``overlap``, or several; those of one tokeniser share their references and their counting.
        tokeniser: of all of them, as for ``overlap``.
        reduce: of all of them, as for ``overlap``.

    Raises:
        DataError: something is not a string (says which).
        ConfigError: no such recipe, tokeniser or reduction, no recipe at all, or ``M4I_FAST_KERNELS`` is wrong.

    >>> references = References([["a dog runs fast", "the dog"], ["a cat"]])
    >>> for said in (["a dog runs", "a cat"], ["a dog", "two cats"]):
    ...     references.score(said).values[:, 2].round(3).tolist()
    [0.836, 1.0]
    [0.629, 0.0]
    >>> both = References([["a dog runs fast"]], recipe=["coco", "rouge-score/words"])
    >>> [table.values[0, 2].round(3).item() for table in both.scores(["a dog runs"])]
    [0.836, 0.857]
    """

    def __init__(
        self,
        references: Sequence[Sequence[str]],
        *,
        recipe: str | Sequence[str] = "coco",
        tokeniser: str | None = None,
        reduce: str | None = None,
    ) -> None:
        # What is neither a name nor several is refused below by its own name.
        one = isinstance(recipe, str) or not hasattr(recipe, "__iter__")
        names = (str(recipe),) if one else as_tuple(recipe, "recipe")
        self.recipes = tuple(recipe_named(name, tokeniser=tokeniser, reduce=reduce) for name in names)
        if not self.recipes:
            raise ConfigError("there is none", where="recipe", cure=f"Give one or more of {', '.join(RECIPES)}.")
        rows = as_tuple(references, "references")
        if any(each.as_documents for each in self.recipes):
            _, rows = plain_texts([""] * len(rows), rows)
        self._prepared: dict[str, PreparedReferences] = {}
        for each in self.recipes:
            if each.tokeniser not in self._prepared:
                given = _rows_as_document(rows) if each.as_documents else rows
                self._prepared[each.tokeniser] = prepared = PreparedReferences(given, tokeniser=each.kernel_tokeniser)
                # What yields its texts but once was read now.
                rows = rows if each.as_documents else prepared.rows

    def __len__(self) -> int:
        """N."""
        return len(self._first)

    @property
    def recipe(self) -> Recipe:
        """The first one."""
        return self.recipes[0]

    def score(self, hypotheses: Sequence[str]) -> OverlapTable:
        """Score N hypotheses by the first recipe, the i-th against the i-th list of references.

        The same numbers as ``overlap``.

        Raises:
            DataError: the lengths differ, or something is not a string (says which).
        """
        (table,) = self._tables(hypotheses, self.recipes[:1])
        return table

    def scores(self, hypotheses: Sequence[str]) -> tuple[OverlapTable, ...]:
        """As ``score``, by each recipe: the same tables as ``overlaps``."""
        return tuple(self._tables(hypotheses, self.recipes))

    @property
    def _first(self) -> PreparedReferences:
        return self._prepared[self.recipe.tokeniser]

    def _tables(self, hypotheses: Sequence[str], recipes: Sequence[Recipe]) -> list[OverlapTable]:
        of_sets = next((recipe for recipe in recipes if recipe.counts_sets), None)
        if of_sets is not None or len({recipe.tokeniser for recipe in recipes}) > 1:
            hypotheses = as_tuple(hypotheses, "hypotheses")  # as in the function _tables
            check_lengths(len(hypotheses), len(self))

        def given(recipe: Recipe) -> _Given:
            prepared, said = self._prepared[recipe.tokeniser], hypotheses
            if recipe.as_documents:
                said = ptb_document(plain_texts(hypotheses, [()] * len(self))[0], "hypotheses[{}]".format)
            return _Given(
                lambda formulas: prepared.scores(said, formulas, exact_sum=SUM_COMPENSATES),
                lambda: prepared.statistics(said),
            )

        # Sets are counted anew each time: nothing of them is prepared.
        rows = None if of_sets is None else self._prepared[of_sets.tokeniser].rows
        return _by_tokeniser(recipes, given, None if rows is None else set_statistics(hypotheses, rows))


def _as_tokenised(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], recipe: Recipe
) -> tuple[Sequence[str], Sequence[Sequence[str]], str]:
    """Texts for the kernels, and the tokeniser that is left to them."""
    if recipe.as_documents:
        said, rows = plain_texts(hypotheses, references)
        hypotheses, references = ptb_document(said, "hypotheses[{}]".format), _rows_as_document(rows)
    return hypotheses, references, recipe.kernel_tokeniser


def _rows_as_document(references: Sequence[Sequence[str]]) -> list[list[str]]:
    """The references of all records, tokenised as one document, one record after the other; all are plain strings."""
    places = [(record, at) for record, row in enumerate(references) for at in range(len(row))]
    texts = tuple(text for row in references for text in row)
    lines = iter(ptb_document(texts, lambda text: "references[{}][{}]".format(*places[text])))
    return [[next(lines) for _ in row] for row in references]
