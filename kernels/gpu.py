"""Texts that are numbers and lie on the GPU: what ``ids`` does, from torch tensors to torch tensors, by Triton.

The same integers as from every other backend, and the same neighbours to the last bit; texts may be of any length.
Where ``TRITON_INTERPRET`` was 1 when Python started, Triton's interpreter runs the same kernels on tensors of the host:
far slower, and enough to test them. Importing this needs the extra ``triton`` (an ``ExtraMissing`` where it is absent).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

# First: it says what to install where Triton or torch are absent.
from m4i_fast.kernels.gpu_texts import (  # isort: skip
    LARGEST,
    DeviceNearest,
    DeviceStatistics,
    DeviceTokenIds,
    check,
    device,
    integers,
    interpreted,
    tensor,
)

import torch
import triton
from torch import Tensor

from m4i_fast.errors import ConfigError, DataError
from m4i_fast.kernels import gpu_kernels
from m4i_fast.kernels.ids import MEASURES
from m4i_fast.kernels.statistics import ORDERS

__all__ = [
    "DeviceNearest",
    "DeviceStatistics",
    "DeviceTokenIds",
    "check",
    "device",
    "id_statistics",
    "interpreted",
    "nearest",
    "overlap_matrix",
    "subsequence_lengths",
]

WIDTHS: Final = (16, 32, 64)
"""Tokens of a hypothesis that are looked at together; longer ones go in blocks of the last."""
PAIRS: Final = 1 << 24
"""Pairs that are compared in one launch, at most; their scores take 8 bytes each, a few times over."""
SCRATCH: Final = 1 << 30
"""Bytes for what the blocks of long hypotheses hand on, at most."""
WARPS: Final = 4
# Of real numbers there are none; Triton 3.9 warns where that is left open.
OPTIONS: Final[dict[str, Any]] = {"num_warps": WARPS, "enable_fp_fusion": False}
SLICE: Final = 32
"""Candidates of about one length whose tokens lie interleaved, so that the lanes of a warp read side by side."""


def id_statistics(
    hypotheses: DeviceTokenIds, references: DeviceTokenIds, rows: Tensor | npt.ArrayLike | None = None
) -> DeviceStatistics:
    """As ``ids.id_statistics``, on one device.

    Args:
        hypotheses: N texts.
        references: of all records, one record after the other.
        rows: int64 [N + 1]; the references of record i are rows[i] to rows[i + 1]. Without it every record has as many.

    Raises:
        DataError: the rows do not fit, or the texts lie on two devices (says how).
    """
    at = _rows(hypotheses, references, rows)
    n, lengths, wanted = len(hypotheses), hypotheses.lengths, references.lengths
    counted = _Counted.none(n, len(references), ORDERS, at.device)
    for first, last in _record_blocks(hypotheses, references, at):
        _count(hypotheses, references, at, first, last, counted)
    record = torch.arange(n, device=at.device).repeat_interleave(at.diff())
    # Distance above, length below: the least is the nearest, the shorter of two equally near.
    key = ((wanted - lengths[record]).abs().to(torch.int64) << 32) | wanted
    least = key.new_zeros(n).scatter_reduce(0, record, key, "amin", include_self=False)
    return DeviceStatistics(
        offsets=at,
        hypothesis_length=lengths,
        hypothesis_length_lcs=lengths,
        best_matches=counted.best,
        closest_length=(least & 0xFFFFFFFF).to(torch.int32),
        lcs=counted.lcs,
        matches=counted.matches,
        reference_length=wanted,
        reference_length_lcs=wanted,
    )


def subsequence_lengths(
    hypotheses: DeviceTokenIds, references: DeviceTokenIds, rows: Tensor | npt.ArrayLike | None = None
) -> Tensor:
    """The ``lcs`` of ``id_statistics`` alone, int32 [P]."""
    at = _rows(hypotheses, references, rows)
    counted = _Counted.none(len(hypotheses), len(references), 0, at.device)
    for first, last in _record_blocks(hypotheses, references, at):
        _count(hypotheses, references, at, first, last, counted)
    return counted.lcs


def nearest(
    hypotheses: DeviceTokenIds,
    candidates: DeviceTokenIds,
    k: int,
    *,
    measure: str = "rouge_l",
    advance: Callable[[int], object] | None = None,
) -> DeviceNearest:
    """As ``ids.nearest``, on one device: all with all, in blocks; of equals the candidate that stands first.

    Raises:
        DataError: the texts lie on two devices.
        ConfigError: no such measure, or k below 1.
    """
    _check_measure(measure)
    if k < 1:
        raise ConfigError(f"{k} neighbours cannot be found", where="k", cure="Give 1 or more.")
    n, lengths, wanted = len(hypotheses), hypotheses.lengths, candidates.lengths
    scores = torch.full((n, k), torch.nan, dtype=torch.float64, device=lengths.device)
    indices = torch.full((n, k), -1, dtype=torch.int64, device=lengths.device)
    width = min(k, len(candidates))
    for rows, shared in _matrix_blocks(hypotheses, candidates, measure):
        if width:
            scores[rows, :width], indices[rows, :width] = _best(_f1(shared, lengths[rows], wanted), width)
        if advance:
            advance(len(rows))
    return DeviceNearest(scores, indices)


def overlap_matrix(hypotheses: DeviceTokenIds, candidates: DeviceTokenIds, *, measure: str = "rouge_l") -> Tensor:
    """What each hypothesis shares with each candidate, in tokens: int32 [N, M]. Arguments as for ``nearest``."""
    _check_measure(measure)
    matrix = torch.zeros((len(hypotheses), len(candidates)), dtype=torch.int32, device=hypotheses.ids.device)
    for rows, shared in _matrix_blocks(hypotheses, candidates, measure):
        matrix[rows] = shared
    return matrix


# Pairs.


@dataclass(frozen=True, slots=True)
class _Counted:
    """int32: lcs [P], matches [P, orders], best [N, orders]; with 0 orders no n-grams are counted."""

    lcs: Tensor
    matches: Tensor
    best: Tensor

    @classmethod
    def none(cls, n: int, pairs: int, orders: int, where: torch.device) -> _Counted:
        sizes = ((pairs,), (pairs, orders), (n, orders))
        return cls(*(torch.zeros(size, dtype=torch.int32, device=where) for size in sizes))


def _record_blocks(hypotheses: DeviceTokenIds, references: DeviceTokenIds, at: Tensor) -> Iterator[tuple[int, int]]:
    """First and last of the records that are counted together; none is parted."""
    pairs = len(references)
    if not pairs:
        return
    said, longest = torch.stack((hypotheses.lengths.max(), references.lengths.max())).tolist()
    most = max(1, min(PAIRS, SCRATCH // max(1, longest) if said > WIDTHS[-1] else PAIRS))
    if pairs <= most:
        yield 0, len(hypotheses)
        return
    ends = at.cpu().numpy()
    first = 0
    while first < len(hypotheses):
        last = max(first + 1, int(np.searchsorted(ends, ends[first] + most, side="right")) - 1)
        yield first, last
        first = last


def _count(
    hypotheses: DeviceTokenIds, references: DeviceTokenIds, at: Tensor, first: int, last: int, into: _Counted
) -> None:
    """Count records ``first`` to ``last``, without the last."""
    here = at[first : last + 1]
    begin, end = here[[0, -1]].tolist()
    pairs, orders = end - begin, into.matches.shape[1]
    if not pairs:
        return
    said, wanted = hypotheses.lengths[first:last], references.lengths[begin:end]
    record = torch.arange(last - first, device=at.device).repeat_interleave(here.diff())
    kind = torch.bucketize(said, torch.tensor(WIDTHS, device=at.device, dtype=said.dtype))[record]
    # Lanes work until the longest reference of their warp ends, so pairs stand by width, then by length.
    order = (kind * 64 + wanted.clamp(max=63)).to(torch.uint8).sort(stable=True).indices
    parts = torch.split(order, kind.bincount(minlength=len(WIDTHS) + 1).tolist())
    texts: dict[str, Any] = {
        "h_ids": hypotheses.ids,
        "h_begin": hypotheses.offsets[first:last],
        "h_length": said,
        "h_step": 1,
        "r_ids": references.ids,
        "r_begin": references.offsets[begin:end],
        "r_length": wanted,
        "r_step": 1,
        "record": record,
        "lcs": into.lcs[begin:end],
        "matches": into.matches[begin:end],
        "across": pairs,
        "MATRIX": False,
        "SUBSEQUENCE": True,
        "ORDERS": orders,
        "UNITE": orders > 0,
    }
    shortest = 0
    for part, width in zip(parts, (*WIDTHS, LARGEST), strict=True):
        if len(part):
            most = min(width, int(said.max()))
            used = torch.empty(
                (orders, pairs), dtype=torch.int32 if width < WIDTHS[-1] else torch.int64, device=at.device
            )
            for _ in _compare({**texts, "order": part, "used": used}, len(part), most, wanted[part]):
                if orders:
                    _unite(used, here - begin, said, into.best[first:last], shortest, width)
        shortest = width + 1


# All with all.


def _matrix_blocks(
    hypotheses: DeviceTokenIds, candidates: DeviceTokenIds, measure: str
) -> Iterator[tuple[Tensor, Tensor]]:
    """Some hypotheses, int64 [B], and what each shares with every candidate, int32 [B, M]; until all are done."""
    _same_device(hypotheses, candidates)
    where, m = candidates.ids.device, len(candidates)
    said, order = hypotheses.lengths.sort(stable=True)
    sizes = said.cpu().numpy()
    sliced = _sliced(candidates)
    longest = int(candidates.lengths.max()) if m else 0
    orders = 1 if measure == "rouge_1" else 0
    first = 0
    while first < len(sizes):
        # Sorted by length, so that a block needs one width.
        width = next((width for width in WIDTHS if sizes[first] <= width), LARGEST)
        most = PAIRS // max(1, m) if width < LARGEST else min(PAIRS // max(1, m), SCRATCH // max(1, m * longest))
        last = min(first + max(1, most), int(np.searchsorted(sizes, width, side="right")))
        rows = order[first:last]
        shared = torch.zeros((last - first, m), dtype=torch.int32, device=where)
        texts: dict[str, Any] = {
            **sliced,
            "h_ids": hypotheses.ids,
            "h_begin": hypotheses.offsets[rows],
            "h_length": said[first:last],
            "h_step": 1,
            "record": rows,
            "lcs": shared,
            "matches": shared,
            "used": shared,
            "across": m,
            "MATRIX": True,
            "SUBSEQUENCE": not orders,
            "ORDERS": orders,
            "UNITE": False,
        }
        if m:
            for _ in _compare(texts, shared.numel(), int(sizes[last - 1]), candidates.lengths):
                pass
        yield rows, shared
        first = last


def _sliced(candidates: DeviceTokenIds) -> dict[str, Any]:
    """The candidates by length, the tokens of ``SLICE`` of them interleaved: what ``compare`` takes of them."""
    m, where = len(candidates), candidates.ids.device
    lengths, order = candidates.lengths.sort(stable=True)
    lane = torch.arange(m, device=where)
    # A slice has room for its longest, which is its last.
    room = lengths[(lane[::SLICE] + SLICE - 1).clamp(max=m - 1)].to(torch.int64) * SLICE
    begin = (room.cumsum(0) - room).repeat_interleave(SLICE)[:m] + lane % SLICE
    stands = torch.empty_like(order)
    stands[order] = lane
    text = lane.repeat_interleave(candidates.lengths)
    place = torch.arange(len(text), device=where) - candidates.offsets[text]
    ids = torch.zeros(int(room.sum()), dtype=torch.int32, device=where)
    ids[begin[stands[text]] + place * SLICE] = candidates.ids
    return {"r_ids": ids, "r_begin": begin, "r_length": lengths, "r_step": SLICE, "order": order}


def _f1(shared: Tensor, guessed: Tensor, wanted: Tensor) -> Tensor:
    """The steps of ``ids``'s F1, each rounded to float64 as there: [B, M]."""
    matched = shared.to(torch.float64)
    precision = matched / guessed.clamp(min=1).to(torch.float64)[:, None]
    recall = matched / wanted.clamp(min=1).to(torch.float64)
    total = precision + recall
    return torch.where(total > 0, 2 * precision * recall / total, 0.0)


