"""How counts become scores: one definition a recipe, each with a signature that travels with its numbers.

``coco``
    As pycocoevalcap 1.2. ROUGE-L: the largest precision and the largest recall over the references, each on its own,
    then ((1 + b^2) P R) / (R + b^2 P), b = 1.2. BLEU-1..4, sentence level: counts clipped by the largest count in any
    one reference, the product of (c + 1e-15) / (g + 1e-9) to the power 1/n, brevity penalty against the reference
    nearest in length. ROUGE-1 and ROUGE-2, which pycocoevalcap has not: F1 = 2PR / (P + R), the best reference.
    The default ``words`` is not its tokeniser, and the same as giving its scorers ``" ".join(words(text))``. For text
    that was tokenised before, ``coco/coco-space`` equals its scorers bit for bit. ``coco/ptb-exact`` equals its whole
    evaluation: all hypotheses go through its PTB tokeniser (rebuilt, without Java) as one document, all references as
    another, faults included (see ``m4i_fast.text.ptb``). ``coco/ptb`` takes each text by itself, so a score depends on
    its own record alone; where no fault shows, it is the same to the last bit.
``rouge-score``
    As rouge-score 0.1.2, without its stemmer or (``rouge-score/porter``) with it. ROUGE-1, ROUGE-2, ROUGE-L: F1 =
    2PR / (P + R), for each the best reference. BLEU-1..4: the formula of ``coco`` on rouge-score's tokens.
``sacrebleu``
    BLEU-1..4 as the ``sentence_score`` of sacrebleu 2's ``BLEU(max_ngram_order=n, effective_order=True)``, 0..100, on
    13a tokens in their own case: counts clipped as above, orders that the hypothesis is too short for left out, an
    order without a match counted as 1/2, 1/4 ... of one (``exp``, the default) or not at all (``none``).
    ROUGE-1, ROUGE-2 and ROUGE-L, which it has not: F1, the best reference, 0..1.
``nltk``
    BLEU-1..4 as ``sentence_bleu`` of nltk 3.10 with the weights 1/n, ... 1/n, on white-space tokens: an order without a
    match counts as the smallest positive float (``method0``, the default) or as 0.1 matches (``method1``); nothing
    shared is 0. ROUGE as for ``sacrebleu``.
``m4i``
    ROUGE as the published attack takes it from the package rouge 1.0.1: words parted at white space and full stops,
    n-grams as sets, ROUGE-L over the union of the sentences' subsequences, F1 = 2 ((PR) / (P + R + 1e-8)), and the
    mean over the references. Where that package stops (nothing but full stops), a pair scores 0. BLEU as ``nltk``.

With ``mean`` each column is the mean, over the references, of the score against that reference alone; the published
attack fits its SVM on that of ROUGE-1, ROUGE-2 and ROUGE-L.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from m4i_fast.errors import ConfigError
from m4i_fast.kernels.backend import Formula, core_scores
from m4i_fast.kernels.statistics import OverlapStatistics, SetStatistics
from m4i_fast.text.bleu import BleuSums, bleu_of_coco, bleu_of_nltk, bleu_of_sacrebleu

__all__ = [
    "COLUMNS",
    "IDS",
    "RECIPES",
    "REDUCTIONS",
    "SUM_COMPENSATES",
    "VERSION",
    "Recipe",
    "corpus_bleu",
    "recipe_named",
    "scores",
]

COLUMNS: Final = ("rouge_1", "rouge_2", "rouge_l", "bleu_1", "bleu_2", "bleu_3", "bleu_4")
REDUCTIONS: Final = ("max", "mean")
IDS: Final = "ids"
"""In place of a tokeniser: the caller's own token ids. Every recipe but ``m4i`` takes them."""
AS_DOCUMENTS: Final = "ptb-exact"
"""The tokeniser that sees all hypotheses at once, and all references: a record's scores depend on the others'."""
VERSION: Final = "0.1.0"
"""The release in which a definition last changed: equal signatures mean equal formulas."""

BETA: Final = 1.2

