"""ROC curves on disk: ``curves.parquet`` with columns name, fpr, tpr; thinned, so that the page stays small."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from m4i_fast.errors import DataError
from m4i_fast.runs import atomic_path
from m4i_fast.types import RocCurve

__all__ = ["read_curves", "thin", "write_curves"]


def write_curves(path: Path, curves: Mapping[str, RocCurve], *, max_points: int = 600) -> None:
    """Write curves, each thinned to at most ``max_points`` points, in the order given."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    thinned = {name: thin(curve, max_points) for name, curve in curves.items()}
    names = [name for name, curve in thinned.items() for _ in range(len(curve.fpr))]
    empty = [np.zeros(0)]
    table = pa.table(
        {
            "name": pa.array(names, pa.string()),
            "fpr": pa.array(np.concatenate([curve.fpr for curve in thinned.values()] or empty), pa.float64()),
            "tpr": pa.array(np.concatenate([curve.tpr for curve in thinned.values()] or empty), pa.float64()),
        }
    )
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_curves(path: Path) -> dict[str, RocCurve]:
    """The curves of a run by name, in their order.

    Raises:
        DataError: the file is missing, not Parquet, lacks a column or holds a rate outside [0, 1].
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise DataError("no such file", where=path, cure="Run first: m4i-fast evaluate")
    try:
        table = pq.read_table(path, columns=["name", "fpr", "tpr"])
        # asarray: a string column comes as objects; rates that are not numbers fail here.
        names = np.asarray(table["name"].to_pylist(), dtype=np.str_)
        rates = np.column_stack([table["fpr"].to_numpy(), table["tpr"].to_numpy()]).astype(np.float64)
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError, ValueError, TypeError) as error:
        raise DataError(f"not a table of ROC curves ({error})", where=path, cure="Make it again.") from error
    if len(rates) and not (np.isfinite(rates).all() and rates.min() >= 0 and rates.max() <= 1):
        raise DataError("a rate lies outside 0 to 1", where=path, cure="Make it again.")
    return {
        str(name): RocCurve(fpr=rates[names == name, 0], tpr=rates[names == name, 1]) for name in dict.fromkeys(names)
    }


def thin(curve: RocCurve, max_points: int = 600) -> RocCurve:
    """The curve with fewer points: what is left out lies nearly on the line through what is kept.

    First inner points of upright and level runs go, which changes nothing. Then points are kept that come nearest to
    grids even in FPR, in TPR and in log FPR, since the log-log plot shows the first per mille as wide as the rest.

    Args:
        curve: fpr and tpr, float64 [P], rising, both end points included.
        max_points: at most this many are kept, at least 8.
    """
    fpr, tpr = curve.fpr, curve.tpr
    if len(fpr) > 2:
        level = (tpr[:-2] == tpr[1:-1]) & (tpr[1:-1] == tpr[2:])
        upright = (fpr[:-2] == fpr[1:-1]) & (fpr[1:-1] == fpr[2:])
        keep = np.concatenate([[True], ~(level | upright), [True]])
        fpr, tpr = fpr[keep], tpr[keep]
    if len(fpr) <= max_points:
        return RocCurve(fpr, tpr)
    each = max((max_points - 2) // 3, 2)
    smallest = fpr[fpr > 0][0]
    picked = np.concatenate(
        [
            [0, len(fpr) - 1],
            np.searchsorted(fpr, np.geomspace(smallest, 1.0, each), side="right") - 1,
            np.searchsorted(fpr, np.linspace(0.0, 1.0, each), side="right") - 1,  # the last of each rate, 0 included
            np.searchsorted(tpr, np.linspace(0.0, 1.0, each)),
        ]
    )
    index = np.unique(np.clip(picked, 0, len(fpr) - 1))
    return RocCurve(fpr[index], tpr[index])
