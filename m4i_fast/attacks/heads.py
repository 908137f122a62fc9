"""A fitted attack: small, frozen, plain arrays, so that it can be written as ONNX and read by anybody.

Every head is a sum of terms, each a feed-forward net on some of the features: one column for a threshold, one linear
layer for a support vector machine, a hidden layer for the MLP, two terms for the attack that uses both kinds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from m4i_fast.errors import AuditError
from m4i_fast.types import FeatureTable, MembershipScores

__all__ = ["Head", "Layer", "Term", "aligned_values", "score_table"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """``x @ weight + bias``. Weight float64 [in, out], bias float64 [out]; both hold float32 values exactly."""

    weight: FloatArray
    bias: FloatArray

    @staticmethod
    def of(weight: npt.ArrayLike, bias: npt.ArrayLike) -> Layer:
        """Round both to float32, so that the ONNX file holds the very numbers that the head computes with."""
        return Layer(*(np.asarray(each, np.float32).astype(np.float64) for each in (weight, bias)))


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """A net of ``layers`` with ReLU between them, on the features at ``columns``; the last layer gives one number."""

    columns: tuple[int, ...]
    layers: tuple[Layer, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A fitted attack.

    Attributes:
        name: of the attack, a key of ``ATTACKS``.
        features: names of its F inputs, in order.
        recipe: of the features that it was fitted on; a target's features must have the same.
        threshold: learned on the shadow alone: score > threshold is called a member.
        terms: their sum is the score.
        about: what a reader must know: how many shadow records, how it was chosen, its AUC on the shadow.
    """

    name: str
    features: tuple[str, ...]
    recipe: str
    threshold: float
    terms: tuple[Term, ...]
    about: dict[str, str] = field(default_factory=dict)

    def score(self, values: npt.ArrayLike) -> FloatArray:
        """Score records.

        Args:
            values: [N, F] in the order of ``features``.

        Returns:
            float64 [N], larger = more member-like; NaN where a feature is NaN.

        Raises:
            AuditError: another number of features.
        """
        x = np.asarray(values, np.float64)
        if x.ndim != 2 or x.shape[1] != len(self.features):
            raise AuditError(
                f"features of shape {x.shape}, the head '{self.name}' wants [N, {len(self.features)}]",
                cure="Give the features that the head names, in their order.",
            )
        total = np.zeros(x.shape[0])
        for term in self.terms:
            total += _run(x[:, list(term.columns)], term.layers)
        total[np.isnan(x).any(axis=1)] = np.nan
        return total


def aligned_values(table: FeatureTable, names: tuple[str, ...], recipe: str | None, *, head: str) -> FloatArray:
    """The columns ``names`` of a table, for a head that was fitted on features of ``recipe``.

    Args:
        table: features of the target.
        names: inputs of the head, in order.
        recipe: recipe that the head was fitted on.
        head: its name, for messages.

    Returns:
        float64 [N, F].

    Raises:
        AuditError: the table lacks a feature, or was made by another recipe: scores would mean nothing.
    """
    missing = [name for name in names if name not in table.names]
    if missing:
        raise AuditError(
            f"the head '{head}' was fitted on '{missing[0]}', which these features lack"
            + (f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""),
            cure="Make the target's features as the shadow's were made, or fit the head again: m4i-fast attack fit",
        )
    if recipe is None or table.recipe != recipe:
        raise AuditError(
            f"the head '{head}' was fitted on features of the recipe '{recipe}', these are '{table.recipe}'",
            cure="Make the target's features with the shadow's settings and towers, or fit the head again.",
        )
    if names == table.names:
        return table.values
    return table.values[:, [table.names.index(name) for name in names]]


def score_table(head: Head, table: FeatureTable) -> MembershipScores:
    """Score a table of features; rows with NaN features keep their place, with a NaN score.

    Raises:
        AuditError: features of other names or another recipe than the head was fitted on.
    """
    values = aligned_values(table, head.features, head.recipe, head=head.name)
    return MembershipScores(head.name, table.ids, head.score(values), head.threshold)


def _run(x: FloatArray, layers: tuple[Layer, ...]) -> FloatArray:
    for layer in layers[:-1]:
        x = np.maximum(x @ layer.weight + layer.bias, 0.0)
    return np.asarray((x @ layers[-1].weight + layers[-1].bias)[:, 0])