SUM_COMPENSATES: Final = sum([1.0, 1e100, 1.0, -1e100]) == 2.0
"""Whether ``sum()`` of floats carries its rounding along, as from Python 3.12 on; sacrebleu's last bits follow."""

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Recipe:
    """A metric's definition. ``signature`` is its name in tables: equal signatures, comparable numbers."""

    name: str
    tokeniser: str
    reduce: str
    variant: str
    signature: str

    @property
    def formula(self) -> Formula:
        """As the C++ core knows it."""
        return Formula(RECIPES[self.name].numbers[self.variant], self.reduce == "mean")

    @property
    def as_documents(self) -> bool:
        """Whether all hypotheses are tokenised as one document, and all references as another."""
        return self.tokeniser == AS_DOCUMENTS

    @property
    def kernel_tokeniser(self) -> str:
        """The kernels' tokeniser, for texts that went through the documents where ``as_documents``."""
        return "coco-space" if self.as_documents else self.tokeniser

    @property
    def counts_sets(self) -> bool:
        """Whether ``scores`` needs ``SetStatistics`` too."""
        return RECIPES[self.name].sets


class Bleu(Protocol):
    """A formula of ``m4i_fast.text.bleu``."""

    def __call__(self, sums: BleuSums, variant: str, /, *, corpus: bool = False) -> list[Reals]: ...


@dataclass(frozen=True, slots=True)
class _Definition:
    numbers: Mapping[str, int]  # by variant, the default first: as the C++ core knows it
    tokenisers: tuple[str, ...]  # the default first
    remarks: tuple[str, ...]
    rouge_l: Callable[[OverlapStatistics, str], Reals]
    bleu: Bleu
    reductions: tuple[str, ...] = REDUCTIONS  # the default first
    sets: bool = False


def recipe_named(recipe: str, *, tokeniser: str | None = None, reduce: str | None = None) -> Recipe:
    """Find a recipe.

    Args:
        recipe: one of ``RECIPES``; a tokeniser, ``max`` or ``mean``, and a variant may follow, in any order, each once:
            ``coco/coco-space/mean``, ``sacrebleu/none``.
        tokeniser: another one than the recipe's own.
        reduce: ``max`` (each recipe's own way to join references; the default of all but ``m4i``) or ``mean``.

    Raises:
        ConfigError: something is unknown, unfit or said twice.
    """
    name, *details = str(recipe).split("/")
    # What is no string is no name either, and need not be a thing that can be looked up.
    tokeniser, reduce = (None if each is None else str(each) for each in (tokeniser, reduce))
    if name not in RECIPES:
        raise ConfigError(f"'{name}' is not a recipe", where="recipe", cure=f"Choose one of {', '.join(RECIPES)}.")
    definition = RECIPES[name]
    variants = [variant for variant in definition.numbers if variant]
    variant = None
    for detail in details:
        if details.count(detail) == 1 and detail in REDUCTIONS and reduce in {None, detail}:
            reduce = detail
        elif details.count(detail) == 1 and detail in definition.tokenisers and tokeniser in {None, detail}:
            tokeniser = detail
        elif detail in variants and variant is None:
            variant = detail
        else:
            raise ConfigError(
                f"'{detail}' in '{recipe}' is unknown, or contradicts another part",
                where="recipe",
                cure=f"After '{name}/' write one tokeniser ({', '.join(definition.tokenisers)}), max or mean"
                + (f", {' or '.join(variants)}." if variants else "."),
            )
    tokeniser = definition.tokenisers[0] if tokeniser is None else tokeniser
    reduce = definition.reductions[0] if reduce is None else reduce
    if tokeniser not in (*definition.tokenisers, *(() if definition.sets else (IDS,))):
        raise ConfigError(
            f"recipe '{name}' does not work with the tokeniser '{tokeniser}'",
            where="tokeniser",
            cure=f"Choose one of {', '.join(definition.tokenisers)}.",
        )
    if reduce not in REDUCTIONS:
        raise ConfigError(
            f"'{reduce}' is no way to join references", where="reduce", cure=f"Choose one of {', '.join(REDUCTIONS)}."
        )
    variant = next(iter(definition.numbers)) if variant is None else variant
    smooth = (f"smooth:{variant}",) if variant else ()
    parts = (f"recipe:{name}", f"tok:{tokeniser}", f"refs:{reduce}", *definition.remarks, *smooth, f"v:{VERSION}")
    return Recipe(name, tokeniser, reduce, variant, "|".join(parts))


