"""Whether rivals say what we say: a ratio of two that compute different things is no ratio.

The texts are the bench's own, but every second hypothesis is half of one reference and half of another, so that long
n-grams are shared too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from m4i_fast.bench.figures import Agreement
from m4i_fast.bench.harness import quiet
from m4i_fast.bench.rivals import RIVALS, ROUGE, WEIGHTS, java_rows, java_tokens, lcs_of_ids, module_of, pairs_of_ids
from m4i_fast.bench.texts import Texts
from m4i_fast.kernels.ids import subsequence_lengths
from m4i_fast.kernels.numbering import Numbering
from m4i_fast.text.overlap import overlap
from m4i_fast.text.ptb import ptb_tokenise
from m4i_fast.text.words import words

__all__ = ["agreement"]

Differences = tuple[int, int]  # compared, of them different
Check = Callable[[Texts], Differences]


def agreement(rival: str, texts: Texts) -> Agreement | None:
    """Compare a rival, by its name in ``rivals.RIVALS``; None where nothing of it can be compared.

    Takes at most so many rows that a slow rival is done within a second.
    """
    found = _CHECKS.get(rival)
    if found is None:
        return None
    what, rows, check = found
    with quiet():  # nltk words a warning a row
        return Agreement(rival, what, *check(_mixed(texts.some(rows))))


def _mixed(texts: Texts) -> Texts:
    def half(row: list[str]) -> str:
        first, second = row[0].split(" "), row[-1].split(" ")
        return " ".join(first[: len(first) // 2] + second[len(second) // 2 :])

    hypotheses = [
        half(row) if i % 2 else said
        for i, (said, row) in enumerate(zip(texts.hypotheses, texts.references, strict=True))
    ]
    return Texts(hypotheses, texts.references, texts.source)


def _rows_that_differ(ours: npt.ArrayLike, theirs: npt.ArrayLike) -> Differences:
    differ = np.asarray(ours) != np.asarray(theirs)
    return len(differ), int(differ.reshape(len(differ), -1).any(axis=1).sum())


def _rouge(module: str) -> Check:
    def check(texts: Texts) -> Differences:
        scorer = module_of(f"{module}.rouge_scorer").RougeScorer(list(ROUGE))
        found = [scorer.score_multi(row, said) for said, row in zip(texts.hypotheses, texts.references, strict=True)]
        return _rows_that_differ(_ours(texts), [[each[kind].fmeasure for kind in ROUGE] for each in found])

    return check


def _best_of_pairs(score: Callable[[list[str], list[str]], list[Any]], texts: Texts) -> Differences:
    columns = score(texts.all_references(), texts.hypothesis_of_each())
    best = [np.reshape(column, (len(texts), -1)).max(axis=1) for column in columns]
    return _rows_that_differ(_ours(texts), np.stack(best, axis=1))


def _rouge_score_rs_batch(texts: Texts) -> Differences:
    scorer = module_of("rouge_score_rs.rouge_scorer").RougeScorer(list(ROUGE))

    def score(targets: list[str], said: list[str]) -> list[Any]:
        found = scorer.score_batch(targets, said)
        return [[each[kind].fmeasure for each in found] for kind in ROUGE]

    return _best_of_pairs(score, texts)


def _rouge_rust(texts: Texts) -> Differences:
    def score(targets: list[str], said: list[str]) -> list[Any]:
        found = module_of("fast_rouge").score_batch_flat(targets, said)
        return [found.rouge1_fmeasure, found.rouge2_fmeasure, found.rougeL_fmeasure]

    return _best_of_pairs(score, texts)


def _rapidfuzz(texts: Texts) -> Differences:
    numbering = Numbering()
    said, wanted = numbering.ids(texts.hypotheses), numbering.ids(texts.all_references())
    return _rows_that_differ(subsequence_lengths(said, wanted), lcs_of_ids(*pairs_of_ids(texts)))


def _rapidfuzz_strings(texts: Texts) -> Differences:
    numbering = Numbering("whitespace")
    said, wanted = numbering.ids(texts.hypotheses), numbering.ids(texts.all_references())
    theirs: Any = RIVALS["rapidfuzz"].make("rapidfuzz", texts).work()
    return _rows_that_differ(subsequence_lengths(said, wanted), theirs)


def _bleuscore(texts: Texts) -> Differences:
    compute = module_of("bleuscore").compute
    theirs = np.array(
        [
            compute([row], [said], 4, False, "closest")["bleu"]
            for said, row in zip(texts.hypotheses, texts.references, strict=True)
        ]
    )
    ours = overlap(texts.hypotheses, texts.references, recipe="sacrebleu/none").values[:, 6] / 100
    # An order without a match: nothing to it, left out by sacrebleu's effective order. Sums in another order, besides.
    matched = theirs > 0
    return int(matched.sum()), int((~np.isclose(ours[matched], theirs[matched], rtol=1e-9, atol=0)).sum())


def _pycocoevalcap(texts: Texts) -> Differences:
    said, wanted = ([" ".join(words(text)) for text in each] for each in (texts.hypotheses, texts.all_references()))
    ends = np.cumsum([0, *map(len, texts.references)]).tolist()
    gts = {i: wanted[ends[i] : ends[i + 1]] for i in range(len(said))}
    res = {i: [text] for i, text in enumerate(said)}
    _, bleu = module_of("pycocoevalcap.bleu.bleu").Bleu(4).compute_score(gts, res, verbose=0)
    _, rouge = module_of("pycocoevalcap.rouge.rouge").Rouge().compute_score(gts, res)
    ours = overlap(texts.hypotheses, texts.references, recipe="coco").values[:, 2:]
    return _rows_that_differ(ours, np.stack([rouge, *bleu], axis=1))


def _sacrebleu(texts: Texts) -> Differences:
    score = module_of("sacrebleu").BLEU(effective_order=True).sentence_score
    theirs = [score(said, row).score for said, row in zip(texts.hypotheses, texts.references, strict=True)]
    return _rows_that_differ(overlap(texts.hypotheses, texts.references, recipe="sacrebleu").values[:, 6], theirs)


def _nltk(texts: Texts) -> Differences:
    score = module_of("nltk.translate.bleu_score").sentence_bleu
    theirs = [
        score([text.split() for text in row], said.split(), weights=WEIGHTS)
        for said, row in zip(texts.hypotheses, texts.references, strict=True)
    ]
    return _rows_that_differ(overlap(texts.hypotheses, texts.references, recipe="nltk").values[:, 3:], theirs)


def _java_ptb(texts: Texts) -> Differences:
    theirs = [line for row in java_tokens(java_rows(texts)).values() for line in row]
    captions = [text for said, row in zip(texts.hypotheses, texts.references, strict=True) for text in (said, *row)]
    ours = ptb_tokenise(captions)
    return len(ours), sum(mine != line for mine, line in zip(ours, theirs, strict=True))


def _ours(texts: Texts) -> npt.NDArray[np.float64]:
    return overlap(texts.hypotheses, texts.references, recipe="rouge-score").values[:, :3]


_F1: Final = "F1 of ROUGE-1/2/L, recipe rouge-score, to the last bit"
_CHECKS: Final[Mapping[str, tuple[str, int, Check]]] = {
    "rouge-score-rs": (_F1, 2000, _rouge("rouge_score_rs")),
    "rouge-score-rs-batch": (_F1, 2000, _rouge_score_rs_batch),
    "rouge-rust": (_F1, 2000, _rouge_rust),
    "rapidrouge": (_F1, 200, _rouge("rapidrouge")),
    "rouge-score": (_F1, 200, _rouge("rouge_score")),
    "rapidfuzz-ids": ("subsequence lengths", 2000, _rapidfuzz),
    "rapidfuzz": ("subsequence lengths of what white space parts", 2000, _rapidfuzz_strings),
    "bleuscore": ("BLEU-4 where all orders match, recipe sacrebleu/none, to nine digits", 1000, _bleuscore),
    "pycocoevalcap": ("ROUGE-L and BLEU-1..4, recipe coco on the same words, to the last bit", 200, _pycocoevalcap),
    "sacrebleu": ("BLEU-4, recipe sacrebleu, to the last bit", 200, _sacrebleu),
    "nltk": ("BLEU-1..4, recipe nltk, to the last bit", 200, _nltk),
    "java-ptb": ("the PTB tokeniser, exact, to the last character", 2000, _java_ptb),
}
