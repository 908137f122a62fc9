"""Other packages that score captions, each used in the way that is fastest for it, and held to what we say.

A rival is given what it asks for before the clock starts (its scorer, its own encoding of ids), and no more is asked of
it than of the core: fewer metrics where it has fewer. Caches that only pay when the same texts come again are emptied
before each call. Each function below takes texts and gives what is called under the clock.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from m4i_fast.bench.harness import Contender
from m4i_fast.bench.texts import Texts
from m4i_fast.kernels.numbering import Numbering

__all__ = [
    "DISTRIBUTIONS",
    "RIVALS",
    "ROUGE",
    "WEIGHTS",
    "Rival",
    "Unavailable",
    "encoded",
    "java_rows",
    "java_tokens",
    "lcs_of_ids",
    "module_of",
    "one_rust_thread",
    "pairs_of_ids",
]

INSTALL: Final = "pip install -c constraints.txt '.[bench]'"
ROUGE: Final = ("rouge1", "rouge2", "rougeL")
DISTRIBUTIONS: Final = {
    "bleuscore": "bleuscore",
    "fast_rouge": "rouge-rust",
    "nltk": "nltk",
    "pycocoevalcap": "pycocoevalcap",
    "rapidfuzz": "rapidfuzz",
    "rapidrouge": "rapidrouge",
    "rouge_score": "rouge-score",
    "rouge_score_rs": "rouge-score-rs",
    "sacrebleu": "sacrebleu",
}
"""Import names of the rivals and the packages that bring them."""


class Unavailable(Exception):  # noqa: N818 - reads as what it is
    """Something cannot be timed here; says why and what to do."""


@dataclass(frozen=True, slots=True)
class Rival:
    """A way to use a package.

    Attributes:
        module: its import name.
        make: of texts, a ``Contender``; imports the package.
        rows: it is given at most so many, so that a round takes no longer than it must.
        unit: what a unit of work is.
        what: which numbers it makes.
        note: what is charged to it or spared it.
    """

    module: str
    make: Callable[[str, Texts], Contender]
    rows: int
    unit: str
    what: str
    note: str = ""

    def contender(self, name: str, texts: Texts) -> Contender:
        """Ready to race under ``name``.

        Raises:
            Unavailable: the package, or Java where it is needed, is not installed.
        """
        if importlib.util.find_spec(self.module) is None:
            raise Unavailable(f"{DISTRIBUTIONS[self.module]} is not installed. Run: {INSTALL}")
        return self.make(name, texts.some(self.rows))


def module_of(name: str) -> Any:
    """Import a rival's module."""
    # By name: where a rival is absent, the type checker must not miss it either.
    return importlib.import_module(name)


def _rouge_score_rs(name: str, texts: Texts) -> Contender:
    score = module_of("rouge_score_rs.rouge_scorer").RougeScorer(list(ROUGE)).score_multi
    rows = list(zip(texts.references, texts.hypotheses, strict=True))
    return Contender(name, lambda: [score(targets, said) for targets, said in rows], len(texts))


def _rouge_score_rs_batch(name: str, texts: Texts) -> Contender:
    score = module_of("rouge_score_rs.rouge_scorer").RougeScorer(list(ROUGE)).score_batch
    targets, said = texts.all_references(), texts.hypothesis_of_each()
    return Contender(name, lambda: score(targets, said), len(texts))


def _rouge_rust(name: str, texts: Texts) -> Contender:
    score = module_of("fast_rouge").score_batch_flat
    targets, said = texts.all_references(), texts.hypothesis_of_each()

    def work() -> object:
        found = score(targets, said)
        return found.rouge1_fmeasure, found.rouge2_fmeasure, found.rougeL_fmeasure

    return Contender(name, work, len(texts))


def _rouge_scorer(module: str) -> Callable[[str, Texts], Contender]:
    def make(name: str, texts: Texts) -> Contender:
        score = module_of(f"{module}.rouge_scorer").RougeScorer(list(ROUGE)).score_multi
        rows = list(zip(texts.references, texts.hypotheses, strict=True))
        return Contender(name, lambda: [score(targets, said) for targets, said in rows], len(texts))

    return make