def scores(counts: OverlapStatistics, recipe: Recipe, sets: SetStatistics | None = None) -> Reals:
    """Scores of N hypotheses: float64 [N, 7] in the order of ``COLUMNS``; rows without a reference are NaN.

    The C++ core does it where it is in use; what follows defines it, and does it elsewhere. ``sets``: of the same
    texts, where ``recipe.counts_sets``.
    """
    values = _scores(counts, recipe)
    if recipe.counts_sets:
        assert sets is not None
        rows = np.diff(counts.offsets) > 0
        values[rows, :3] = np.stack(_rouge_of_sets(counts, sets, recipe.reduce), axis=1)
    return values


def corpus_bleu(sums: BleuSums, recipe: Recipe) -> Reals | None:
    """BLEU-1 .. BLEU-4 of M corpora, float64 [M, 4], as the recipe's package says it of a whole corpus.

    None where the recipe takes the mean over references: a corpus clips its counts by all references of a record.

    >>> one = BleuSums.of_sentences(np.array([[4, 3, 2, 1]]), np.array([4]), np.array([4]))
    >>> corpus_bleu(one, recipe_named("sacrebleu")).round(6).tolist()
    [[100.0, 100.0, 100.0, 100.0]]
    """
    if recipe.reduce != "max":
        return None
    return np.stack(RECIPES[recipe.name].bleu(sums, recipe.variant, corpus=True), axis=1)


def _scores(counts: OverlapStatistics, recipe: Recipe) -> Reals:
    definition = RECIPES[recipe.name]
    found = core_scores(counts, recipe.formula, exact_sum=SUM_COMPENSATES)
    if found is not None:
        return found
    values = np.full((len(counts.offsets) - 1, len(COLUMNS)), np.nan)
    rows = np.diff(counts.offsets) > 0
    columns = [
        _rouge_n(counts, 1, recipe.reduce),
        _rouge_n(counts, 2, recipe.reduce),
        definition.rouge_l(counts, recipe.reduce),
        *_bleu(counts, recipe, rows),
    ]
    values[rows] = np.stack(columns, axis=1)
    return values


# Below, columns have a row for each record that has references. ``pairwise`` values have a row a pair.


def _reduced(pairwise: Reals, counts: OverlapStatistics, reduce: str) -> Reals:
    """The largest value, or the mean, over each record's references."""
    sizes = np.diff(counts.offsets)
    # Records without references have no pairs, so the others' first pairs part the array just as well.
    starts = counts.offsets[:-1][sizes > 0]
    if len(starts) == 0:
        return np.empty(0)
    if reduce == "mean":
        # One after the other, as Python's sum; add.reduceat would add in pairs where there are many.
        records = np.repeat(np.arange(len(sizes)), sizes)
        sums = np.bincount(records, weights=pairwise, minlength=len(sizes)).astype(np.float64)
        return sums[sizes > 0] / sizes[sizes > 0]
    largest: Reals = np.maximum.reduceat(pairwise, starts)
    return largest


def _of_pairs(counts: OverlapStatistics, by_record: Integers) -> Integers:
    """Repeat a record's value for each of its pairs."""
    return np.repeat(by_record, np.diff(counts.offsets))


def _f1(matched: Integers, guessed: Integers, wanted: Integers) -> Reals:
    """2PR / (P + R), 0 where nothing matched; the order of operations is rouge-score's."""
    precision = matched / np.maximum(guessed, 1)
    recall = matched / np.maximum(wanted, 1)
    total = precision + recall
    return np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)


