"""Does the exported graph answer as PyTorch does? Asked on pictures of the training and on drawn ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from m4i_fast.errors import DataError, RunFailed
from m4i_fast.nets.captioner import Decoded
from m4i_fast.nets.checkpoint import read_sample
from m4i_fast.types import Generations, ImageBatch

__all__ = [
    "FEATURES_WITHIN",
    "LOG_PROBS_WITHIN",
    "ExportReport",
    "check_captions",
    "check_vectors",
    "image_batch",
    "sample_pictures",
]

LOG_PROBS_WITHIN = 1e-3
FEATURES_WITHIN = 1e-4


@dataclass(frozen=True, slots=True)
class ExportReport:
    """An exported graph.

    Attributes:
        path: the file.
        sha256: its hash.
        bytes: its size.
        rows: rows of the sample on which it agreed with PyTorch.
        difference: largest difference seen, of log-probabilities or of features.
        wall_s: seconds, the check included.
    """

    path: Path
    sha256: str
    bytes: int
    rows: int
    difference: float
    wall_s: float


def sample_pictures(folder: Path, size: int, rows: int, given: npt.NDArray[np.uint8] | None) -> npt.NDArray[np.uint8]:
    """Pictures uint8 [rows, size, size, 3] to compare on: given ones, else the training's, filled up with drawn ones.

    Raises:
        DataError: the given ones do not fit.
    """
    if given is not None:
        if given.dtype != np.uint8 or given.shape[1:] != (size, size, 3) or not len(given):
            raise DataError(
                f"sample pictures are {given.dtype} {list(given.shape)}", cure=f"Give uint8 [n, {size}, {size}, 3]."
            )
        return given
    kept = read_sample(folder)
    found = np.zeros((0, size, size, 3), np.uint8)
    if kept is not None and tuple(kept.shape[1:]) == (size, size, 3):
        found = kept.numpy().astype(np.uint8)[:rows]
    return np.concatenate([found, _drawn(rows - len(found), size)])


def check_captions(found: Generations, wanted: Decoded, where: Path) -> float:
    """Compare all rows; gives the largest difference of the log-probabilities.

    Raises:
        RunFailed: a token, a length or (by more than 1e-3) a log-probability differs.
    """
    tokens, lengths = wanted.tokens.numpy(), wanted.lengths.numpy()
    reasons = [reason for reason in found.errors if reason]
    if reasons or found.log_probs is None:
        _fail(where, reasons[0] if reasons else "it gives no log-probabilities")
    same = (found.tokens == tokens).all(axis=1) & (found.lengths == lengths)
    if not same.all():
        row = int(np.flatnonzero(~same)[0])
        _fail(
            where,
            f"{int((~same).sum())} of {len(same)} captions differ, first in row {row}: "
            f"{found.tokens[row].tolist()} for {tokens[row].tolist()}",
        )
    difference = float(np.abs(found.log_probs - wanted.log_probs.numpy()).max(initial=0.0))
    if not difference <= LOG_PROBS_WITHIN:
        _fail(where, f"log-probabilities differ by {difference:.2g}, more than {LOG_PROBS_WITHIN}")
    return difference


def check_vectors(found: npt.NDArray[np.float32], wanted: npt.NDArray[np.float32], where: Path) -> float:
    """Compare all rows; gives the largest difference.

    Raises:
        RunFailed: a shape differs, or a value by more than 1e-4.
    """
    if found.shape != wanted.shape:
        _fail(where, f"vectors are {list(found.shape)}, PyTorch's {list(wanted.shape)}")
    difference = float(np.abs(found - wanted).max(initial=0.0))
    if not difference <= FEATURES_WITHIN:
        _fail(where, f"features differ by {difference:.2g}, more than {FEATURES_WITHIN}")
    return difference


def image_batch(pixels: npt.NDArray[np.uint8]) -> ImageBatch:
    """The sample as the engines take it."""
    return ImageBatch(tuple(str(row) for row in range(len(pixels))), pixels, (None,) * len(pixels))


def _drawn(rows: int, size: int) -> npt.NDArray[np.uint8]:
    """Smooth colour fields: coarse noise, enlarged. Plain noise would look all the same to an image network."""
    rng = np.random.default_rng(18)
    coarse = rng.integers(0, 256, (max(rows, 0), 4, 4, 3), dtype=np.uint8)
    place = np.arange(size) * 4 // size
    return coarse[:, place][:, :, place]


def _fail(where: Path, what: str) -> None:
    raise RunFailed(
        f"the exported graph does not agree with PyTorch: {what}",
        where=where,
        cure="Nothing was written. Check that the installed versions are those of constraints.txt.",
    )