def lcs_of_ids(hypotheses: list[str], references: list[str]) -> npt.NDArray[np.int32]:
    """Subsequence lengths of pairs as rapidfuzz finds them, int32 [P]; texts as ``encoded``."""
    process, distance = module_of("rapidfuzz.process"), module_of("rapidfuzz.distance")
    found: npt.NDArray[np.int32] = process.cpdist(
        hypotheses, references, scorer=distance.LCSseq.similarity, dtype=np.int32, workers=1
    )
    return found


def encoded(texts: Iterable[Iterable[int]]) -> list[str]:
    """Each token as one character: rapidfuzz compares a str three times as fast as a list of numbers.

    >>> encoded([[65, 66], [0xD800]])
    ['AB', '\ue000']
    """
    # Surrogates are left out: not every package takes them for characters.
    return ["".join([chr(at if at < 0xD800 else at + 0x800) for at in text]) for text in texts]


def _rapidfuzz_ids(name: str, texts: Texts) -> Contender:
    said, wanted = pairs_of_ids(texts)
    return Contender(name, lambda: lcs_of_ids(said, wanted), texts.pairs)


def pairs_of_ids(texts: Texts) -> tuple[list[str], list[str]]:
    """Hypothesis and reference of each pair, by the tokeniser and the numbers that the core gets too, ``encoded``."""
    numbering = Numbering()
    once = encoded(numbering.ids(texts.hypotheses).lists())
    said = [text for text, row in zip(once, texts.references, strict=True) for _ in row]
    return said, encoded(numbering.ids(texts.all_references()).lists())


def _rapidfuzz_strings(name: str, texts: Texts) -> Contender:
    repeats = [len(row) for row in texts.references]

    def work() -> object:
        numbers: dict[str, int] = {}

        def number(text: str) -> list[int]:
            return [numbers.setdefault(word, len(numbers)) for word in text.split()]

        once = encoded(map(number, texts.hypotheses))
        said = [text for text, repeat in zip(once, repeats, strict=True) for _ in range(repeat)]
        return lcs_of_ids(said, encoded(map(number, texts.all_references())))

    return Contender(name, work, len(texts))


def _bleuscore(name: str, texts: Texts) -> Contender:
    compute = module_of("bleuscore").compute
    rows = [([targets], [said]) for targets, said in zip(texts.references, texts.hypotheses, strict=True)]
    return Contender(name, lambda: [compute(*row, 4, False, "closest") for row in rows], len(texts))


def _pycocoevalcap(name: str, texts: Texts) -> Contender:
    bleu, rouge = module_of("pycocoevalcap.bleu.bleu").Bleu(4), module_of("pycocoevalcap.rouge.rouge").Rouge()
    wanted, said = dict(enumerate(texts.references)), {i: [text] for i, text in enumerate(texts.hypotheses)}

    def work() -> object:
        return bleu.compute_score(wanted, said, verbose=0), rouge.compute_score(wanted, said)

    return Contender(name, work, len(texts))


def _sacrebleu(name: str, texts: Texts) -> Contender:
    score = module_of("sacrebleu").BLEU(effective_order=True).sentence_score
    caches = [
        module_of("sacrebleu.tokenizers.tokenizer_13a").Tokenizer13a.__call__,
        module_of("sacrebleu.tokenizers.tokenizer_re").TokenizerRegexp.__call__,
    ]
    rows = list(zip(texts.hypotheses, texts.references, strict=True))

    def reset() -> None:
        for each in caches:
            each.cache_clear()

    return Contender(name, lambda: [score(*row) for row in rows], len(texts), reset=reset)


WEIGHTS: Final = tuple((1.0 / order,) * order for order in (1, 2, 3, 4))


def _nltk(name: str, texts: Texts) -> Contender:
    score = module_of("nltk.translate.bleu_score").sentence_bleu
    rows = list(zip(texts.references, texts.hypotheses, strict=True))

    def work() -> object:
        return [score([text.split() for text in targets], said.split(), weights=WEIGHTS) for targets, said in rows]

    return Contender(name, work, len(texts))


def java_rows(texts: Texts) -> dict[int, list[dict[str, str]]]:
    """All captions in the form that pycocoevalcap's tokeniser asks for, by row."""
    return {
        i: [{"caption": text} for text in (said, *targets)]
        for i, (said, targets) in enumerate(zip(texts.hypotheses, texts.references, strict=True))
    }


