"""The packages that the recipes are named after: what they say is the truth."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
import pytest
from backends import backends_for
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.rouge.rouge import Rouge as CocoRouge
from rouge import Rouge
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU

from m4i_fast.text.overlap import overlap
from m4i_fast.text.words import words

Reals = npt.NDArray[np.float64]
Texts = Sequence[str]
Rows = Sequence[Sequence[str]]


def pycocoevalcap(hypotheses: Texts, references: Rows) -> Reals:
    """ROUGE-L, BLEU-1 .. BLEU-4, without the Java tokeniser."""
    gts = {i: list(row) for i, row in enumerate(references)}
    res = {i: [hypothesis] for i, hypothesis in enumerate(hypotheses)}
    _, bleu = Bleu(4).compute_score(gts, res, verbose=0)
    _, rouge = CocoRouge().compute_score(gts, res)
    return np.array([rouge, *bleu], np.float64).T


def pycocoevalcap_of_words(hypotheses: Texts, references: Rows) -> Reals:
    """The same of texts that ``words`` tokenised."""
    return pycocoevalcap(
        [" ".join(words(text)) for text in hypotheses], [[" ".join(words(text)) for text in row] for row in references]
    )


def rouge_score(hypotheses: Texts, references: Rows, *, stemmed: bool = False) -> Reals:
    """ROUGE-1, ROUGE-2, ROUGE-L."""
    kinds = ("rouge1", "rouge2", "rougeL")
    scorer = RougeScorer(list(kinds), use_stemmer=stemmed)
    scored = [scorer.score_multi(list(row), said) for said, row in zip(hypotheses, references, strict=True)]
    return np.array([[each[kind].fmeasure for kind in kinds] for each in scored], np.float64)


def sacrebleu(hypotheses: Texts, references: Rows, *, smooth: str = "exp", lowercase: bool = False) -> Reals:
    """BLEU-1 .. BLEU-4. The lower orders are made of the counts of the highest, as ``sacrebleu_by_order`` says them."""
    metric = BLEU(effective_order=True, smooth_method=smooth, lowercase=lowercase)
    rows = []
    for said, row in zip(hypotheses, references, strict=True):
        of = metric.sentence_score(said, row)
        totals = [
            BLEU.compute_bleu(
                *(of.counts[:n], of.totals[:n], of.sys_len, of.ref_len),
                smooth_method=smooth,
                effective_order=True,
                max_ngram_order=n,
            )
            for n in (1, 2, 3)
        ]
        rows.append([each.score for each in (*totals, of)])
    return np.array(rows, np.float64)


def sacrebleu_by_order(hypotheses: Texts, references: Rows, *, smooth: str = "exp") -> Reals:
    """The same in four times the time, each order asked for by itself, as one would."""
    metrics = [BLEU(max_ngram_order=n, effective_order=True, smooth_method=smooth) for n in (1, 2, 3, 4)]
    rows = zip(hypotheses, references, strict=True)
    return np.array([[metric.sentence_score(said, row).score for metric in metrics] for said, row in rows], np.float64)


def nltk(hypotheses: Texts, references: Rows, *, method: str = "method0") -> Reals:
    """BLEU-1 .. BLEU-4."""
    smooth, weights = getattr(SmoothingFunction(), method), [(1 / n,) * n for n in (1, 2, 3, 4)]
    rows = [(said.split(), [text.split() for text in row]) for said, row in zip(hypotheses, references, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nltk warns of every sentence without a 4-gram
        return np.array([sentence_bleu(row, said, weights, smooth) for said, row in rows], np.float64)


def nltk_by_order(hypotheses: Texts, references: Rows, *, method: str = "method0") -> Reals:
    """The same, each order asked for by itself."""
    smooth = getattr(SmoothingFunction(), method)
    rows = [(said.split(), [text.split() for text in row]) for said, row in zip(hypotheses, references, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.array(
            [[sentence_bleu(row, said, (1 / n,) * n, smooth) for n in (1, 2, 3, 4)] for said, row in rows], np.float64
        )


def rouge(hypotheses: Texts, references: Rows) -> Reals:
    """ROUGE-1, ROUGE-2, ROUGE-L: the mean over the references, where the package stops 0 for the pair."""
    scorer, kinds = Rouge(), ("rouge-1", "rouge-2", "rouge-l")
    nothing = {kind: {"f": 0.0} for kind in kinds}

    def pair(said: str, text: str) -> dict[str, dict[str, float]]:
        # It raises "Hypothesis is empty" or "Reference is empty" where there is nothing but full stops.
        if not any(said.split(".")) or not any(text.split(".")):
            return nothing
        found: dict[str, dict[str, float]] = scorer.get_scores(said, text)[0]
        return found

    rows = []
    with deep_recursion():
        for said, row in zip(hypotheses, references, strict=True):
            each = [pair(said, text) for text in row]
            rows.append([sum(scores[kind]["f"] for scores in each) / len(each) for kind in kinds])
    return np.array(rows, np.float64)


@contextmanager
def deep_recursion() -> Iterator[None]:
    """rouge walks back through its table by recursion, a call a word."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 20_000))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@dataclass(frozen=True, slots=True)
class Oracle:
    """A package's figures: float64 [N, columns of ``scored``]; ``columns``: where they stand in an ``OverlapTable``."""

    scored: Callable[[Texts, Rows], Reals]
    columns: slice


ORACLES: Final = {
    "coco": Oracle(pycocoevalcap_of_words, slice(2, 7)),
    "coco/coco-space": Oracle(pycocoevalcap, slice(2, 7)),
    "rouge-score": Oracle(rouge_score, slice(0, 3)),
    "rouge-score/porter": Oracle(partial(rouge_score, stemmed=True), slice(0, 3)),
    "sacrebleu": Oracle(sacrebleu, slice(3, 7)),
    "sacrebleu/none": Oracle(partial(sacrebleu, smooth="none"), slice(3, 7)),
    "nltk": Oracle(nltk, slice(3, 7)),
    "nltk/method1": Oracle(partial(nltk, method="method1"), slice(3, 7)),
    "m4i": Oracle(rouge, slice(0, 3)),
}
"""By recipe."""


def agrees(
    recipe: str, hypotheses: Texts, references: Rows, *, backends: Sequence[str] = (), said: Reals | None = None
) -> None:
    """The recipe's figures are its package's to the last bit, on every backend, as ``backends_for`` says.

    Args:
        recipe: a name in ``ORACLES``.
        hypotheses: N texts.
        references: N rows, none of them empty.
        backends: only these; else those.
        said: what the package said, where it was asked before.
    """
    oracle = ORACLES[recipe]
    wanted = oracle.scored(hypotheses, references) if said is None else said
    for name in backends or backends_for(hypotheses, references):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M4I_FAST_KERNELS", name)
            found = overlap(hypotheses, references, recipe=recipe).values[:, oracle.columns]
        wrong = np.flatnonzero((found != wanted).any(axis=1))
        if len(wrong):
            row = int(wrong[0])
            raise AssertionError(
                f"{recipe}, {name}: {len(wrong)} of {len(wanted)} rows differ from the package's, the first is {row}:\n"
                f"{hypotheses[row]!r}\nagainst {list(references[row])!r}\n{found[row].tolist()} for "
                f"{wanted[row].tolist()}"
            )
