"""Our own contenders of ``bench overlap``, and where all contenders get their texts."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final

from m4i_fast.bench.harness import Contender, cores_here
from m4i_fast.bench.rivals import RIVALS, Unavailable
from m4i_fast.bench.texts import REPORTS, Texts, in_many_letters, made_duplicates, made_reports
from m4i_fast.kernels import backend
from m4i_fast.kernels.ids import TokenIds, id_statistics, subsequence_lengths
from m4i_fast.kernels.numbering import Numbering
from m4i_fast.text.nearest import nearest_captions
from m4i_fast.text.overlap import References, overlap, overlaps
from m4i_fast.text.ptb import ptb_tokenise
from m4i_fast.text.recipes import SUM_COMPENSATES, recipe_named, scores

__all__ = ["ALL_SCORES", "KINDS", "NEAREST", "Stall"]

ALL_SCORES: Final = ("coco", "rouge-score/words")
"""Two recipes that are counted and scored together: ROUGE-1/2, both ROUGE-L, and BLEU-1..4."""
KINDS: Final = ("captions", "reports", "duplicates")
"""Of texts. A contender on reports is named ``reports/...``; on captions by its name alone."""
NEAREST: Final = 10_000
BACKEND_ROWS: Final = {"rapidfuzz": 600, "reference": 100}
SLOW_ON_REPORTS: Final = {"rapidrouge": 20, "rouge-score": 4}
TILES: Final = 4
"""Two threads get the captions so many times over: with less to do, starting a thread would be what is timed."""
_CORE: Final = "m4i_fast.kernels._core"
PROCESSES: Final = 3
"""An import is the median of so many fresh processes."""


class Stall:
    """Makes contenders ready, each when it is asked for.

    Attributes:
        captions: the rows that most contenders work on.
        partial: contenders that do less than their figure says, and why.
    """

    def __init__(self, captions: Texts, *, reports: int = REPORTS) -> None:
        self.captions = captions
        self.partial: dict[str, str] = {}
        self._reports = min(reports, REPORTS)
        self._makers: Mapping[str, Callable[[str], Contender]] = {
            "strings": lambda name: _from_strings(name, self.captions),
            "strings-unicode": lambda name: _from_strings(name, in_many_letters(self.captions)),
            "reports": lambda name: _from_strings(name, self.reports),
            "duplicates": lambda name: _from_strings(name, self.duplicates),
            "prepared": self._prepared,
            "prepared-coco": self._prepared_coco,
            "lcs": self._lcs,
            "statistics": self._statistics,
            "ptb": self._ptb,
            "nearest": self._nearest,
            "import": lambda name: _import(name, _CORE),
            "import-file": lambda name: _import(name, _CORE, after="m4i_fast.kernels"),
            "import-api": lambda name: _import(name, "m4i_fast.text.overlap"),
            **{f"recipe/{recipe}": self._recipe for recipe in ("coco", "rouge-score", "sacrebleu", "nltk")},
            **{f"backend/{each}": self._backend for each in backend.BACKENDS},
            **{f"{kind}/{count}": self._threads for kind in _THREADED for count in (1, 2)},
        }

    @cached_property
    def reports(self) -> Texts:
        """Long texts."""
        return made_reports(self._reports)

    @cached_property
    def duplicates(self) -> Texts:
        """Long texts of one word."""
        return made_duplicates(self._reports)

    def texts_of(self, name: str) -> Texts:
        """What the contender of this name works on."""
        kind = name.partition("/")[0]
        return {"reports": self.reports, "duplicates": self.duplicates}[kind] if kind in KINDS else self.captions

    def contender(self, name: str) -> Contender:
        """One of our own, or ``RIVAL``, ``reports/RIVAL``, ``duplicates/RIVAL``.

        Raises:
            Unavailable: it cannot be timed here.
        """
        if name in self._makers:
            return self._makers[name](name)
        kind, _, rival = name.rpartition("/")
        texts = self.texts_of(name)
        if kind:
            texts = texts.some(SLOW_ON_REPORTS.get(rival, len(texts)))
        return RIVALS[rival].contender(name, texts)

    def rival(self, name: str) -> str | None:
        """Of which rival the contender of this name is; None of our own."""
        return None if name in self._makers else name.rpartition("/")[2]

    def _recipe(self, name: str) -> Contender:
        recipe, texts = name.partition("/")[2], self.captions
        return Contender(name, lambda: overlap(texts.hypotheses, texts.references, recipe=recipe), len(texts))

    def _prepared(self, name: str) -> Contender:
        references, said = References(self.captions.references, recipe=ALL_SCORES), self.captions.hypotheses
        return Contender(name, lambda: references.scores(said), len(said))

    def _prepared_coco(self, name: str) -> Contender:
        references, said = References(self.captions.references), self.captions.hypotheses
        return Contender(name, lambda: references.score(said), len(said))

    @cached_property
    def _ids(self) -> tuple[TokenIds, TokenIds]:
        numbering = Numbering()
        return numbering.ids(self.captions.hypotheses), numbering.ids(self.captions.all_references())

    def _lcs(self, name: str) -> Contender:
        ids = self._ids
        return Contender(name, lambda: subsequence_lengths(*ids, threads=1), self.captions.pairs)

    def _statistics(self, name: str) -> Contender:
        ids = self._ids
        return Contender(name, lambda: id_statistics(*ids, threads=1), self.captions.pairs)

    def _ptb(self, name: str) -> Contender:
        captions = self.captions.all_references()
        return Contender(name, lambda: ptb_tokenise(captions), len(captions))

    def _nearest(self, name: str) -> Contender:
        if backend.core_in_use() is None:
            raise Unavailable("the C++ core is not in use; without it this takes minutes.")
        captions = self.captions.all_references()
        count = min(NEAREST, len(captions) // 2)
        if count < NEAREST:
            self.partial[name] = f"{count:,} captions among {count:,} only: that is what there are"
        some, others = captions[:count], captions[count : 2 * count]
        return Contender(name, lambda: nearest_captions(some, others, 5), 1)

    def _backend(self, name: str) -> Contender:
        wanted = name.partition("/")[2]
        if wanted not in backend.built_backends():
            raise Unavailable("this processor or build has no such backend; 'm4i-fast doctor' says more.")
        texts = self.captions.some(BACKEND_ROWS.get(wanted, len(self.captions)))

        def work() -> object:
            with _forced(wanted):
                return overlap(texts.hypotheses, texts.references)

        return Contender(name, work, len(texts))

    @cached_property
    def _tiled(self) -> Texts:
        texts = self.captions
        return Texts(texts.hypotheses * TILES, texts.references * TILES, texts.source)

    def _threads(self, name: str) -> Contender:
        kind, _, threads = name.partition("/")
        if len(cores_here()) < 2 and threads == "2":
            raise Unavailable("this process may use one core only.")
        return Contender(name, _THREADED[kind](self._tiled, int(threads)), len(self._tiled))


def _from_strings(name: str, texts: Texts) -> Contender:
    return Contender(name, lambda: overlaps(texts.hypotheses, texts.references, ALL_SCORES), len(texts))


def _whole_on(texts: Texts, threads: int) -> Callable[[], object]:
    """As ``overlap`` does it: who counts a record scores it, where the core is in use."""
    recipe, count = recipe_named("coco"), _counting_on(texts, threads)
    said, wanted = texts.hypotheses, texts.references

    def work() -> object:
        tables = backend.overlap_scores(
            said, wanted, [recipe.formula], tokeniser="words", exact_sum=SUM_COMPENSATES, threads=threads
        )
        return scores(count(), recipe) if tables is None else tables

    return work


def _counting_on(texts: Texts, threads: int) -> Callable[[], Any]:
    said, wanted = texts.hypotheses, texts.references
    return lambda: backend.overlap_statistics(said, wanted, tokeniser="words", threads=threads)


def _ids_on(texts: Texts, threads: int) -> Callable[[], object]:
    numbering = Numbering()
    said, wanted = numbering.ids(texts.hypotheses), numbering.ids(texts.all_references())
    return lambda: id_statistics(said, wanted, threads=threads)


_THREADED: Final[Mapping[str, Callable[[Texts, int], Callable[[], object]]]] = {
    "threads": _whole_on,
    "threads-statistics": _counting_on,
    "threads-ids": _ids_on,
}


@contextmanager
def _forced(name: str) -> Iterator[None]:
    before = os.environ.get(backend.VARIABLE)
    os.environ[backend.VARIABLE] = name
    try:
        yield
    finally:
        if before is None:
            del os.environ[backend.VARIABLE]
        else:
            os.environ[backend.VARIABLE] = before


def _import(name: str, module: str, *, after: str = "sys") -> Contender:
    """CPU seconds that a fresh interpreter spends on an import and all that it draws in, ``after`` another one."""
    if module == _CORE and backend.built_backends()[0] not in backend.CORES:
        raise Unavailable("the C++ core is not built.")
    script = (
        f"from time import process_time as now\nimport {after}\nstart = now()\nimport {module}\nprint(now() - start)"
    )

    def work() -> float:
        return statistics.median(float(_python("-c", script)) for _ in range(PROCESSES))

    return Contender(name, work, 1, own_clock=True)


def _python(*arguments: str) -> str:
    # -P: nothing of the working folder is imported.
    return subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-P", *arguments], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
    ).stdout
