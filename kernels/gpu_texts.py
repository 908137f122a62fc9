"""Texts that are numbers and lie on the GPU, as torch tensors, and what is found out about them.

Importing this needs the extra ``triton`` (an ``ExtraMissing`` where it is absent).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy.typing as npt

from m4i_fast.errors import ConfigError, DataError
from m4i_fast.extras import require
from m4i_fast.kernels.ids import Nearest, TokenIds
from m4i_fast.kernels.statistics import OverlapStatistics

for _module in ("triton", "torch"):
    require(_module, why="counting on the GPU", extra="triton")

# After that: without the extra its line is what the user should read, not an ImportError.
import torch  # noqa: E402 - after require
import triton  # noqa: E402 - as torch
from torch import Tensor  # noqa: E402 - as torch

from m4i_fast.kernels import gpu_kernels  # noqa: E402 - imports triton itself

__all__ = [
    "LARGEST",
    "DeviceNearest",
    "DeviceStatistics",
    "DeviceTokenIds",
    "check",
    "device",
    "integers",
    "interpreted",
    "tensor",
]

LARGEST: Final = 2**31 - 1
"""The largest id, and the longest text."""


def interpreted() -> bool:
    """Whether Triton's interpreter is at work, as ``TRITON_INTERPRET=1`` wanted it when Triton was imported."""
    return not isinstance(gpu_kernels.compare, triton.JITFunction)


def check() -> None:
    """See to it that something can be counted here.

    Raises:
        ConfigError: no GPU that CUDA knows is here, and the interpreter was not asked for.
    """
    if not interpreted() and not torch.cuda.is_available():
        raise ConfigError(
            "no GPU that CUDA knows is here",
            where="triton",
            cure="Count on the processor, or set TRITON_INTERPRET=1 before Python starts: slow, the same results.",
        )


def device() -> torch.device:
    """Where texts are counted unless they lie elsewhere; errors as of ``check``."""
    check()
    return torch.device("cpu") if interpreted() else torch.device("cuda", torch.cuda.current_device())


