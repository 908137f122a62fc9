"""Texts that are numbers already: their statistics, and for each the texts that are most like it.

A captioner's tokens, or those of ``kernels.numbering``. No text is touched here, so nothing is tokenised twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from m4i_fast.errors import ConfigError, DataError
from m4i_fast.kernels import backend, fallback
from m4i_fast.kernels.reference import overlap as reference
from m4i_fast.kernels.reference.lcs import lcs_length
from m4i_fast.kernels.reference.ngrams import clipped_matches
from m4i_fast.kernels.statistics import OverlapStatistics
from m4i_fast.kernels.texts import as_tuple
from m4i_fast.kernels.tokens import Tokeniser

__all__ = [
    "MEASURES",
    "Nearest",
    "TokenIds",
    "id_statistics",
    "nearest",
    "overlap_matrix",
    "subsequence_lengths",
]

MEASURES: Final = ("rouge_1", "rouge_l")
"""What two texts share: clipped matches of single tokens, or the longest common subsequence."""
BLOCK: Final = 128
"""Hypotheses that are compared with all candidates between two looks at the keyboard."""
MOST_BEYOND: Final = 2**20
"""So many neighbours may be asked for even where there are fewer candidates."""
_LARGEST: Final = 2**31 - 1
_LARGEST_PACKED: Final = 2**16 - 1
_READ_BEYOND: Final = 64
"""So many packed ids the core may read beyond a text's end."""

T = TypeVar("T")
Ids = npt.NDArray[np.int32]
PackedIds = npt.NDArray[np.uint16]
Offsets = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TokenIds:
    """N texts as numbers, one after the other.

    Attributes:
        ids: int32 [T], each 0 or more. Any integer array is taken.
        offsets: int64 [N + 1] from 0 to T; text i is ids[offsets[i]] .. ids[offsets[i + 1] - 1].
        packed: uint16 [T + 64], the ids again, made here, which are compared faster; [0] where one is beyond 65,535.

    Raises:
        DataError: an id is negative or beyond int32 (says which), or the offsets do not part the ids.

    >>> TokenIds.from_lists([[4, 7], [], [4]]).offsets.tolist()
    [0, 2, 2, 3]
    """

    ids: Ids
    offsets: Offsets
    packed: PackedIds = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ids, offsets = _integers(self.ids, "ids", 1), _integers(self.offsets, "offsets", 1)
        bad = np.flatnonzero((ids < 0) | (ids > _LARGEST))
        if len(bad):
            raise DataError(
                f"the token id {ids[bad[0]]} is out of range",
                where=f"ids[{bad[0]}]",
                cure=f"Ids are 0 to {_LARGEST}; leave padding out.",
            )
        if len(offsets) == 0 or offsets[0] != 0 or offsets[-1] != len(ids) or (offsets[1:] < offsets[:-1]).any():
            raise DataError(
                f"the offsets do not part {len(ids)} ids",
                where="offsets",
                cure=f"They begin with 0, end with {len(ids)} and never fall.",
            )
        # Copied and locked: what was checked must not change behind the core, which trusts it.
        object.__setattr__(self, "ids", _locked(ids, np.int32))
        object.__setattr__(self, "offsets", _locked(offsets, np.int64))
        object.__setattr__(self, "packed", _packed(self.ids))

    @classmethod
    def from_lists(cls, texts: Sequence[Sequence[int]]) -> TokenIds:
        """One list of ids a text."""
        rows = [
            as_tuple(_unmasked(text, f"texts[{i}]"), f"texts[{i}]") for i, text in enumerate(as_tuple(texts, "texts"))
        ]
        sizes = [len(row) for row in rows]
        flat = [number for row in rows for number in row]
        return cls(_integers(flat, "ids", 1), np.cumsum([0, *sizes]))

    @classmethod
    def from_padded(cls, matrix: npt.ArrayLike, lengths: npt.ArrayLike) -> TokenIds:
        """As engines give them: integers [N, L], of which row i holds lengths[i] tokens."""
        table, sizes = _integers(matrix, "matrix", 2), _integers(lengths, "lengths", 1)
        if len(sizes) != len(table):
            raise DataError(
                f"there are {len(sizes)} lengths for {len(table)} rows", where="lengths", cure="Give one length a row."
            )
        bad = np.flatnonzero((sizes < 0) | (sizes > table.shape[1]))
        if len(bad):
            raise DataError(
                f"a row of {table.shape[1]} ids cannot hold {sizes[bad[0]]} tokens",
                where=f"lengths[{bad[0]}]",
                cure=f"Lengths are 0 to {table.shape[1]}.",
            )
        return cls(
            table[np.arange(table.shape[1]) < sizes[:, None]], np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        )

    def __len__(self) -> int:
        """N."""
        return len(self.offsets) - 1

    def lists(self) -> Iterator[list[int]]:
        """The texts, one list of ids each."""
        ids = self.ids.tolist()
        for begin, end in zip(self.offsets[:-1].tolist(), self.offsets[1:].tolist(), strict=True):
            yield ids[begin:end]

    def between(self, first: int, last: int) -> TokenIds:
        """Texts ``first`` to ``last``, without the last; 0 <= first <= last <= N."""
        if not 0 <= first <= last <= len(self):
            raise DataError(
                f"there are no texts {first} to {last} among {len(self)}",
                where="first, last",
                cure=f"Give numbers of 0 to {len(self)} in their order.",
            )
        offsets = self.offsets[first : last + 1]
        return TokenIds(self.ids[offsets[0] : offsets[-1]], offsets - offsets[0])


