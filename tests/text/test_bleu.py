"""BLEU of a whole corpus from its sums, as pycocoevalcap, sacrebleu and nltk say it, to the last bit."""

from __future__ import annotations

import contextlib
import io
import random
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction
from nltk.translate.bleu_score import corpus_bleu as nltk_corpus_bleu
from pycocoevalcap.bleu.bleu import Bleu
from sacrebleu.metrics import BLEU

from m4i_fast.kernels.backend import overlap_statistics
from m4i_fast.text.bleu import BleuSums
from m4i_fast.text.recipes import corpus_bleu, recipe_named

Rows = tuple[list[str], list[list[str]]]


def coco(hypotheses: list[str], references: list[list[str]], _: str) -> list[float]:
    said = {i: [text] for i, text in enumerate(hypotheses)}
    with contextlib.redirect_stdout(io.StringIO()):
        whole: list[float] = Bleu(4).compute_score(dict(enumerate(references)), said, verbose=0)[0]
    return whole


def sacrebleu(hypotheses: list[str], references: list[list[str]], smooth: str) -> list[float]:
    most = max(map(len, references))
    parallel = [[row[k] if k < len(row) else None for row in references] for k in range(most)]
    metrics = [BLEU(max_ngram_order=n, smooth_method=smooth) for n in (1, 2, 3, 4)]
    return [metric.corpus_score(hypotheses, parallel).score for metric in metrics]  # type: ignore[arg-type]


def nltk(hypotheses: list[str], references: list[list[str]], method: str) -> list[float]:
    smooth = getattr(SmoothingFunction(), method)
    said, wanted = [text.split() for text in hypotheses], [[text.split() for text in row] for row in references]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [nltk_corpus_bleu(wanted, said, weights=(1 / n,) * n, smoothing_function=smooth) for n in (1, 2, 3, 4)]


PACKAGES: dict[str, tuple[Callable[[list[str], list[list[str]], str], list[float]], str]] = {
    "coco/coco-space": (coco, ""),
    "sacrebleu": (sacrebleu, "exp"),
    "sacrebleu/none": (sacrebleu, "none"),
    "nltk": (nltk, "method0"),
    "nltk/method1": (nltk, "method1"),
}


def whole(recipe: str, rows: Rows) -> list[float]:
    chosen = recipe_named(recipe)
    columns = BleuSums.of_records(overlap_statistics(*rows, tokeniser=chosen.tokeniser)).columns()
    found = corpus_bleu(BleuSums.from_columns(columns.sum(axis=0)[None, :]), chosen)
    assert found is not None
    assert found.shape == (1, 4)
    values: list[float] = found[0].tolist()
    return values


def agrees(recipe: str, rows: Rows) -> None:
    package, variant = PACKAGES[recipe]
    assert whole(recipe, rows) == package(*rows, variant)


WORDS = ["a", "A", "the", "dog", "dog's", "runs", ",", ".", "3.5", "x-y", "(b)", "skateboarding"]


def drawn(seed: int, count: int) -> Rows:
    chance = random.Random(seed)
    lines = [
        " ".join(chance.choices(WORDS[: chance.randint(1, len(WORDS))], k=chance.randint(0, 14))) for _ in range(count)
    ]
    return lines, [[chance.choice(lines) for _ in range(chance.randint(1, 4))] for _ in lines]


@pytest.mark.parametrize("recipe", PACKAGES)
def test_as_the_package_on_drawn_corpora(recipe: str) -> None:
    agrees(recipe, drawn(1, 300))


@pytest.mark.parametrize("recipe", PACKAGES)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 6))
def test_as_the_package_on_any_small_corpus(recipe: str, seed: int, count: int) -> None:
    """Small ones lack matches, orders and words: the edges of every formula."""
    agrees(recipe, drawn(seed, count))


def test_by_hand() -> None:
    # 4 of 5 words, 2 of 3 pairs, 1 of 1 triple, no quadruple of none; as long as the references
    rows = (["a b c", "d x"], [["a b c"], ["d e"]])
    assert whole("sacrebleu/none", rows)[:2] == pytest.approx([80.0, 100 * (4 / 5 * 2 / 3) ** 0.5])
    assert whole("sacrebleu", rows)[3] == 0.0  # no quadruple anywhere: not the effective order of a sentence
    # nltk counts at least one n-gram a sentence: 1 of 2 triples
    assert whole("nltk", rows)[2] == pytest.approx((4 / 5 * 2 / 3 * 1 / 2) ** (1 / 3))
    # short by one word of five: the corpus is punished once, not each sentence
    assert whole("coco", (["a b", "c d"], [["a b"], ["c d e"]]))[0] == pytest.approx(np.exp(1 - 5 / 4))


def test_the_mean_over_references_has_no_corpus() -> None:
    for recipe in ("coco/mean", "m4i"):
        chosen = recipe_named(recipe)
        sums = BleuSums.of_records(overlap_statistics(["a"], [["a"]], tokeniser=chosen.tokeniser))
        assert corpus_bleu(sums, chosen) is None


def test_many_corpora_at_once_are_each_by_itself() -> None:
    parts = [drawn(seed, 20) for seed in range(5)]
    chosen = recipe_named("sacrebleu")
    columns = [
        BleuSums.of_records(overlap_statistics(*part, tokeniser=chosen.tokeniser)).columns().sum(axis=0)
        for part in parts
    ]
    found = corpus_bleu(BleuSums.from_columns(np.stack(columns)), chosen)
    assert found is not None
    assert found.tolist() == [whole("sacrebleu", part) for part in parts]