@dataclass(frozen=True, slots=True, eq=False)
class DeviceTokenIds:
    """N texts as numbers on a device, one after the other; as ``TokenIds``.

    Attributes:
        ids: int32 [T], each 0 or more. Any integer tensor is taken.
        offsets: int64 [N + 1] from 0 to T; text i is ids[offsets[i]] .. ids[offsets[i + 1] - 1].

    Raises:
        DataError: an id is negative or beyond int32 (says which), the offsets do not part the ids, or the tensors lie
            where they cannot be counted.
        ConfigError: nothing can be counted here (``check``).
    """

    ids: Tensor
    offsets: Tensor

    def __post_init__(self) -> None:
        ids, offsets = integers(self.ids, "ids", 1), integers(self.offsets, "offsets", 1).to(self.ids.device)
        if ids.device.type != device().type:
            raise DataError(
                f"the ids lie on '{ids.device}'",
                where="ids",
                cure="The interpreter counts on 'cpu'." if interpreted() else "Move them to a GPU: ids.to('cuda').",
            )
        wrong = (ids < 0) | (ids > LARGEST)
        # One answer from the device: whether an id is wrong, and whether the offsets part the ids.
        parted = len(offsets) > 0 and (offsets[0] == 0) & (offsets[-1] == len(ids)) & (offsets.diff() >= 0).all()
        bad, good = torch.stack((wrong.any(), torch.as_tensor(parted, device=ids.device))).tolist()
        if bad:
            first = int(wrong.nonzero()[0])
            raise DataError(
                f"the token id {int(ids[first])} is out of range",
                where=f"ids[{first}]",
                cure=f"Ids are 0 to {LARGEST}; leave padding out.",
            )
        if not good:
            raise DataError(
                f"the offsets do not part {len(ids)} ids",
                where="offsets",
                cure=f"They begin with 0, end with {len(ids)} and never fall.",
            )
        object.__setattr__(self, "ids", ids.to(torch.int32).contiguous())
        object.__setattr__(self, "offsets", offsets.to(torch.int64).contiguous())

    @classmethod
    def from_host(cls, texts: TokenIds, where: torch.device | str | None = None) -> DeviceTokenIds:
        """Copied to a device: ``where``, or ``device()``."""
        there = device() if where is None else torch.device(where)
        return cls(tensor(texts.ids, there), tensor(texts.offsets, there))

    @classmethod
    def from_padded(cls, matrix: Tensor, lengths: Tensor) -> DeviceTokenIds:
        """As a captioner gives them: integers [N, L], of which row i holds lengths[i] tokens."""
        table, sizes = integers(matrix, "matrix", 2), integers(lengths, "lengths", 1).to(matrix.device, torch.int64)
        if len(sizes) != len(table):
            raise DataError(
                f"there are {len(sizes)} lengths for {len(table)} rows", where="lengths", cure="Give one length a row."
            )
        wrong = (sizes < 0) | (sizes > table.shape[1])
        if wrong.any():
            first = int(wrong.nonzero()[0])
            raise DataError(
                f"a row of {table.shape[1]} ids cannot hold {int(sizes[first])} tokens",
                where=f"lengths[{first}]",
                cure=f"Lengths are 0 to {table.shape[1]}.",
            )
        inside = torch.arange(table.shape[1], device=table.device) < sizes[:, None]
        return cls(table[inside], torch.cat((sizes.new_zeros(1), sizes.cumsum(0))))

    def __len__(self) -> int:
        """N."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Tensor:
        """int32 [N], in tokens."""
        return self.offsets.diff().to(torch.int32)


@dataclass(frozen=True, slots=True, eq=False)
class DeviceStatistics:
    """``OverlapStatistics`` as tensors of the same names, types and shapes, on the device of the ids."""

    offsets: Tensor
    hypothesis_length: Tensor
    hypothesis_length_lcs: Tensor
    best_matches: Tensor
    closest_length: Tensor
    lcs: Tensor
    matches: Tensor
    reference_length: Tensor
    reference_length_lcs: Tensor

    def to_host(self) -> OverlapStatistics:
        """Copied to NumPy."""
        return OverlapStatistics(**{field.name: getattr(self, field.name).cpu().numpy() for field in fields(self)})


@dataclass(frozen=True, slots=True, eq=False)
class DeviceNearest:
    """``Nearest`` as tensors: scores float64 [N, k], indices int64 [N, k]."""

    scores: Tensor
    indices: Tensor

    def to_host(self) -> Nearest:
        """Copied to NumPy."""
        return Nearest(self.scores.cpu().numpy(), self.indices.cpu().numpy())


def integers(values: Tensor, name: str, dimensions: int) -> Tensor:
    """``values``, an argument of this name; a DataError where they are no integers in so many dimensions."""
    whole = not (values.is_floating_point() or values.is_complex() or values.dtype == torch.bool)
    if not whole or values.ndim != dimensions:
        raise DataError(
            f"integers in {dimensions} dimension{'s' * (dimensions > 1)} are wanted, not {values.dtype} in "
            f"{values.ndim}",
            where=name,
            cure="Give a torch tensor of integers.",
        )
    # torch has few operations for the wider types without sign; what is beyond int64 becomes negative, so is found.
    return values.to(torch.int64) if values.dtype in {torch.uint16, torch.uint32, torch.uint64} else values


def tensor(values: npt.NDArray[Any], where: torch.device | None = None) -> Tensor:
    """A NumPy array as a tensor; a DataError where it holds no numbers."""
    if values.dtype.kind not in "biuf":
        raise DataError(
            f"integers are wanted, not {values.dtype}",
            where="rows",
            cure="Give a torch tensor or an array of integers.",
        )
    # torch warns of arrays that it cannot write to, though it only reads them here.
    return torch.from_numpy(values if values.flags.writeable else values.copy()).to(where)