def java_tokens(rows: Mapping[int, list[dict[str, str]]]) -> dict[int, list[str]]:
    """``java_rows`` as pycocoevalcap's Java tokeniser gives them: words with spaces between, by row."""
    tokenizer = module_of("pycocoevalcap.tokenizer.ptbtokenizer").PTBTokenizer()
    # It reports its own speed on standard error, past Python.
    with redirect_stdout(io.StringIO()), _muted():
        found: dict[int, list[str]] = tokenizer.tokenize(rows)
    return found


def _java(name: str, texts: Texts) -> Contender:
    if shutil.which("java") is None:
        raise Unavailable("Java is not installed. Install a Java runtime (8 or later).")
    rows, captions = java_rows(texts), texts.pairs + len(texts)
    return Contender(name, lambda: java_tokens(rows), captions, repeats=1, rounds=3, children=True)


@contextmanager
def one_rust_thread() -> Iterator[None]:
    """Rust's pools of threads (rayon) that start in here get one thread, as fits one core."""
    before = os.environ.get("RAYON_NUM_THREADS")
    os.environ["RAYON_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["RAYON_NUM_THREADS"]
        else:
            os.environ["RAYON_NUM_THREADS"] = before


@contextmanager
def _muted() -> Iterator[None]:
    """What child processes write to standard error goes nowhere."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    os.close(nothing)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


_ALL = 1 << 30

RIVALS: Final[Mapping[str, Rival]] = {
    "rouge-score-rs": Rival("rouge_score_rs", _rouge_score_rs, _ALL, "rows/s", "ROUGE-1/2/L by score_multi"),
    "rouge-score-rs-batch": Rival(
        "rouge_score_rs", _rouge_score_rs_batch, _ALL, "rows/s", "ROUGE-1/2/L by score_batch",
        "each pair by itself: to choose the best reference is spared it",
    ),
    "rouge-rust": Rival(
        "fast_rouge", _rouge_rust, _ALL, "rows/s", "ROUGE-1/2/L by score_batch_flat",
        "three columns of F1 are read; to choose the best reference is spared it",
    ),
    "rapidrouge": Rival("rapidrouge", _rouge_scorer("rapidrouge"), 300, "rows/s", "ROUGE-1/2/L by score_multi"),
    "rouge-score": Rival("rouge_score", _rouge_scorer("rouge_score"), 300, "rows/s", "ROUGE-1/2/L by score_multi"),
    "rapidfuzz-ids": Rival(
        "rapidfuzz", _rapidfuzz_ids, _ALL, "ns/pair", "LCSseq.similarity by process.cpdist on encoded ids",
        "each id is one character of a str, its fastest encoding; encoding is spared it",
    ),
    "rapidfuzz": Rival(
        "rapidfuzz", _rapidfuzz_strings, 2000, "rows/s", "LCSseq.similarity by process.cpdist from strings",
        "the subsequence alone; words are numbered in Python",
    ),
    "bleuscore": Rival(
        "bleuscore", _bleuscore, 1500, "rows/s", "BLEU-4, a call a row",
        "one call for all rows gives one number for all, which is something else",
    ),
    "pycocoevalcap": Rival(
        "pycocoevalcap", _pycocoevalcap, 300, "rows/s", "ROUGE-L and BLEU-1..4", "its Java tokeniser is spared it"
    ),
    "sacrebleu": Rival(
        "sacrebleu", _sacrebleu, 300, "rows/s", "BLEU-4 by sentence_score",
        "one order, where the core makes four and ROUGE; its caches of tokenised texts are emptied before each call",
    ),
    "nltk": Rival(
        "nltk", _nltk, 500, "rows/s", "BLEU-1..4 by sentence_bleu with four weights", "words are parted by str.split"
    ),
    "java-ptb": Rival(
        "pycocoevalcap", _java, _ALL, "captions/s", "pycocoevalcap's PTBTokenizer, all captions in one call",
        "with the start of Java, once; CPU time of Java and of the Python around it, which finds its rows made",
    ),
}  # fmt: skip
"""By name: the rivals on captions."""