def id_statistics(
    hypotheses: TokenIds, references: TokenIds, rows: npt.ArrayLike | None = None, *, threads: int = 0
) -> OverlapStatistics:
    """As ``backend.overlap_statistics``, for texts that are numbers.

    Args:
        hypotheses: N texts.
        references: of all records, one record after the other.
        rows: int64 [N + 1]; the references of record i are rows[i] to rows[i + 1]. Without it every record has as many.
        threads: of the C++ core; 0 takes the usable cores where there is work for them. The result is the same.

    Raises:
        DataError: the rows do not fit (says how).
        ConfigError: ``M4I_FAST_KERNELS`` is wrong.
    """
    at = _rows(hypotheses, references, rows)
    crew = backend.threads_for(threads, len(hypotheses))
    gpu = backend.gpu_in_use()
    if gpu is not None:
        there: OverlapStatistics = gpu.id_statistics(*_on_device(gpu, hypotheses, references), at).to_host()
        return there
    core = backend.core_in_use()
    if core is not None:
        arrays = *_all_arrays(hypotheses), *_all_arrays(references), at
        return OverlapStatistics(**core.id_statistics(*arrays, backend.backend_name(), crew))
    texts = list(references.lists())
    sets = tuple(texts[begin:end] for begin, end in zip(at[:-1].tolist(), at[1:].tolist(), strict=True))
    plain: Any = reference if backend.backend_name() == "reference" else fallback
    counted: OverlapStatistics = plain.overlap_statistics(tuple(hypotheses.lists()), sets, _AS_THEY_ARE)
    return counted


def subsequence_lengths(
    hypotheses: TokenIds, references: TokenIds, rows: npt.ArrayLike | None = None, *, threads: int = 0
) -> Ids:
    """The ``lcs`` of ``id_statistics`` alone, int32 [P], several times as fast."""
    at = _rows(hypotheses, references, rows)
    crew = backend.threads_for(threads, len(hypotheses))
    gpu = backend.gpu_in_use()
    if gpu is not None:
        there: Ids = gpu.subsequence_lengths(*_on_device(gpu, hypotheses, references), at).cpu().numpy()
        return there
    core = backend.core_in_use()
    if core is None:
        return id_statistics(hypotheses, references, at).lcs
    arrays = *_all_arrays(hypotheses), *_all_arrays(references), at
    lengths: Ids = core.id_subsequences(*arrays, backend.backend_name(), crew)
    return lengths


@dataclass(frozen=True, slots=True)
class Nearest:
    """For each of N hypotheses the k candidates that are most like it, the best first.

    Attributes:
        scores: float64 [N, k], F1 = 2PR / (P + R), 0..1; NaN where there are fewer than k candidates.
        indices: int64 [N, k]; of equals the candidate that stands first; -1 where there are fewer.
    """

    scores: npt.NDArray[np.float64]
    indices: npt.NDArray[np.int64]