def _rouge_n(counts: OverlapStatistics, n: int, reduce: str) -> Reals:
    guessed = np.maximum(_of_pairs(counts, counts.hypothesis_length) - (n - 1), 0)
    wanted = np.maximum(counts.reference_length - (n - 1), 0)
    return _reduced(_f1(counts.matches[:, n - 1], guessed, wanted), counts, reduce)


def _rouge_l_of_f1(counts: OverlapStatistics, reduce: str) -> Reals:
    guessed = _of_pairs(counts, counts.hypothesis_length_lcs)
    return _reduced(_f1(counts.lcs, guessed, counts.reference_length_lcs), counts, reduce)


def _rouge_l_of_coco(counts: OverlapStatistics, reduce: str) -> Reals:
    guessed = _of_pairs(counts, counts.hypothesis_length_lcs)
    wanted = counts.reference_length_lcs
    # pycocoevalcap splits at single spaces: the empty text is one empty token, and equals another empty text.
    lcs = np.where((guessed == 0) & (wanted == 0), 1, counts.lcs)
    precision = lcs / np.maximum(guessed, 1)
    recall = lcs / np.maximum(wanted, 1)
    if reduce == "mean":
        return _reduced(_f_beta(precision, recall), counts, "mean")
    return _f_beta(_reduced(precision, counts, "max"), _reduced(recall, counts, "max"))


def _f_beta(precision: Reals, recall: Reals) -> Reals:
    weighted = (1 + BETA**2) * precision * recall
    total = recall + BETA**2 * precision
    return np.divide(weighted, total, out=np.zeros_like(total), where=(precision != 0) & (recall != 0))


def _rouge_of_sets(counts: OverlapStatistics, sets: SetStatistics, reduce: str) -> list[Reals]:
    guessed = np.repeat(sets.hypothesis_distinct, np.diff(counts.offsets), axis=0)
    matched = np.concatenate([sets.shared, sets.united[:, None]], axis=1)
    of = [0, 1, 0]  # ROUGE-L is over distinct words, too
    precision = matched / np.maximum(guessed[:, of], 1)
    recall = matched / np.maximum(sets.reference_distinct[:, of], 1)
    f1 = 2.0 * ((precision * recall) / (precision + recall + 1e-8))
    return [_reduced(np.ascontiguousarray(column), counts, reduce) for column in f1.T]


def _bleu(counts: OverlapStatistics, recipe: Recipe, rows: npt.NDArray[np.bool_]) -> list[Reals]:
    """BLEU-1 .. BLEU-4, cumulative."""
    bleu = RECIPES[recipe.name].bleu
    if recipe.reduce == "mean":
        guessed = _of_pairs(counts, counts.hypothesis_length)
        against_each = bleu(BleuSums.of_sentences(counts.matches, guessed, counts.reference_length), recipe.variant)
        return [_reduced(column, counts, "mean") for column in against_each]
    best, guessed, closest = counts.best_matches[rows], counts.hypothesis_length[rows], counts.closest_length[rows]
    return bleu(BleuSums.of_sentences(best, guessed, closest), recipe.variant)


RECIPES: Final = {
    "coco": _Definition(
        {"": 0},
        ("words", "ptb", AS_DOCUMENTS, "coco-space", "whitespace", "rouge-score"),
        (f"beta:{BETA}",),
        _rouge_l_of_coco,
        bleu_of_coco,
    ),
    "rouge-score": _Definition(
        {"": 1}, ("rouge-score", "porter", "words", "whitespace"), (), _rouge_l_of_f1, bleu_of_coco
    ),
    "sacrebleu": _Definition(
        {"exp": 2, "none": 3}, ("13a", "words", "whitespace"), ("scale:100",), _rouge_l_of_f1, bleu_of_sacrebleu
    ),
    "nltk": _Definition({"method0": 4, "method1": 5}, ("whitespace", "words", "13a"), (), _rouge_l_of_f1, bleu_of_nltk),
    "m4i": _Definition(
        {"": 4}, ("whitespace",), ("sets",), _rouge_l_of_f1, bleu_of_nltk, reductions=("mean", "max"), sets=True
    ),
}
"""By name: variants, tokenisers that fit (the default first), what the signature must say, and ROUGE-L and BLEU."""
