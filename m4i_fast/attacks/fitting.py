"""Fitting attacks on the shadow's records. Nothing of the target is seen here: neither its labels nor its features.

The attacks stand in ``m4i_fast.attacks.catalogue``, their sources in docs/attacks.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from m4i_fast.attacks.catalogue import ATTACKS, families_of
from m4i_fast.attacks.heads import Head, Layer, Term
from m4i_fast.attacks.models import folds, forward, logistic, mlp, svm
from m4i_fast.errors import AuditError
from m4i_fast.features.tables import join
from m4i_fast.stats.labels import labels_of
from m4i_fast.stats.roc import auc, roc
from m4i_fast.types import FeatureTable, Membership

__all__ = ["FAMILIES_KEY", "best_threshold", "fit", "table_of"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

LEAST = 10
"""Records of each class below which nothing is fitted."""
FAMILIES_KEY = "families"
"""In a head's ``about``: the families of features that it looks at, joined by '+'."""


def table_of(families: Sequence[str], tables: Mapping[str, FeatureTable]) -> FeatureTable:
    """The features of some families side by side."""
    return reduce(join, (tables[family] for family in families))


def fit(
    name: str,
    tables: Mapping[str, FeatureTable],
    membership: Membership,
    *,
    seed: int,
    groups: Sequence[str] | None = None,
) -> Head:
    """Fit an attack on the shadow.

    Args:
        name: a key of ``ATTACKS``.
        tables: of the shadow's records, by family; more than the attack needs are fine. Rows in which a needed feature
            is NaN are left out and counted in ``Head.about``.
        membership: the shadow's labels.
        seed: for folds and the MLP's weights; same seed, same head.
        groups: N names; records of one group stay in one fold of the cross-validation.

    Raises:
        ConfigError: no such attack.
        AuditError: a family or feature that it needs is missing, one class only, or too few usable records of a class.
    """
    families = families_of(name, tables)
    attack, features = ATTACKS[name], table_of(families, tables)
    names = attack.columns or features.names
    missing = [each for each in names if each not in features.names]
    if missing:
        raise AuditError(
            f"the attack '{name}' needs the feature '{missing[0]}', which these features lack",
            cure="Make the features of both sides with this version: m4i-fast attack fit, m4i-fast attack score.",
        )
    labels = labels_of(features.ids, membership)
    values = features.values[:, [features.names.index(each) for each in names]]
    usable = np.isfinite(values).all(axis=1)
    x, y = values[usable], labels[usable]
    _enough(name, y, int((~usable).sum()))
    blocks = np.arange(labels.size)[usable] if groups is None else np.asarray(groups)[usable]
    family_of = {column: family for family in families for column in tables[family].names}
    fitted = _fitted(attack.model, x, y, blocks, seed, [family_of[each] for each in names])
    head = Head(name, names, features.recipe, 0.0, fitted.terms)
    threshold = 0.0 if fitted.scores is None else best_threshold(fitted.scores, y)
    own = head.score(x) if fitted.scores is None else fitted.scores
    about = {
        "fitted_on": f"{int(y.sum())} shadow members, {int((~y).sum())} shadow non-members",
        "left_out": f"{int((~usable).sum())} shadow records without features",
        "how": fitted.how,
        "shadow_auc": f"{auc(own, y):.4f} ({'out of fold' if fitted.out_of_fold else 'in sample'})",
        "seed": str(seed),
        FAMILIES_KEY: "+".join(families),
    }
    if fitted.parts:
        parts = ((family, auc(scores, y)) for family, scores in fitted.parts.items())
        about["parts"] = ", ".join(
            f"{family} {alone:.3f}" for family, alone in sorted(parts, key=lambda each: -each[1])
        )
    return Head(name, names, features.recipe, threshold, fitted.terms, about)


