"""Recipes coco/ptb and coco/ptb-exact: to the last bit as pycocoevalcap's whole evaluation, on every backend."""

from __future__ import annotations

import random

import numpy as np
import pytest
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.rouge.rouge import Rouge

from m4i_fast import References, overlaps
from m4i_fast.kernels import backend
from m4i_fast.kernels.numbering import Numbering
from m4i_fast.kernels.ptb import truth
from m4i_fast.text.overlap import OverlapTable, overlap
from tests.kernels.ptb_java import needs_java
from tests.kernels.ptb_texts import hard_text

ENDS = str.maketrans(dict.fromkeys("\v\f\r\u2028\u2029", " "))
CORES = [name for name in backend.built_backends() if name in backend.CORES]


def agree(hypotheses: list[str], references: list[list[str]], recipe: str, backends: list[str]) -> OverlapTable:
    tables = []
    for name in backends:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M4I_FAST_KERNELS", name)
            tables.append(overlap(hypotheses, references, recipe=recipe))
            tables.append(References(references, recipe=recipe).score(hypotheses))
            tables.append(overlaps(hypotheses, references, ["coco", recipe])[1])
    for table in tables:
        np.testing.assert_array_equal(table.values, tables[0].values)
    return tables[0]


def scored_by_pycocoevalcap(hypotheses: list[list[str]], references: list[list[str]]) -> list[list[float]]:
    gts, res = dict(enumerate(references)), dict(enumerate(hypotheses))
    _, bleu = Bleu(4).compute_score(gts, res, verbose=0)
    _, rouge = Rouge().compute_score(gts, res)
    return [rouge.tolist(), *bleu]


def assert_equal(table: OverlapTable, expected: list[list[float]]) -> None:
    names = ("rouge_l", "bleu_1", "bleu_2", "bleu_3", "bleu_4")
    for name, column in zip(names, expected, strict=True):
        assert table.values[:, table.names.index(name)].tolist() == column


def records(seed: int, count: int, *, ends: bool) -> tuple[list[str], list[list[str]]]:
    """Captions that share much with their references; the last ones of each record are empty or hold no words."""
    rng = random.Random(seed)
    hypotheses, references = [], []
    for _ in range(count):
        text = hard_text(rng, rng.randrange(1, 9))
        rows = [text, f"A dog. {text} runs", hard_text(rng, 3), rng.choice(["", "...", "A B.", "no."])]
        hypotheses.append(rng.choice([f"The dog runs, {text}", text, rng.choice(rows)]))
        references.append(rng.sample(rows, rng.randrange(1, 5)))
    if not ends:
        hypotheses = [text.translate(ENDS) for text in hypotheses]
        references = [[text.translate(ENDS) for text in row] for row in references]
    return hypotheses, references


def test_each_text_by_itself() -> None:
    hypotheses, references = records(1, 120, ends=True)
    table = agree(hypotheses, references, "coco/ptb", [*CORES, "reference"])
    said = [[truth.alone(text)] for text in hypotheses]
    wanted = [[truth.alone(text) for text in row] for row in references]
    assert_equal(table, scored_by_pycocoevalcap(said, wanted))
    assert "|tok:ptb|" in table.recipe
    # A record's scores are its own.
    alone = overlap(hypotheses[7:8], references[7:8], recipe="coco/ptb")
    np.testing.assert_array_equal(alone.values[0], table.values[7])


def test_nothing_but_punctuation_is_one_empty_token() -> None:
    table = agree(["...", "", "A.", "!"], [["-"], ["A dog"], ["...", "a"], []], "coco/ptb", [*CORES, "reference"])
    assert table.values[:3, table.names.index("rouge_l")].tolist() == [1.0, 0.0, 0.0]
    assert np.isnan(table.values[3]).all()


def test_a_no_break_space_parts_words_for_bleu_alone() -> None:
    for name in [*CORES, "reference"]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M4I_FAST_KERNELS", name)
            counts = backend.overlap_statistics(["3 1/2 dogs"], [["3 1/2 cats"]], tokeniser="ptb")
            assert counts.hypothesis_length.tolist() == [3]
            assert counts.hypothesis_length_lcs.tolist() == [2]
            assert counts.matches[:, :2].tolist() == [[2, 1]]
            assert counts.lcs.tolist() == [1]
            assert Numbering("ptb").ids(["3 1/2 dogs, dogs!", "A"]).ids.tolist() == [0, 1, 2, 2, 3]


def test_captions_of_one_document_shift_each_other() -> None:
    hypotheses, references = ["a \u2028 dog", "a cat"], [["a"], ["dog"]]
    exact = agree(hypotheses, references, "coco/ptb-exact", [*CORES, "reference"])
    assert exact.values[:, exact.names.index("rouge_l")].tolist() == [1.0, 1.0]
    assert "|tok:ptb-exact|" in exact.recipe
    repaired = agree(hypotheses, references, "coco/ptb", [*CORES, "reference"])
    assert repaired.values[1, repaired.names.index("rouge_l")] == 0


def by_java(captions: list[list[str]]) -> list[list[str]]:
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    rows = {i: [{"caption": caption} for caption in row] for i, row in enumerate(captions)}
    found = PTBTokenizer().tokenize(rows)
    return [found[i] for i in range(len(captions))]


@needs_java
@pytest.mark.parametrize("ends", [True, False])
def test_whole_sets_as_pycocoevalcap_evaluates_them(ends: bool) -> None:
    hypotheses, references = records(2, 1500, ends=ends)
    expected = scored_by_pycocoevalcap(by_java([[text] for text in hypotheses]), by_java(references))
    backends = CORES[:1] or ["reference"]
    assert_equal(agree(hypotheses, references, "coco/ptb-exact", backends), expected)
    if not ends:  # then only captions that look into the next one differ
        exact, repaired = (
            overlap(hypotheses, references, recipe=f"coco/{each}").values for each in ("ptb-exact", "ptb")
        )
        assert (exact == repaired).all(axis=1).mean() > 0.9
