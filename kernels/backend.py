"""The choice of kernel: the C++ core for this processor, rapidfuzz where it was not built, or the slow truth.

The environment variable ``M4I_FAST_KERNELS`` forces one of ``BACKENDS``. All give the same integers; tests hold them
to it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from types import ModuleType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from m4i_fast.errors import ConfigError
from m4i_fast.kernels import fallback
from m4i_fast.kernels.reference import overlap as reference
from m4i_fast.kernels.reference import sets as reference_sets
from m4i_fast.kernels.statistics import OverlapStatistics, SetStatistics
from m4i_fast.kernels.texts import as_tuple, check_lengths, plain_texts, read_once
from m4i_fast.kernels.tokens import TOKENISERS, Tokeniser

__all__ = [
    "BACKENDS",
    "CORES",
    "ROWS_A_THREAD",
    "PreparedReferences",
    "backend_name",
    "built_backends",
    "core_in_use",
    "core_scores",
    "overlap_statistics",
    "set_statistics",
    "threads_for",
    "tokeniser_named",
]

CORES: Final = ("avx512", "avx2", "baseline")
"""Instruction sets that the C++ core is compiled for, the best first."""
BACKENDS: Final = (*CORES, "rapidfuzz", "reference")
ROWS_A_THREAD: Final = 4096
"""Fewer rows than this are done before another thread has started."""
MOST_THREADS: Final = 1024
VARIABLE: Final = "M4I_FAST_KERNELS"
_REBUILD: Final = "Install a C++20 compiler and reinstall m4i-fast from source to build it."

Reals = npt.NDArray[np.float64]


def backend_name() -> str:
    """The backend that is in use, one of ``BACKENDS``.

    Raises:
        ConfigError: ``M4I_FAST_KERNELS`` names none, or one that is not built or does not run here.
    """
    wanted = os.environ.get(VARIABLE, "").strip()
    if not wanted:
        return built_backends()[0]
    if wanted not in BACKENDS:
        raise ConfigError(
            f"'{wanted}' is not a kernel backend",
            where=VARIABLE,
            cure=f"Set it to one of {', '.join(BACKENDS)}, or unset it.",
        )
    if wanted in CORES and _core() is None:
        raise ConfigError("the C++ core is not built here", where=VARIABLE, cure=f"{_REBUILD} Or unset the variable.")
    if wanted not in built_backends():
        raise ConfigError(
            f"this processor does not run '{wanted}'",
            where=VARIABLE,
            cure=f"Set it to one of {', '.join(built_backends())}, or unset it.",
        )
    return wanted


def built_backends() -> tuple[str, ...]:
    """The backends that work here, the fastest first."""
    core = _core()
    return (*(() if core is None else core.machines()), *BACKENDS[len(CORES) :])


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
    name = backend_name()
    splitter = tokeniser_named(tokeniser)
    rows, rows_of_references = as_tuple(hypotheses, "hypotheses"), as_tuple(references, "references")
    check_lengths(len(rows), len(rows_of_references))
    threads = threads_for(threads, len(rows))
    core = _core()
    if name in CORES and core is not None:
        return _core_statistics(core, name, rows, rows_of_references, splitter, threads)
    rows, rows_of_references = plain_texts(rows, rows_of_references)
    if name == "reference":
        return reference.overlap_statistics(rows, rows_of_references, splitter)
    if not os.environ.get(VARIABLE):
        _warn_once()
    return fallback.overlap_statistics(rows, rows_of_references, splitter)


def set_statistics(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> SetStatistics:
    """Count what the package rouge 1.0.1 is made of; arguments and errors as for ``overlap_statistics``."""
    said, rows = read_once(hypotheses, references)
    core = core_in_use()
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
        name = backend_name()
        splitter = tokeniser_named(tokeniser)
        # Copied, since texts that are tokenised elsewhere must not change behind the keys.
        rows = as_tuple(references, "references")
        _, self._rows = plain_texts([""] * len(rows), rows)
        self._tokeniser = tokeniser
        self._core: Any = None
        core = _core()
        if name in CORES and core is not None:
            self._core = core.PreparedReferences(self._rows, splitter.number, splitter.encode, name)

    def __len__(self) -> int:
        """N."""
        return len(self._rows)

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """The texts."""
        return self._rows

    def statistics(self, hypotheses: Sequence[str], *, threads: int = 0) -> OverlapStatistics:
        """As ``overlap_statistics``, for N hypotheses, one a record."""
        name = backend_name()
        rows = as_tuple(hypotheses, "hypotheses")
        if name not in CORES or self._core is None:
            return overlap_statistics(rows, self._rows, tokeniser=self._tokeniser, threads=threads)
        check_lengths(len(rows), len(self))
        threads = threads_for(threads, len(rows))
        try:
            arrays = self._core.statistics(rows, name, threads)
        except TypeError:  # see _core_statistics
            rows, _ = plain_texts(rows, [()] * len(rows))
            arrays = self._core.statistics(rows, name, threads)
        return OverlapStatistics(**arrays)


def core_scores(counts: OverlapStatistics, definition: int, *, mean: bool, exact_sum: bool) -> Reals | None:
    """The scores of a recipe from the C++ core, float64 [N, 7]; None where another backend is in use.

    Args:
        counts: of N hypotheses.
        definition: as the core numbers them; ``m4i_fast.text.recipes`` names them.
        mean: over references; else each recipe's own way.
        exact_sum: whether ``sum()`` of floats compensates rounding here, as it does from Python 3.12 on.
    """
    core = _core()
    if core is None or backend_name() not in CORES:
        return None
    arrays = [np.ascontiguousarray(getattr(counts, field.name)) for field in fields(counts)]
    values: Reals = core.scores(*arrays, definition, mean, exact_sum)
    return values


def core_in_use() -> Any:
    """The C++ core, or None where another backend is in use (of which ``overlap_statistics`` warns)."""
    name = backend_name()
    if name in CORES:
        return _core()
    if name == "rapidfuzz" and not os.environ.get(VARIABLE):
        _warn_once()
    return None


def _core_statistics(
    core: ModuleType,
    name: str,
    hypotheses: tuple[str, ...],
    references: tuple[Sequence[str], ...],
    tokeniser: Tokeniser,
    threads: int,
) -> OverlapStatistics:
    try:
        arrays = core.overlap_statistics(hypotheses, references, tokeniser.number, tokeniser.encode, name, threads)
    except TypeError:
        # The core takes nothing but strings in lists and tuples and stops at the first other thing. This says which it
        # is, or makes it plain.
        hypotheses, references = plain_texts(hypotheses, references)
        arrays = core.overlap_statistics(hypotheses, references, tokeniser.number, tokeniser.encode, name, threads)
    return OverlapStatistics(**arrays)


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
        stacklevel=3,
    )
