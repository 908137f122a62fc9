"""Every recipe against the package it is named after, to the last bit, on sentences written for the purpose."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from nltk.translate.bleu_score import sentence_bleu
from pycocoevalcap.rouge.rouge import Rouge as CocoRouge
from rouge import Rouge
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU

from m4i_fast.kernels.backend import CORES, built_backends
from m4i_fast.text.overlap import References, overlap
from tests.text.oracles import ORACLES, Reals, agrees, nltk, nltk_by_order, sacrebleu, sacrebleu_by_order
from tests.text.sentences import MARK, PATH, draw, rows, sentences, written_and_drawn

FAST = tuple(name for name in built_backends() if name in CORES)
SLOW = {"m4i": 4, "rouge-score/porter": 4, "sacrebleu/none": 4, "nltk/method1": 4}
"""Slow packages, and variants of others: every fourth row is asked here, every row where the test is marked slow."""


def test_the_drawn_sentences_are_those_that_the_seed_draws() -> None:
    written, drawn = written_and_drawn()
    assert drawn == draw(written)
    assert len(written) > 500
    assert 2500 <= len(sentences()) <= 4000
    assert PATH.stat().st_size < 400_000
    assert MARK not in sentences()


def test_the_sentences_are_of_many_kinds() -> None:
    texts = sentences()
    assert len(set(texts)) > 0.98 * len(texts)
    assert sum(not text.isascii() for text in texts) > 500
    assert sum(30 <= len(text.split()) <= 200 for text in texts) > 200
    together = "".join(texts)
    # Marks apart, Greek, Cyrillic, Hebrew, Arabic, Devanagari, Thai, Han, kana, Hangul, emoji, spaces, quotes
    for sign in "\u0301α\u0436א\u0639\u0915\u0e2b狗の개🐕\u00a0\u2003\u2028\u0085\t“’«–…\u200b\u202e\ufeff&<@#$%":
        assert sign in together, hex(ord(sign))


def test_the_references_are_near_duplicates() -> None:
    """Most share much with the sentence, few all or nothing."""
    assert {len(row) for row in rows()[1]} == {1, 2, 3, 4, 5}
    values = overlap(*rows(), recipe="coco/whitespace/mean").values
    for column in (0, 1, 2, 6):  # ROUGE-1, ROUGE-2, ROUGE-L, BLEU-4
        low, middle, high = np.quantile(values[:, column], [0.1, 0.5, 0.9])
        assert low < middle - 0.1 < middle + 0.1 < high
    assert ((values[:, 2] > 0) & (values[:, 2] < 1)).mean() > 0.8


@pytest.mark.parametrize("recipe", ORACLES)
def test_as_the_package_on_written_sentences(recipe: str) -> None:
    hypotheses, references = rows(every=SLOW.get(recipe, 1))
    said = ORACLES[recipe].scored(hypotheses, references)
    agrees(recipe, hypotheses, references, backends=FAST, said=said)
    for backend, step in (("rapidfuzz", 8), ("reference", 30)):
        agrees(recipe, hypotheses[::step], references[::step], backends=[backend], said=said[::step])


@pytest.mark.slow
@pytest.mark.skipif("not config.getoption('-m')", reason="takes a minute: ask for it with -m slow")
@pytest.mark.parametrize("recipe", ORACLES)
def test_as_the_package_on_every_sentence_and_backend(recipe: str) -> None:
    agrees(recipe, *rows())


@pytest.mark.parametrize(
    ("quick", "by_order"),
    [
        (sacrebleu, sacrebleu_by_order),
        (partial(sacrebleu, smooth="none"), partial(sacrebleu_by_order, smooth="none")),
        (nltk, nltk_by_order),
        (partial(nltk, method="method1"), partial(nltk_by_order, method="method1")),
    ],
)
def test_the_packages_say_of_all_orders_at_once_what_they_say_of_each(
    quick: Callable[..., Reals], by_order: Callable[..., Reals]
) -> None:
    some = rows(every=30)
    np.testing.assert_array_equal(quick(*some), by_order(*some))


@pytest.mark.parametrize("recipe", ORACLES)
def test_references_prepared_once_say_the_same(recipe: str) -> None:
    hypotheses, references = rows(every=3)
    for backend in FAST:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M4I_FAST_KERNELS", backend)
            prepared = References(references, recipe=recipe)
            table, other = prepared.score(hypotheses), prepared.score(hypotheses[::-1])
            np.testing.assert_array_equal(table.values, overlap(hypotheses, references, recipe=recipe).values)
            np.testing.assert_array_equal(
                other.values, overlap(hypotheses[::-1], references, recipe=recipe).values, err_msg=backend
            )


@pytest.mark.parametrize("recipe", [recipe for recipe in ORACLES if recipe != "m4i"])
def test_the_mean_is_the_packages_figures_one_reference_at_a_time(recipe: str) -> None:
    hypotheses, references = rows(every=40)
    oracle = ORACLES[recipe]
    sizes = [len(row) for row in references]
    alone = oracle.scored(np.repeat(hypotheses, sizes).tolist(), [[text] for row in references for text in row])
    wanted = []
    for first, size in zip(np.cumsum([0, *sizes[:-1]]), sizes, strict=True):
        total = np.zeros(alone.shape[1])
        for figures in alone[first : first + size]:
            total = total + figures  # in this order, for the last bit
        wanted.append(total / size)
    for backend in built_backends():
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M4I_FAST_KERNELS", backend)
            found = overlap(hypotheses, references, recipe=recipe, reduce="mean").values[:, oracle.columns]
        np.testing.assert_array_equal(found, np.array(wanted), err_msg=backend)


def test_sacrebleus_lower_case_is_the_recipe_on_lowered_text() -> None:
    hypotheses, references = rows(every=8)
    lowered = [text.lower() for text in hypotheses], [[text.lower() for text in row] for row in references]
    found = overlap(*lowered, recipe="sacrebleu").values[:, 3:]
    np.testing.assert_array_equal(found, sacrebleu(hypotheses, references, lowercase=True))
    assert (found != sacrebleu(hypotheses, references)).any()


def test_words_of_three_letters_are_not_stemmed() -> None:
    agrees("rouge-score/porter", ["it was his bus", "its news"], [["its wa hi bu", "it"], ["it new", "its new"]])


# What a package does where a figure has no meaning; ours is written beside it.


def test_a_record_without_a_reference_stops_the_packages_and_is_nan_here() -> None:
    with pytest.raises(AssertionError):
        CocoRouge().compute_score({0: []}, {0: ["a"]})
    with pytest.raises(ValueError, match="empty"):
        RougeScorer(["rouge1"]).score_multi([], "a")
    with pytest.raises((ValueError, TypeError, IndexError)):
        BLEU(effective_order=True).sentence_score("a", [])
    with pytest.raises((KeyError, ValueError)):
        sentence_bleu([], ["a"])
    for recipe in ORACLES:
        for backend in built_backends():
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("M4I_FAST_KERNELS", backend)
                values = overlap(["a", "a"], [[], ["a"]], recipe=recipe).values
            assert np.isnan(values[0]).all()
            assert not np.isnan(values[1]).any()


def test_rouge_stops_where_there_is_nothing_but_full_stops_and_the_pair_scores_0_here() -> None:
    for said, text in (("", "a"), ("a", ""), ("...", "a"), ("a", ".")):
        with pytest.raises(ValueError, match="empty"):
            Rouge().get_scores(said, text)
        assert overlap([said], [[text]], recipe="m4i").values[0, :3].tolist() == [0.0, 0.0, 0.0]


def test_rouge_needs_a_recursion_for_each_word_and_the_recipe_does_not() -> None:
    chance = random.Random(5)
    said, text = (" ".join(chance.choices("abcdefg", k=700)) for _ in range(2))
    with pytest.raises(RecursionError):
        Rouge().get_scores(said, text)
    agrees("m4i", [said], [[text]])
