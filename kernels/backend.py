"""The choice of kernel: the C++ core for this processor, rapidfuzz where it was not built, or the slow truth.

The environment variable ``M4I_FAST_KERNELS`` forces one of ``BACKENDS``; on a GPU (``triton``) texts are counted only
where it says so. All give the same integers; tests hold them to it.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import fields, replace
from functools import cache
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from m4i_fast.errors import ConfigError, UserError
from m4i_fast.kernels import fallback
from m4i_fast.kernels.reference import overlap as reference
from m4i_fast.kernels.reference import sets as reference_sets
from m4i_fast.kernels.statistics import OverlapStatistics, SetStatistics
from m4i_fast.kernels.texts import as_rows, as_tuple, check_lengths, plain_texts, read_once
from m4i_fast.kernels.tokens import TOKENISERS, Tokeniser

__all__ = [
    "BACKENDS",
    "CORES",
    "ROWS_A_THREAD",
    "Formula",
    "PreparedReferences",
    "backend_name",
    "built_backends",
    "core_in_use",
    "core_scores",
    "gpu_in_use",
    "host_core",
    "host_machine",
    "overlap_scores",
    "overlap_statistics",
    "ptb_lines",
    "set_statistics",
    "threads_for",
    "tokeniser_named",
    "told",
]

CORES: Final = ("avx512", "avx2", "baseline")
"""Instruction sets that the C++ core is compiled for, the best first."""
GPU: Final = "triton"
BACKENDS: Final = (*CORES, "rapidfuzz", "reference", GPU)
ROWS_A_THREAD: Final = 4096
"""Fewer rows than this are done before another thread has started."""
MOST_THREADS: Final = 1024
VARIABLE: Final = "M4I_FAST_KERNELS"
_PACKAGE: Final = __name__.partition(".")[0]
_REBUILD: Final = "Install a C++20 compiler and reinstall m4i-fast from source to build it."

Reals = npt.NDArray[np.float64]


class Formula(NamedTuple):
    """Scores as the C++ core knows them: the number of a definition, and whether means over references are wanted."""

    number: int
    mean: bool


def backend_name() -> str:
    """The backend that is in use, one of ``BACKENDS``.

    Raises:
        ConfigError: ``M4I_FAST_KERNELS`` names none, or one that is not built or does not run here.
        ExtraMissing: it names ``triton``, which is not installed.
    """
    wanted = os.environ.get(VARIABLE, "").strip()
    if not wanted:
        return _on_this_processor()[0]
    if wanted not in BACKENDS:
        raise ConfigError(
            f"'{wanted}' is not a kernel backend",
            where=VARIABLE,
            cure=f"Set it to one of {', '.join(BACKENDS)}, or unset it.",
        )
    if wanted in CORES and _core() is None:
        raise ConfigError("the C++ core is not built here", where=VARIABLE, cure=f"{_REBUILD} Or unset the variable.")
    if wanted == GPU:
        _gpu().check()
    elif wanted not in _on_this_processor():
        raise ConfigError(
            f"this processor does not run '{wanted}'",
            where=VARIABLE,
            cure=f"Set it to one of {', '.join(_on_this_processor())}, or unset it.",
        )
    return wanted


def built_backends() -> tuple[str, ...]:
    """The backends that work here: the fastest on this processor first, ``triton`` last. That one imports torch."""
    try:
        _gpu().check()
    except UserError:
        return _on_this_processor()
    return (*_on_this_processor(), GPU)


def _on_this_processor() -> tuple[str, ...]:
    core = _core()
    return (*(() if core is None else core.machines()), "rapidfuzz", "reference")


def overlap_statistics(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], *, tokeniser: str, threads: int = 0
) -> OverlapStatistics:
    """Count what ROUGE and BLEU are made of, for each hypothesis against each of its references.

    Args:
        hypotheses: N texts.
        references: N rows of any number of texts.
        tokeniser: a name in ``kernels.tokens.TOKENISERS``.
        threads: of the C++ core; 0 takes the usable cores where there is work for them. The result is the same.

    Raises:
        DataError: the lengths differ, or something is not a string (says which).
        ConfigError: no such tokeniser, or ``M4I_FAST_KERNELS`` is wrong.
    """
    core = core_in_use()
    given = _Given(hypotheses, references, tokeniser, threads)
    if core is not None:
        return OverlapStatistics(**given.ask(core, "overlap_statistics"))
    texts = plain_texts(given.hypotheses, given.references)
    if backend_name() == GPU:
        return _gpu_statistics(*texts, given.tokeniser)
    plain: Any = reference if backend_name() == "reference" else fallback
    counts: OverlapStatistics = plain.overlap_statistics(*texts, given.tokeniser)
    return counts


def set_statistics(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> SetStatistics:
    """Count what the package rouge 1.0.1 is made of; arguments and errors as for ``overlap_statistics``."""
    said, rows = read_once(hypotheses, references)
    core = host_core()
    if core is None:
        return reference_sets.set_statistics(*plain_texts(said, rows))
    encode = TOKENISERS["whitespace"].encode
    try:
        arrays = core.set_statistics(said, rows, encode)
    except TypeError:  # see _core_statistics
        arrays = core.set_statistics(*plain_texts(said, rows), encode)
    return SetStatistics(**arrays)


class PreparedReferences:
    """References of N records, tokenised once for any number of hypotheses.

    The C++ core keeps them as keys, about 8 bytes a token; other backends keep the texts alone.

    Args:
        references: N rows of any number of texts.
        tokeniser: a name in ``kernels.tokens.TOKENISERS``.

    Raises:
        DataError: something is not a string (says which).
        ConfigError: no such tokeniser, or ``M4I_FAST_KERNELS`` is wrong.
    """

    def __init__(self, references: Sequence[Sequence[str]], *, tokeniser: str) -> None:
        splitter = tokeniser_named(tokeniser)
        # Copied, since texts that are tokenised elsewhere must not change behind the keys.
        rows = as_tuple(references, "references")
        _, self._rows = plain_texts([""] * len(rows), rows)
        self._tokeniser = tokeniser
        core = core_in_use()
        self._core: Any = None
        if core is not None:
            self._core = core.PreparedReferences(self._rows, told(core, splitter), splitter.encode, backend_name())

    def __len__(self) -> int:
        """N."""
        return len(self._rows)

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """The texts."""
        return self._rows

    def statistics(self, hypotheses: Sequence[str], *, threads: int = 0) -> OverlapStatistics:
        """As ``overlap_statistics``, for N hypotheses, one a record."""
        if core_in_use() is None or self._core is None:
            return overlap_statistics(hypotheses, self._rows, tokeniser=self._tokeniser, threads=threads)
        return OverlapStatistics(**self._ask("statistics", hypotheses, threads))

    def scores(
        self, hypotheses: Sequence[str], formulas: Sequence[Formula], *, exact_sum: bool, threads: int = 0
    ) -> list[Reals] | None:
        """As the function ``overlap_scores``, for N hypotheses, one a record."""
        if core_in_use() is None or self._core is None:
            return None
        tables: list[Reals] = self._ask("scores", hypotheses, threads, list(formulas), exact_sum)
        return tables

    def _ask(self, function: str, hypotheses: Sequence[str], threads: int, *more: object) -> Any:
        rows = as_rows(hypotheses, "hypotheses")
        check_lengths(len(rows), len(self))
        ask, crew = getattr(self._core, function), threads_for(threads, len(rows))
        try:
            return ask(rows, backend_name(), crew, *more)
        except (TypeError, ValueError):  # as in _Given.ask; another thread may have changed how many there are
            rows, _ = plain_texts(rows, [()] * len(self))
            return ask(rows, backend_name(), crew, *more)


def core_scores(counts: OverlapStatistics, formula: Formula, *, exact_sum: bool) -> Reals | None:
    """The scores of a recipe from the C++ core, float64 [N, 7]; None where another backend is in use.

    Args:
        counts: of N hypotheses.
        formula: ``m4i_fast.text.recipes`` names them.
        exact_sum: whether ``sum()`` of floats compensates rounding here, as it does from Python 3.12 on.
    """
    core = host_core()
    if core is None:
        return None
    arrays = [np.ascontiguousarray(getattr(counts, field.name)) for field in fields(counts)]
    values: Reals = core.scores(*arrays, *formula, exact_sum)
    return values


def core_in_use() -> Any:
    """The C++ core, or None where another backend is in use (of which ``overlap_statistics`` warns)."""
    name = backend_name()
    if name in CORES:
        return _core()
    if name == "rapidfuzz" and not os.environ.get(VARIABLE):
        _warn_once()
    return None


def gpu_in_use() -> Any:
    """The module ``gpu`` where the backend ``triton`` is in use, else None."""
    return _gpu() if backend_name() == GPU else None


def host_core() -> Any:
    """The C++ core for what is done on the processor in any case; None where its stand-ins were chosen."""
    return _core() if backend_name() == GPU else core_in_use()


def host_machine() -> str:
    """The instruction set that ``host_core`` is to use."""
    name = backend_name()
    return _on_this_processor()[0] if name == GPU else name


def _gpu_statistics(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], tokeniser: Tokeniser
) -> OverlapStatistics:
    """Numbered here, counted there; where the subsequence is taken of other tokens, in two goes."""
    from m4i_fast.kernels.ids import TokenIds, id_statistics, subsequence_lengths
    from m4i_fast.kernels.numbering import Numbering

    at = np.cumsum([0, *map(len, references)])
    others = [text for row in references for text in row]
    numbering = Numbering(tokeniser.name)
    counts = id_statistics(numbering.ids(hypotheses), numbering.ids(others), at)
    if tokeniser.subsequence is tokeniser.ngrams:
        return counts
    known: dict[str, int] = {}
    said, wanted = (
        TokenIds.from_lists(
            [[known.setdefault(step, len(known)) for step in tokeniser.subsequence(text)] for text in texts]
        )
        for texts in (hypotheses, others)
    )
    return replace(
        counts,
        lcs=subsequence_lengths(said, wanted, at),
        hypothesis_length_lcs=np.diff(said.offsets).astype(np.int32),
        reference_length_lcs=np.diff(wanted.offsets).astype(np.int32),
    )


def overlap_scores(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    formulas: Sequence[Formula],
    *,
    tokeniser: str,
    exact_sum: bool,
    threads: int = 0,
) -> list[Reals] | None:
    """Count and score in one go: float64 [N, 7] a formula; None where the C++ core is not in use.

    The same numbers as ``core_scores`` of ``overlap_statistics``, whose errors it raises; faster: no count is kept.
    """
    core = core_in_use()
    if core is None:
        return None
    given = _Given(hypotheses, references, tokeniser, threads)
    tables: list[Reals] = given.ask(core, "overlap_scores", list(formulas), exact_sum)
    return tables


class _Given:
    """Records on their way to the core."""

    def __init__(
        self, hypotheses: Sequence[str], references: Sequence[Sequence[str]], tokeniser: str, threads: int
    ) -> None:
        self.tokeniser = tokeniser_named(tokeniser)
        self.hypotheses, self.references = as_rows(hypotheses, "hypotheses"), as_rows(references, "references")
        self.threads = threads_for(threads, len(self.hypotheses))
        check_lengths(len(self.hypotheses), len(self.references))

    def ask(self, core: Any, function: str, *more: object) -> Any:
        def asked(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Any:
            way = (told(core, self.tokeniser), self.tokeniser.encode, backend_name(), self.threads)
            return getattr(core, function)(hypotheses, references, *way, *more)

        try:
            return asked(self.hypotheses, self.references)
        except (TypeError, ValueError):
            # The core takes nothing but strings in lists and tuples that nobody changes, and stops at the first other
            # thing. This says which it is, or makes it plain.
            return asked(*plain_texts(self.hypotheses, self.references))


def told(core: ModuleType, tokeniser: Tokeniser) -> int:
    """The tokeniser's number, after the core was told what it must know of it."""
    if tokeniser.name == "ptb":
        _tell_ptb(core)
    return tokeniser.number