def nearest(
    hypotheses: TokenIds,
    candidates: TokenIds,
    k: int,
    *,
    measure: str = "rouge_l",
    threads: int = 0,
    advance: Callable[[int], object] | None = None,
) -> Nearest:
    """Compare all with all, without ever holding the matrix.

    Args:
        hypotheses: N texts.
        candidates: M texts, numbered by the same ``Numbering``.
        k: how many to find for each hypothesis.
        measure: one of ``MEASURES``.
        threads: of the C++ core; 0 takes the usable cores. The result is the same.
        advance: is told how many more hypotheses are done.

    Raises:
        ConfigError: no such measure, k below 1, or ``M4I_FAST_KERNELS`` is wrong.

    >>> texts = TokenIds.from_lists([[1, 2, 3], [1, 2], [7]])
    >>> nearest(texts, texts, 2).indices.tolist()
    [[0, 1], [1, 0], [2, 0]]
    """
    _check_measure(measure)
    _check_texts(hypotheses=hypotheses, candidates=candidates)
    most = max(len(candidates), MOST_BEYOND)
    if not hasattr(k, "__index__") or not 1 <= k <= most:
        raise ConfigError(f"{k!r} neighbours cannot be found", where="k", cure=f"Give 1 to {most}.")
    k = int(k)
    crew = backend.threads_for(threads, backend.ROWS_A_THREAD * len(hypotheses))
    gpu = backend.gpu_in_use()
    if gpu is not None:
        texts = _on_device(gpu, hypotheses, candidates)
        there: Nearest = gpu.nearest(*texts, k, measure=measure, advance=advance).to_host()
        return there
    found = Nearest(np.full((len(hypotheses), k), np.nan), np.full((len(hypotheses), k), -1, np.int64))

    def take(first: int, part: tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]) -> None:
        scores, indices = part
        found.scores[first : first + len(scores), : scores.shape[1]] = scores
        found.indices[first : first + len(indices), : indices.shape[1]] = indices

    core = backend.core_in_use()
    if core is None:
        lengths = np.diff(candidates.offsets)
        best = min(k, len(candidates))
        for i, row in enumerate(_plain_matrix(hypotheses, candidates, measure)):
            scores = _f1(row, int(np.diff(hypotheses.offsets[i : i + 2])[0]), lengths)
            indices = np.lexsort((np.arange(len(scores)), -scores))[:best]
            take(i, (scores[None, indices], indices[None, :].astype(np.int64)))
            if advance:
                advance(1)
        return found
    search = core.Candidates(*_arrays(candidates), _vocabulary(hypotheses, candidates))
    number, width = MEASURES.index(measure), min(k, len(candidates))
    _in_blocks(hypotheses, crew, lambda part: search.find(*_arrays(part), number, width), take, advance)
    return found


def overlap_matrix(hypotheses: TokenIds, candidates: TokenIds, *, measure: str = "rouge_l", threads: int = 0) -> Ids:
    """What each hypothesis shares with each candidate, in tokens: int32 [N, M]. Arguments as for ``nearest``.

    >>> overlap_matrix(TokenIds.from_lists([[1, 2, 3]]), TokenIds.from_lists([[1, 3], [3, 2, 1]])).tolist()
    [[2, 1]]
    """
    _check_measure(measure)
    _check_texts(hypotheses=hypotheses, candidates=candidates)
    crew = backend.threads_for(threads, backend.ROWS_A_THREAD * len(hypotheses))
    gpu = backend.gpu_in_use()
    if gpu is not None:
        there: Ids = gpu.overlap_matrix(*_on_device(gpu, hypotheses, candidates), measure=measure).cpu().numpy()
        return there
    matrix = np.zeros((len(hypotheses), len(candidates)), np.int32)

    def take(first: int, part: Ids) -> None:
        matrix[first : first + len(part)] = part

    core = backend.core_in_use()
    if core is None:
        for i, row in enumerate(_plain_matrix(hypotheses, candidates, measure)):
            matrix[i] = row
        return matrix
    search = core.Candidates(*_arrays(candidates), _vocabulary(hypotheses, candidates))
    number = MEASURES.index(measure)
    _in_blocks(hypotheses, crew, lambda part: search.count(*_arrays(part), number), take, None)
    return matrix


def _in_blocks(
    hypotheses: TokenIds,
    crew: int,
    work: Callable[[TokenIds], Any],
    take: Callable[[int, Any], None],
    advance: Callable[[int], object] | None,
) -> None:
    """``take(first, work(block))`` for blocks of hypotheses; the work lets go of the GIL."""
    firsts = range(0, len(hypotheses), BLOCK)

    def one(first: int) -> Any:
        return work(hypotheses.between(first, min(first + BLOCK, len(hypotheses))))

    with ThreadPoolExecutor(crew) as pool:
        # One thread works here, so that Ctrl-C is heard between two blocks.
        for first, part in zip(firsts, map(one, firsts) if crew == 1 else pool.map(one, firsts), strict=True):
            take(first, part)
            if advance:
                advance(min(BLOCK, len(hypotheses) - first))


def _plain_matrix(hypotheses: TokenIds, candidates: TokenIds, measure: str) -> Iterator[Ids]:
    """The matrix row by row, where the core is not in use."""
    texts = list(candidates.lists())
    count: Callable[[list[int], list[int]], int] = lcs_length
    if measure == "rouge_1":
        count = _shared_tokens
    elif backend.backend_name() == "rapidfuzz":
        from rapidfuzz.distance import LCSseq

        count = LCSseq.similarity
    for hypothesis in hypotheses.lists():
        yield np.array([count(hypothesis, text) for text in texts], np.int32)