def _best(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k best of each row, [B, k], and where they stand; of equals the first. ``topk`` alone leaves that open."""
    least = scores.topk(k, dim=1).values[:, -1:]
    above, equal = scores > least, scores == least
    room = k - above.sum(1, keepdim=True)
    indices = (above | (equal & (equal.cumsum(1, dtype=torch.int32) <= room))).nonzero()[:, 1].view(len(scores), k)
    found, order = scores.gather(1, indices).sort(dim=1, descending=True, stable=True)
    return found, indices.gather(1, order)


# Launches.


def _compare(texts: dict[str, Any], count: int, longest: int, wanted: Tensor) -> Iterator[None]:
    """Compare ``count`` pairs of hypotheses of up to ``longest`` tokens; a step for each block of the hypotheses."""
    width = next((width for width in WIDTHS if longest <= width), WIDTHS[-1])
    long = longest > width
    block = _block(count)
    carries = torch.zeros(count * int(wanted.max()) if long else 0, dtype=torch.uint8, device=wanted.device)
    for skip in range(0, max(longest, 1), WIDTHS[-1]):
        with _at_home(wanted):
            gpu_kernels.compare[(triton.cdiv(count, block),)](
                **texts,
                carries=carries,
                skip=skip,
                count=count,
                LONG=long,
                WIDTH=width,
                BLOCK=block,
                **OPTIONS,
            )
        yield


def _unite(used: Tensor, rows: Tensor, said: Tensor, best: Tensor, shortest: int, longest: int) -> None:
    count = len(said)
    block = _block(count)
    with _at_home(said):
        gpu_kernels.unite[(triton.cdiv(count, block),)](
            used=used,
            rows=rows,
            h_length=said,
            best=best,
            pairs=used.shape[1],
            shortest=shortest,
            longest=longest,
            count=count,
            LONG=longest > WIDTHS[-1],
            WIDTH=WIDTHS[-1] if used.dtype == torch.int64 else WIDTHS[-2],
            BLOCK=block,
            **OPTIONS,
        )


def _block(count: int) -> int:
    """Lanes a program: a thread each on a GPU; the interpreter's programs cost the same whatever they hold."""
    return min(4096, int(triton.next_power_of_2(count))) if interpreted() else 32 * WARPS


def _at_home(data: Tensor) -> contextlib.AbstractContextManager[Any]:
    """Triton starts kernels on the current device, wherever the tensors lie."""
    return torch.cuda.device(data.device) if data.is_cuda else contextlib.nullcontext()


# What comes in.


def _rows(hypotheses: DeviceTokenIds, references: DeviceTokenIds, rows: Tensor | npt.ArrayLike | None) -> Tensor:
    _same_device(hypotheses, references)
    n, total, where = len(hypotheses), len(references), hypotheses.ids.device
    if rows is None:
        if total % n if n else total:
            raise DataError(
                f"{total} references are not the same number for each of {n} hypotheses",
                where="references",
                cure="Say with 'rows' which references belong to which record.",
            )
        return torch.arange(n + 1, device=where) * (total // n if n else 0)
    at = integers(rows if isinstance(rows, Tensor) else tensor(np.asarray(rows)), "rows", 1).to(where, torch.int64)
    if len(at) != n + 1 or not bool((at[0] == 0) & (at[-1] == total) & (at.diff() >= 0).all()):
        raise DataError(
            f"they do not part {total} references among {n} hypotheses",
            where="rows",
            cure=f"Give {n + 1} numbers that begin with 0, end with {total} and never fall.",
        )
    return at.contiguous()


def _same_device(hypotheses: DeviceTokenIds, references: DeviceTokenIds) -> None:
    one, other = hypotheses.ids.device, references.ids.device
    if one != other:
        raise DataError(
            f"the hypotheses lie on '{one}' and the others on '{other}'", where="ids", cure="Move them to one device."
        )


def _check_measure(measure: str) -> None:
    if measure not in MEASURES:
        raise ConfigError(
            f"'{measure}' is not a measure", where="measure", cure=f"Choose one of {', '.join(MEASURES)}."
        )