def ptb_lines(captions: Sequence[str], *, as_document: bool) -> list[str]:
    """The tokens of each caption, joined by blanks, as ``kernels.ptb.truth`` defines them; captions are strings.

    Raises:
        ValueError: a caption of a document holds a lone surrogate.
    """
    core = host_core()
    if core is None:
        from m4i_fast.kernels.ptb import truth

        return truth.as_document(tuple(captions)) if as_document else list(map(truth.alone, captions))
    _tell_ptb(core)
    made = core.ptb_document if as_document else core.ptb_alone
    lines: list[str] = made(tuple(captions), host_machine())
    return lines


@cache
def _tell_ptb(core: ModuleType) -> None:
    """Make the automaton, once a process: 0.1 to 0.2 s."""
    from m4i_fast.kernels.ptb.tables import tables

    core.set_ptb_tables(*tables())


def tokeniser_named(name: str) -> Tokeniser:
    """The tokeniser of this name; a ConfigError where there is none."""
    if not isinstance(name, str) or name not in TOKENISERS:
        raise ConfigError(
            f"'{name}' is not a tokeniser", where="tokeniser", cure=f"Choose one of {', '.join(TOKENISERS)}."
        )
    return TOKENISERS[name]


def threads_for(asked: int, rows: int) -> int:
    """How many threads ``rows`` are worth; ``asked`` where it is not 0."""
    if not hasattr(asked, "__index__") or not 0 <= asked <= MOST_THREADS:
        raise ConfigError(
            f"{asked!r} threads cannot work", where="threads", cure=f"Give 0 (all cores) to {MOST_THREADS}."
        )
    return asked or min(_usable_cores(), max(1, rows // ROWS_A_THREAD))


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gpu() -> Any:
    """The module ``gpu``, which imports torch and Triton; an ExtraMissing where they are absent."""
    from m4i_fast.kernels import gpu

    return gpu


@cache
def _core() -> ModuleType | None:
    try:
        from m4i_fast.kernels import _core as core
    except ImportError:
        return None
    return core


@cache
def _warn_once() -> None:
    warnings.warn(
        "m4i-fast runs without its C++ core: rapidfuzz and plain Python score the captions, with the same results but "
        f"far slower. {_REBUILD} To keep it so without this warning: {VARIABLE}=rapidfuzz",
        RuntimeWarning,
        stacklevel=_to_the_caller(),
    )


def _to_the_caller() -> int:
    """The ``stacklevel`` at which a warning of our caller's names the line that called this package."""
    level, frame = 1, sys._getframe(1)  # noqa: SLF001 - inspect, which does the same, is slow to import
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        level, frame = level + 1, frame.f_back
    return level
