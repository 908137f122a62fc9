"""How sure the model was of its own words; the caption's probability, not that of any reference."""

from __future__ import annotations

import numpy as np

from m4i_fast.errors import AuditError
from m4i_fast.types import FeatureTable, Generations

__all__ = ["answer_features"]


def answer_features(said: Generations) -> FeatureTable:
    """Mean and least log-probability of the tokens that were chosen.

    Args:
        said: answers with ``log_probs`` float32 [N, T].

    Returns:
        ``log_prob_mean``, ``log_prob_min``, natural logarithms; NaN where a row has no token, an error, or a
        probability that is no number.

    Raises:
        AuditError: the engine gave no log-probabilities.
    """
    if said.log_probs is None:
        raise AuditError("these answers have no log-probabilities", cure="Ask an engine that gives them.")
    given = said.log_probs.astype(np.float64)
    inside = np.arange(given.shape[1]) < said.lengths[:, None]
    count = inside.sum(axis=1)
    bad = (count == 0) | np.array([error is not None for error in said.errors], np.bool_)
    bad |= (inside & ~np.isfinite(given)).any(axis=1)
    mean = np.where(inside, given, 0.0).sum(axis=1) / np.maximum(count, 1)
    least = np.where(inside, given, np.inf).min(axis=1, initial=np.inf)
    values = np.column_stack([mean, least])
    values[bad] = np.nan
    return FeatureTable(said.ids, ("log_prob_mean", "log_prob_min"), values, "answer|log_probs:chosen")
