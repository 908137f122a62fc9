"""The pictures of a training: decoded once, and run through a frozen image network once.

Features are kept on disk by the content of the image file, the weights and the preprocessing: an epoch then costs
seconds, and a second training on the same pictures starts at once.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from m4i_fast.errors import DataError, EngineError
from m4i_fast.nets.backbones import Backbone, read_weights, weights_digest
from m4i_fast.nets.checkpoint import save_tensors
from m4i_fast.progress import progress
from m4i_fast.types import Record

__all__ = ["Features", "Pictures", "frozen_features"]

_CHUNK = 64  # pictures at once through the network
_PART = 512  # pictures in one file of the cache: what a killed run loses at most
_IN_MEMORY = 2 << 30  # bytes of decoded pictures that are held; beyond, each batch is decoded anew


@dataclass(frozen=True, slots=True)
class Features:
    """``values``: float32 [N, D], zero where unreadable. ``errors``: N reasons, or None."""

    values: torch.Tensor
    errors: tuple[str | None, ...]


class Pictures:
    """Pictures of records by row number.

    Args:
        records: N records; those with ``error`` set are not opened.
        size: height and width in pixels.
        pixels: uint8 [N, size, size, 3], decoded already; then no file is opened.

    Raises:
        DataError: ``pixels`` does not fit.
    """

    def __init__(self, records: Sequence[Record], size: int, pixels: npt.NDArray[np.uint8] | None = None) -> None:
        if pixels is not None and (pixels.shape != (len(records), size, size, 3) or pixels.dtype != np.uint8):
            raise DataError(
                f"pixels are {pixels.dtype} {list(pixels.shape)}",
                where="pixels",
                cure=f"Give uint8 [{len(records)}, {size}, {size}, 3].",
            )
        self._records, self._size, self._pixels = records, size, pixels

    def __len__(self) -> int:
        return len(self._records)

    def digests(self) -> list[str]:
        """SHA-256 of each picture's content, the file as it lies there; empty where it cannot be opened."""
        if self._pixels is not None:
            return [hashlib.sha256(row.tobytes()).hexdigest() for row in self._pixels]
        from m4i_fast.data.bytes import ImageReader
        from m4i_fast.data.fingerprints import image_digests

        with ImageReader() as reader:
            return [digest or "" for digest in image_digests(self._records, reader=reader)]

    def rows(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.uint8], list[str | None]]:
        """Pixels uint8 [n, S, S, 3] of some rows, zero where unreadable, and the reasons."""
        if self._pixels is not None:
            return self._pixels[np.asarray(rows, np.int64)], [self._records[row].error for row in rows]
        from m4i_fast.data.images import decode

        chosen = [self._records[row] for row in rows]
        pixels = np.zeros((len(chosen), self._size, self._size, 3), np.uint8)
        errors = [record.error for record in chosen]
        good = [place for place, error in enumerate(errors) if error is None]
        decoded = decode([chosen[place].image for place in good], self._size, threads=min(4, os.cpu_count() or 1))
        pixels[good] = decoded.pixels
        for place, error in zip(good, decoded.errors, strict=True):
            errors[place] = error
        return pixels, errors

    def load(self) -> list[str | None]:
        """Decode all pictures, keep them in memory where they fit; gives N reasons, None for a good picture."""
        keep = self._pixels is None and len(self) * self._size * self._size * 3 <= _IN_MEMORY
        held = np.zeros((len(self), self._size, self._size, 3), np.uint8) if keep else None
        errors: list[str | None] = []
        with progress("decode pictures", len(self)) as advance:
            for start in range(0, len(self), _CHUNK):
                chunk = range(start, min(start + _CHUNK, len(self)))
                pixels, reasons = self.rows(chunk)
                errors += reasons
                if held is not None:
                    held[start : chunk.stop] = pixels
                advance(len(chunk))
        if held is not None:
            self._pixels = held
        return errors


def frozen_features(backbone: Backbone, pictures: Pictures, digests: Sequence[str], cache: Path) -> Features:
    """Features of all pictures by a frozen network, from the cache where they lie there.

    Args:
        backbone: the network, in evaluation mode.
        pictures: N pictures.
        digests: their content hashes, of ``pictures.digests()``.
        cache: folder of the cache; may serve many trainings.
    """
    recipe = f"{weights_digest(backbone)}|{backbone.preprocessing}|v1"
    folder = cache / f"{backbone.name}-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}"
    values = torch.zeros(len(pictures), backbone.dim)
    errors: list[str | None] = [None] * len(pictures)
    known = _read_cache(folder, backbone.dim)
    absent: list[int] = []
    for row, digest in enumerate(digests):
        found = known.get(digest)
        if found is None:
            absent.append(row)
        else:
            values[row] = found
    if absent:
        with progress(f"features of {backbone.name}", len(absent)) as advance:
            for start in range(0, len(absent), _PART):
                part = absent[start : start + _PART]
                for begin in range(0, len(part), _CHUNK):
                    chunk = part[begin : begin + _CHUNK]
                    pixels, reasons = pictures.rows(chunk)
                    with torch.inference_mode():
                        values[chunk] = backbone(torch.from_numpy(pixels))
                    for row, reason in zip(chunk, reasons, strict=True):
                        errors[row] = reason
                    advance(len(chunk))
                _write_part(folder, values, [row for row in part if errors[row] is None and digests[row]], digests)
    for row, error in enumerate(errors):
        if error is not None:
            values[row] = 0.0
    return Features(values, tuple(errors))


def _read_cache(folder: Path, dim: int) -> dict[str, torch.Tensor]:
    known: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("part-*.safetensors")):
        try:
            tensors = read_weights(path)
            digests, values = tensors["digests"], tensors["features"]
        except (EngineError, KeyError):
            path.unlink(missing_ok=True)  # damaged: it is only a cache
            continue
        if digests.shape == (len(values), 32) and values.shape[1:] == (dim,):
            known |= {row.tobytes().hex(): value for row, value in zip(digests.numpy(), values, strict=True)}
    return known


def _write_part(folder: Path, values: torch.Tensor, rows: list[int], digests: Sequence[str]) -> None:
    if not rows:
        return
    packed = torch.tensor([list(bytes.fromhex(digests[row])) for row in rows], dtype=torch.uint8)
    name = hashlib.sha256(packed.numpy().tobytes()).hexdigest()[:16]
    save_tensors(folder / f"part-{name}.safetensors", {"digests": packed, "features": values[rows]})
