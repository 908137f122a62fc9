"""Whether a head knows the records that it is to score: fitted on them, with their labels, it always finds a leak."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from m4i_fast.types import FeatureTable

__all__ = ["KEY", "share_known", "sketch"]

KEY = "fitted_rows"
"""In a head's ``about``: the sketch of the rows that it was fitted on."""

KEPT = 64


def sketch(table: FeatureTable) -> str:
    """The 64 smallest of 64-bit hashes of the rows (id and values), in hex: a random sample of them (Broder 1997)."""
    return " ".join(f"{value:016x}" for value in np.sort(_hashes(table))[:KEPT].tolist())


def share_known(sketched: str, table: FeatureTable) -> float:
    """Estimate, from a head's sketch, of the share of the rows it was fitted on that stand in ``table`` too: 0 to 1.

    Only the same record with the same answer of the same model is the same row.
    """
    fitted = np.array([int(value, 16) for value in sketched.split()], np.uint64)
    return float(np.isin(fitted, _hashes(table)).mean()) if len(fitted) else 0.0


def _hashes(table: FeatureTable) -> npt.NDArray[np.uint64]:
    values = np.ascontiguousarray(table.values, np.float64)
    rows = np.flatnonzero(np.isfinite(values).all(axis=1)).tolist()
    digests = [
        hashlib.blake2b(table.ids[row].encode() + b"\0" + values[row].tobytes(), digest_size=8).digest() for row in rows
    ]
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64)
