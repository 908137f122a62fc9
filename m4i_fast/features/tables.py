"""Overlap scores and embeddings as feature tables; rows that cannot be had stay, as NaN."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from m4i_fast.errors import AuditError, ConfigError
from m4i_fast.types import Embeddings, FeatureTable, OverlapScores

__all__ = ["Z_MODES", "embedding_features", "join", "need_same_ids", "overlap_features"]

Z_MODES = ("signed", "abs")
"""``signed``: z = F_i - F_t, as the paper says. ``abs``: |F_i - F_t|, as its published code does."""


def overlap_features(overlap: OverlapScores, subset: Sequence[str] | None = None) -> FeatureTable:
    """Overlap metrics as features.

    Args:
        overlap: values float64 [N, F].
        subset: names of the metrics to take, in this order; None takes all.

    Returns:
        Values float64 [N, len(subset)]; NaN where the record has no hypothesis or no reference. The recipe is the
        metric's own.

    Raises:
        ConfigError: a name that the scores do not have, or one named twice.
    """
    names = overlap.names if subset is None else tuple(subset)
    unknown = [name for name in names if name not in overlap.names]
    if unknown or len(set(names)) != len(names) or not names:
        said = f"no overlap metric '{unknown[0]}'" if unknown else f"the metrics {list(names)} are not a set of names"
        raise ConfigError(said, cure=f"Choose, once each, from: {', '.join(overlap.names)}.")
    columns = [overlap.names.index(name) for name in names]
    return FeatureTable(overlap.ids, names, np.asarray(overlap.values, np.float64)[:, columns], overlap.recipe)


def embedding_features(
    image: Embeddings, text: Embeddings, mode: str = "signed", *, encoder: str = "unknown"
) -> FeatureTable:
    """The feature-based attack's z = F_i - F_t (Hu et al., NeurIPS 2022): no reference caption is needed.

    Args:
        image: vectors of the pictures, float32 [N, D].
        text: vectors of the generated captions, float32 [N, D], rows in the same order.
        mode: ``signed`` or ``abs``, see ``Z_MODES``.
        encoder: recipe of the two towers (a hash of their weights); shadow and target must share it.

    Returns:
        Values float64 [N, D], names ``z_0 ...``, recipe ``z|mode:signed|encoder:...``; a row is NaN where either
        vector has a NaN, so that nothing is told from half a vector.

    Raises:
        AuditError: other ids or another order, or towers of different widths.
        ConfigError: an unknown mode.
    """
    if mode not in Z_MODES:
        raise ConfigError(f"no z mode '{mode}'", cure=f"Choose one of: {', '.join(Z_MODES)}.")
    need_same_ids(image.ids, text.ids, "image vectors", "text vectors")
    if image.values.shape != text.values.shape:
        raise AuditError(
            f"the image tower gives {image.values.shape[1]} numbers a record, the text tower {text.values.shape[1]}",
            cure="Encode both with towers that were trained together.",
        )
    values = image.values.astype(np.float64) - text.values.astype(np.float64)
    if mode == "abs":
        np.abs(values, out=values)
    values[~np.isfinite(values).all(axis=1)] = np.nan
    names = tuple(f"z_{i}" for i in range(values.shape[1]))
    return FeatureTable(image.ids, names, values, f"z|mode:{mode}|encoder:{encoder}")


def join(first: FeatureTable, second: FeatureTable) -> FeatureTable:
    """Both tables' columns side by side, for attacks that use both.

    Raises:
        AuditError: other ids or another order, or a name that both have.
    """
    need_same_ids(first.ids, second.ids, "first features", "second features")
    twice = sorted(set(first.names) & set(second.names))
    if twice:
        raise AuditError(f"both tables have a feature '{twice[0]}'", cure="Join tables of different features.")
    return FeatureTable(
        first.ids,
        first.names + second.names,
        np.hstack([first.values, second.values]),
        f"{first.recipe}+{second.recipe}",
    )


def need_same_ids(first: tuple[str, ...], second: tuple[str, ...], name: str, other: str) -> None:
    """Hold that two tables are about the same records, in one order; ``name`` and ``other``: theirs, for the message.

    Raises:
        AuditError: they are not.
    """
    if first == second:
        return
    if len(first) != len(second):
        what = f"{len(first)} {name} but {len(second)} {other}"
    elif set(first) == set(second):
        what = f"the {name} and the {other} are in different orders"
    else:
        at = next(i for i, (one, two) in enumerate(zip(first, second, strict=True)) if one != two)
        what = f"the {name} and the {other} are of different records (row {at}: '{first[at]}' and '{second[at]}')"
    raise AuditError(what, cure="Make both from the same run.")