def best_threshold(scores: FloatArray, is_member: BoolArray) -> float:
    """The threshold of the best balanced accuracy, half-way between two distinct scores.

    Half-way, so that rounding a score to float32 cannot carry it across. Of equally good ones the highest is taken:
    it calls fewest records members.
    """
    curve = roc(scores, is_member)
    distinct = np.unique(scores)[::-1]
    # Point i calls the i highest distinct scores members; the last, which calls everybody, is no threshold of use.
    gain = (curve.tpr - curve.fpr)[:-1]
    best = int(gain.argmax())
    if best == 0:
        return float(distinct[0])
    return float((distinct[best - 1] + distinct[best]) / 2)


@dataclass(frozen=True, slots=True)
class _Fitted:
    """What was learned.

    Attributes:
        scores: of the shadow's own records, float64 [N], to choose the threshold by; None: it is 0.
        parts: of a stack, what each family adds to the out-of-fold scores, float64 [N].
    """

    terms: tuple[Term, ...]
    how: str
    scores: FloatArray | None = None
    out_of_fold: bool = False
    parts: dict[str, FloatArray] | None = None


def _fitted(
    model: str, x: FloatArray, y: BoolArray, blocks: npt.NDArray[Any], seed: int, families: Sequence[str]
) -> _Fitted:
    """``families``: of each column."""
    every = tuple(range(x.shape[1]))
    if model == "threshold":
        layer = Layer.of([[1.0]], [0.0])
        return _Fitted((Term((0,), (layer,)),), "threshold of the best balanced accuracy", x[:, 0])
    if model == "svm":
        return _Fitted((Term(every, (svm(x, y, seed),)),), "linear SVM, C=1e5, its own boundary")
    if model == "mlp":
        layers, held_out, how = mlp(x, y, blocks, seed)
        return _Fitted((Term(every, layers),), how, held_out, out_of_fold=True)
    return _stack(x, y, blocks, seed, families)


def _stack(x: FloatArray, y: BoolArray, blocks: npt.NDArray[Any], seed: int, families: Sequence[str]) -> _Fitted:
    """Logistic regression on all columns but z, and on the out-of-fold score of an MLP on z, where there is z.

    In-fold scores would be trusted far too much.
    """
    z = tuple(column for column, family in enumerate(families) if family == "z")
    plain = tuple(column for column in range(len(families)) if column not in z)
    inputs, owners = x[:, plain], [families[column] for column in plain]
    how = f"logistic on {len(plain)} features"
    layers: tuple[Layer, ...] = ()
    if z:
        layers, inner, inner_how = mlp(x[:, z], y, blocks, seed)
        inputs, owners = np.column_stack([inputs, inner]), [*owners, "z"]
        how += f" and fb ({inner_how})"
    held_out, parts = np.zeros(y.size), {family: np.zeros(y.size) for family in dict.fromkeys(owners)}
    for train, test in folds(y, blocks, seed + 1):
        layer = logistic(inputs[train], y[train])
        held_out[test] = forward(inputs[test], (layer,))
        for family, added in parts.items():
            columns = [column for column, owner in enumerate(owners) if owner == family]
            added[test] = inputs[test][:, columns] @ layer.weight[columns, 0]
            # Weights differ a little from fold to fold, and so would the level.
            added[test] -= added[test].mean()
    combined = logistic(inputs, y)
    terms = [Term(plain, (Layer.of(combined.weight[: len(plain)], combined.bias),))]
    if z:
        *hidden, last = layers
        weight = float(combined.weight[-1, 0])
        terms.append(Term(z, (*hidden, Layer.of(last.weight * weight, last.bias * weight))))
    return _Fitted(tuple(terms), how, held_out, out_of_fold=True, parts=parts if len(parts) > 1 else None)


def _enough(name: str, y: BoolArray, left_out: int) -> None:
    inside, outside = int(y.sum()), int((~y).sum())
    if min(inside, outside) < LEAST:
        without = f" ({left_out} more have no features)" if left_out else ""
        raise AuditError(
            f"the attack '{name}' cannot be fitted on {inside} shadow members and {outside} non-members{without}",
            cure=f"Give the shadow at least {LEAST} of each, better 1,000.",
        )
