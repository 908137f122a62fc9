"""How well a caption fits its picture, by the angle between the two towers' vectors. No reference caption is needed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from m4i_fast.errors import AuditError
from m4i_fast.features.tables import need_same_ids
from m4i_fast.types import Embeddings, FeatureTable

__all__ = ["OTHERS", "alignment_features"]

OTHERS = 1000
"""Captions that a caption is ranked among, at most: enough for a rank to within 1 %."""

BLOCK = 4096


def alignment_features(image: Embeddings, text: Embeddings, *, encoder: str = "unknown") -> FeatureTable:
    """Cosine of picture and caption, and how many other captions fit the picture less well.

    A caption that is true of its picture alone ranks high even where all cosines are low; one that would do for any
    picture does not.

    Args:
        image: vectors of the pictures, float32 [N, D].
        text: vectors of the generated captions, float32 [N, D], rows in the same order.
        encoder: recipe of the two towers.

    Returns:
        ``cosine`` in -1 .. 1, and ``rank`` in 0 .. 1: the share of other records' captions whose cosine with this
        picture is lower, equal ones counted half. The others are up to ``OTHERS`` records, evenly spread over the run.
        NaN where a vector is missing or has no length.

    Raises:
        AuditError: other ids or another order, or towers of different widths.
    """
    need_same_ids(image.ids, text.ids, "image vectors", "text vectors")
    if image.values.shape != text.values.shape:
        raise AuditError(
            f"the image tower gives {image.values.shape[1]} numbers a record, the text tower {text.values.shape[1]}",
            cure="Encode both with towers that were trained together.",
        )
    pictures, captions = _unit(image.values), _unit(text.values)
    cosine = np.einsum("nd,nd->n", pictures, captions)
    good = np.flatnonzero(np.isfinite(cosine))
    chosen = good[np.linspace(0, good.size - 1, min(OTHERS, good.size)).round().astype(np.intp)] if good.size else good
    rank = np.full(cosine.shape, np.nan)
    for start in range(0, good.size, BLOCK):
        rows = good[start : start + BLOCK]
        others = pictures[rows] @ captions[chosen].T
        own = cosine[rows, None]
        # The same caption gives the same product to within rounding; it must not count as better or worse.
        equal = np.abs(others - own) <= 1e-9
        below = ((others < own) & ~equal).sum(axis=1) + 0.5 * equal.sum(axis=1)
        itself = np.isin(rows, chosen)
        count = chosen.size - itself
        rank[rows] = np.where(count > 0, (below - 0.5 * itself) / np.maximum(count, 1), 0.5)
    values = np.column_stack([cosine, rank])
    return FeatureTable(image.ids, ("cosine", "rank"), values, f"alignment|others:{OTHERS}|encoder:{encoder}")


def _unit(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    wide = values.astype(np.float64)
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    length[length == 0] = np.nan
    wide /= length
    return wide