def _shared_tokens(hypothesis: list[int], text: list[int]) -> int:
    return clipped_matches(hypothesis, text, 1)


def _f1(matched: Ids, guessed: int, wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    precision, recall = matched / max(guessed, 1), matched / np.maximum(wanted, 1)
    total = precision + recall
    return np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)


def _on_device(gpu: Any, *sets: TokenIds) -> tuple[Any, ...]:
    return tuple(gpu.DeviceTokenIds.from_host(texts) for texts in sets)


def _arrays(texts: TokenIds) -> tuple[Ids, Offsets]:
    return texts.ids, texts.offsets


def _all_arrays(texts: TokenIds) -> tuple[Ids, PackedIds, Offsets]:
    return texts.ids, texts.packed, texts.offsets


def _vocabulary(*sets: TokenIds) -> int:
    """Bounded memory: ids that are few but large are an error of the caller's, not of the machine's."""
    largest = max((int(texts.ids.max()) for texts in sets if len(texts.ids)), default=-1)
    tokens = sum(len(texts.ids) for texts in sets)
    if largest >= max(2**24, 16 * tokens):
        raise DataError(
            f"the token id {largest} is far beyond the {tokens} tokens that there are",
            where="ids",
            cure="Number the tokens from 0, as Numbering does.",
        )
    return largest + 1


def _rows(hypotheses: TokenIds, references: TokenIds, rows: npt.ArrayLike | None) -> Offsets:
    _check_texts(hypotheses=hypotheses, references=references)
    n, total = len(hypotheses), len(references)
    if rows is None:
        if total % n if n else total:
            raise DataError(
                f"{total} references are not the same number for each of {n} hypotheses",
                where="references",
                cure="Say with 'rows' which references belong to which record.",
            )
        return np.arange(n + 1, dtype=np.int64) * (total // n if n else 0)
    at = np.ascontiguousarray(_integers(rows, "rows", 1), dtype=np.int64)
    if len(at) != n + 1 or at[0] != 0 or at[-1] != total or (at[1:] < at[:-1]).any():
        raise DataError(
            f"they do not part {total} references among {n} hypotheses",
            where="rows",
            cure=f"Give {n + 1} numbers that begin with 0, end with {total} and never fall.",
        )
    return at


def _integers(values: npt.ArrayLike, name: str, dimensions: int) -> npt.NDArray[Any]:
    try:
        array = np.asarray(_unmasked(values, name))
    except ValueError:
        raise DataError(
            "rows of several lengths are no array", where=name, cure="Give a NumPy array of integers."
        ) from None
    if array.size == 0 and array.dtype.kind == "f":
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu" or array.ndim != dimensions:
        raise DataError(
            f"integers in {dimensions} dimension{'s' * (dimensions > 1)} are wanted, not {array.dtype} in {array.ndim}",
            where=name,
            cure="Give a NumPy array of integers.",
        )
    return array


def _unmasked(values: T, name: str) -> T:
    """``values``, where no mask would be lost: an array takes what lies below it for a number like the others."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise DataError("some of its values are masked", where=name, cure="Leave them out: masked.compressed().")
    return values


def _locked(array: npt.NDArray[Any], kind: type[np.signedinteger[Any]]) -> npt.NDArray[Any]:
    copy = np.array(array, dtype=kind, order="C")
    copy.flags.writeable = False
    return copy


def _packed(ids: Ids) -> PackedIds:
    fit = len(ids) == 0 or int(ids.max()) <= _LARGEST_PACKED
    packed = np.zeros(len(ids) + _READ_BEYOND if fit else 0, np.uint16)
    if fit:
        packed[: len(ids)] = ids
    packed.flags.writeable = False
    return packed


def _check_texts(**texts: object) -> None:
    for name, value in texts.items():
        if not isinstance(value, TokenIds):
            raise DataError(
                f"token ids are wanted, not a value of type '{type(value).__name__}'",
                where=name,
                cure="Make them with TokenIds.from_lists, TokenIds.from_padded or Numbering.",
            )


def _check_measure(measure: str) -> None:
    if measure not in MEASURES:
        raise ConfigError(
            f"'{measure}' is not a measure", where="measure", cure=f"Choose one of {', '.join(MEASURES)}."
        )


def _same(text: Any) -> Any:
    return text


_AS_THEY_ARE: Final = Tokeniser("ids", -1, _same, _same, _same)
