"""Fitting attacks on the shadow's records. Nothing of the target is seen here: neither its labels nor its features.

| attack | inputs | what is learned on the shadow |
|---|---|---|
| mb_threshold | rouge_l | one threshold (the paper's metric-based attack) |
| mb_svm | rouge_1, rouge_2, rouge_l | linear support vector machine, C = 1e5 (its published code) |
| fb_mlp | z = F_i - F_t | MLP 64-1 on standardised z (the paper does not give its layers) |
| both | all overlap scores and z | logistic regression on the overlap scores and the out-of-fold score of fb_mlp |
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from m4i_fast.attacks.heads import Head, Layer, Term
from m4i_fast.errors import AuditError, ConfigError
from m4i_fast.stats.labels import labels_of
from m4i_fast.stats.roc import auc, roc
from m4i_fast.types import FeatureTable, Membership

__all__ = ["ATTACKS", "Attack", "best_threshold", "fit"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

LEAST = 10
"""Records of each class below which nothing is fitted."""
LEAST_FOR_MLP = 100
"""Records of each class below which the feature-based head is linear: a hidden layer would learn them by heart."""
FOLDS = 5
HIDDEN = 64
EPOCHS = 20
ALPHAS = (3.0, 30.0)
"""L2 penalties to choose from, as scikit-learn counts them (divided by the batch of 128)."""


@dataclass(frozen=True, slots=True)
class Attack:
    """What an attack needs and does.

    Attributes:
        needs: the feature table: ``overlap``, ``z`` or ``both``.
        description: one line.
        queries: captions asked of the target, a record.
        references: whether it needs ground-truth captions.
    """

    needs: str
    description: str
    queries: int
    references: bool


ATTACKS: dict[str, Attack] = {
    "mb_threshold": Attack("overlap", "ROUGE-L of the caption against a threshold", 1, references=True),
    "mb_svm": Attack("overlap", "linear SVM on ROUGE-1, ROUGE-2 and ROUGE-L", 1, references=True),
    "fb_mlp": Attack(
        "z", "MLP on the difference of image and caption vectors; no reference caption", 1, references=False
    ),
    "both": Attack("both", "logistic regression on all overlap scores and the fb_mlp score", 1, references=True),
}
"""Every attack by name, in the order of tables."""

_COLUMNS = {"mb_threshold": ("rouge_l",), "mb_svm": ("rouge_1", "rouge_2", "rouge_l")}


def fit(
    name: str,
    features: FeatureTable,
    membership: Membership,
    *,
    seed: int,
    groups: Sequence[str] | None = None,
) -> Head:
    """Fit an attack on the shadow.

    Args:
        name: a key of ``ATTACKS``.
        features: of the shadow's records; more columns than the attack needs are fine. Rows in which a needed feature
            is NaN are left out and counted in ``Head.about``.
        membership: the shadow's labels.
        seed: for folds and the MLP's weights; same seed, same head.
        groups: N names; records of one group stay in one fold of the cross-validation.

    Raises:
        ConfigError: no such attack.
        AuditError: a feature that it needs is missing, one class only, or too few usable records of a class.
    """
    if name not in ATTACKS:
        raise ConfigError(f"no attack '{name}'", cure=f"Choose from: {', '.join(ATTACKS)}.")
    names = _needed(name, features)
    labels = labels_of(features.ids, membership)
    values = features.values[:, [features.names.index(each) for each in names]]
    usable = np.isfinite(values).all(axis=1)
    x, y = values[usable], labels[usable]
    _enough(name, y, int((~usable).sum()))
    blocks = np.arange(labels.size)[usable] if groups is None else np.asarray(groups)[usable]
    terms: tuple[Term, ...]
    held_out: FloatArray | None
    z = [i for i, each in enumerate(names) if each.startswith("z_")]
    overlap = [i for i in range(len(names)) if i not in z]
    if name == "mb_threshold":
        layer = Layer.of([[1.0]], [0.0])
        terms, held_out, how = (Term((0,), (layer,)),), x[:, 0], "threshold of the best balanced accuracy"
    elif name == "mb_svm":
        layer = _svm(x, y, seed)
        terms, held_out, how = (Term(tuple(range(3)), (layer,)),), None, "linear SVM, C=1e5, its own boundary"
    elif name == "fb_mlp":
        layers, held_out, how = _mlp(x, y, blocks, seed)
        terms = (Term(tuple(range(len(names))), layers),)
    else:
        layers, inner, how = _mlp(x[:, z], y, blocks, seed)
        terms, held_out = _stack(x[:, overlap], inner, y, blocks, seed, tuple(overlap), tuple(z), layers)
        how = f"logistic on {len(overlap)} overlap scores and fb ({how})"
    head = Head(name, names, features.recipe, 0.0, terms)
    own = held_out if held_out is not None else head.score(x)
    threshold = 0.0 if held_out is None else best_threshold(own, y)
    about = {
        "fitted_on": f"{int(y.sum())} shadow members, {int((~y).sum())} shadow non-members",
        "left_out": f"{int((~usable).sum())} shadow records without features",
        "how": how,
        "shadow_auc": f"{auc(own, y):.4f} ({'out of fold' if name in {'fb_mlp', 'both'} else 'in sample'})",
        "seed": str(seed),
    }
    return Head(name, names, features.recipe, threshold, terms, about)


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


def _needed(name: str, features: FeatureTable) -> tuple[str, ...]:
    z = tuple(each for each in features.names if each.startswith("z_"))
    overlap = tuple(each for each in features.names if not each.startswith("z_"))
    wanted = _COLUMNS.get(name, z if name == "fb_mlp" else overlap + z)
    missing = [each for each in wanted if each not in features.names]
    if ATTACKS[name].needs in {"z", "both"} and not z:
        missing = ["z_0"]
    if ATTACKS[name].needs in {"overlap", "both"} and not overlap:
        missing = ["rouge_l"]
    if missing:
        raise AuditError(
            f"the attack '{name}' needs the feature '{missing[0]}', which this table lacks",
            cure=f"Give it the table of: {ATTACKS[name].needs}.",
        )
    return wanted


def _enough(name: str, y: BoolArray, left_out: int) -> None:
    inside, outside = int(y.sum()), int((~y).sum())
    if min(inside, outside) < LEAST:
        without = f" ({left_out} more have no features)" if left_out else ""
        raise AuditError(
            f"the attack '{name}' cannot be fitted on {inside} shadow members and {outside} non-members{without}",
            cure=f"Give the shadow at least {LEAST} of each, better 1,000.",
        )


def _svm(x: FloatArray, y: BoolArray, seed: int) -> Layer:
    from sklearn.svm import LinearSVC

    # The primal is convex and small: it converges where the dual, at C = 1e5, does not.
    model = LinearSVC(C=1e5, dual=False, class_weight="balanced", max_iter=10_000, random_state=seed)
    model.fit(x, y)
    return Layer.of(model.coef_.T, model.intercept_)


def _mlp(x: FloatArray, y: BoolArray, blocks: npt.NDArray[Any], seed: int) -> tuple[tuple[Layer, ...], FloatArray, str]:
    """The net, out-of-fold scores float64 [N], and how it was chosen."""
    deep = min(int(y.sum()), int((~y).sum())) >= LEAST_FOR_MLP
    choices = ALPHAS if deep else (0.0,)
    folds = _folds(y, blocks, seed)
    held_out = np.zeros((len(choices), y.size))
    for train, test in folds:
        for i, alpha in enumerate(choices):
            held_out[i, test] = _forward(x[test], _net(x[train], y[train], alpha, seed))
    merit = [np.mean([auc(scores[test], y[test]) for _, test in folds]) for scores in held_out]
    best = int(np.argmax(merit))
    how = f"MLP {HIDDEN}-1, alpha {choices[best]:g}, {EPOCHS} epochs" if deep else "logistic, C=0.01 (a small shadow)"
    return _net(x, y, choices[best], seed), held_out[best], f"{how}, {len(folds)}-fold"


def _net(x: FloatArray, y: BoolArray, alpha: float, seed: int) -> tuple[Layer, ...]:
    """Fit on standardised inputs and fold the standardisation into the first layer; alpha 0 means linear."""
    mean, scale = x.mean(axis=0), x.std(axis=0)
    # A constant column tells nothing; dividing by its rounding noise would.
    scale[scale <= 1e-9 * np.maximum(1.0, np.abs(mean))] = np.inf
    standard = (x - mean) / scale
    if alpha == 0:
        from sklearn.linear_model import LogisticRegression

        linear = LogisticRegression(C=0.01, class_weight="balanced", max_iter=1000).fit(standard, y)
        weights, biases = [linear.coef_.T], [linear.intercept_]
    else:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier

        model = MLPClassifier((HIDDEN,), alpha=alpha, batch_size=128, max_iter=EPOCHS, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a fixed number of epochs is the point
            model.fit(standard, y)
        weights, biases = model.coefs_, model.intercepts_
    first = weights[0] / scale[:, None]
    layers = [(first, biases[0] - mean @ first), *zip(weights[1:], biases[1:], strict=True)]
    return tuple(Layer.of(weight, bias) for weight, bias in layers)


def _stack(
    overlap: FloatArray,
    inner: FloatArray,
    y: BoolArray,
    blocks: npt.NDArray[Any],
    seed: int,
    overlap_columns: tuple[int, ...],
    z_columns: tuple[int, ...],
    layers: tuple[Layer, ...],
) -> tuple[tuple[Term, ...], FloatArray]:
    """Logistic regression on [overlap, out-of-fold score]: in-fold scores would be trusted far too much."""
    x = np.column_stack([overlap, inner])
    held_out = np.zeros(y.size)
    for train, test in _folds(y, blocks, seed + 1):
        held_out[test] = _forward(x[test], _logistic(x[train], y[train]))
    (combined,) = _logistic(x, y)
    *hidden, last = layers
    weight = float(combined.weight[-1, 0])
    scaled = Layer.of(last.weight * weight, last.bias * weight)
    return (
        Term(overlap_columns, (Layer.of(combined.weight[:-1], combined.bias),)),
        Term(z_columns, (*hidden, scaled)),
    ), held_out


def _logistic(x: FloatArray, y: BoolArray) -> tuple[Layer, ...]:
    from sklearn.linear_model import LogisticRegression

    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale[scale <= 1e-9 * np.maximum(1.0, np.abs(mean))] = np.inf
    model = LogisticRegression(C=1.0, class_weight="balanced", max_iter=1000).fit((x - mean) / scale, y)
    weight = model.coef_.T / scale[:, None]
    return (Layer.of(weight, model.intercept_ - mean @ weight),)


def _forward(x: FloatArray, layers: tuple[Layer, ...]) -> FloatArray:
    names = tuple(map(str, range(x.shape[1])))
    return Head("", names, "", 0.0, (Term(tuple(range(len(names))), layers),)).score(x)


def _folds(
    y: BoolArray, blocks: npt.NDArray[Any], seed: int
) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    from sklearn.model_selection import StratifiedGroupKFold

    folds: list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]] = []
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # one class in fewer groups than folds: checked below
        if np.unique(blocks).size >= FOLDS:
            folds = list(splitter.split(blocks, y, blocks))
    usable = [
        (train, test) for train, test in folds if 0 < y[train].sum() < train.size and 0 < y[test].sum() < test.size
    ]
    if len(usable) < FOLDS:
        raise AuditError(
            "the shadow's groups are too few to be parted into five folds with both classes in each",
            cure="Give more records, or records in smaller groups.",
        )
    return usable
