"""What is learned on the shadow: arrays in, layers out."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from m4i_fast.attacks.heads import Head, Layer, Term
from m4i_fast.errors import AuditError
from m4i_fast.stats.roc import auc

__all__ = ["folds", "forward", "logistic", "mlp", "svm"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

LEAST_FOR_MLP = 100
"""Records of each class below which the feature-based head is linear: a hidden layer would learn them by heart."""
FOLDS = 5
HIDDEN = 64
EPOCHS = 20
ALPHAS = (3.0, 30.0)
"""L2 penalties to choose from, as scikit-learn counts them (divided by the batch of 128)."""


def svm(x: FloatArray, y: BoolArray, seed: int) -> Layer:
    """A linear support vector machine, C = 1e5, as the published code has it."""
    from sklearn.svm import LinearSVC

    # The primal is convex and small: it converges where the dual, at C = 1e5, does not.
    model = LinearSVC(C=1e5, dual=False, class_weight="balanced", max_iter=10_000, random_state=seed)
    model.fit(x, y)
    return Layer.of(model.coef_.T, model.intercept_)


def mlp(x: FloatArray, y: BoolArray, blocks: npt.NDArray[Any], seed: int) -> tuple[tuple[Layer, ...], FloatArray, str]:
    """The net, out-of-fold scores float64 [N], and how it was chosen."""
    deep = min(int(y.sum()), int((~y).sum())) >= LEAST_FOR_MLP
    choices = ALPHAS if deep else (0.0,)
    parted = folds(y, blocks, seed)
    held_out = np.zeros((len(choices), y.size))
    for train, test in parted:
        for i, alpha in enumerate(choices):
            held_out[i, test] = forward(x[test], _net(x[train], y[train], alpha, seed))
    merit = [np.mean([auc(scores[test], y[test]) for _, test in parted]) for scores in held_out]
    best = int(np.argmax(merit))
    how = f"MLP {HIDDEN}-1, alpha {choices[best]:g}, {EPOCHS} epochs" if deep else "logistic, C=0.01 (a small shadow)"
    return _net(x, y, choices[best], seed), held_out[best], f"{how}, {len(parted)}-fold"


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


def logistic(x: FloatArray, y: BoolArray) -> Layer:
    """Logistic regression on standardised columns, C = 1; it gives the log-odds of a member where both are as many."""
    from sklearn.linear_model import LogisticRegression

    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale[scale <= 1e-9 * np.maximum(1.0, np.abs(mean))] = np.inf
    model = LogisticRegression(C=1.0, class_weight="balanced", max_iter=1000).fit((x - mean) / scale, y)
    weight = model.coef_.T / scale[:, None]
    return Layer.of(weight, model.intercept_ - mean @ weight)


def forward(x: FloatArray, layers: tuple[Layer, ...]) -> FloatArray:
    """What the layers make of x [N, F]: float64 [N]."""
    names = tuple(map(str, range(x.shape[1])))
    return Head("", names, "", 0.0, (Term(tuple(range(len(names))), layers),)).score(x)


def folds(y: BoolArray, blocks: npt.NDArray[Any], seed: int) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Five parts of both classes, groups kept together: rows to fit on, rows to test.

    Raises:
        AuditError: there are too few groups.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    parts: list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]] = []
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # one class in fewer groups than folds: checked below
        if np.unique(blocks).size >= FOLDS:
            parts = list(splitter.split(blocks, y, blocks))
    usable = [
        (train, test) for train, test in parts if 0 < y[train].sum() < train.size and 0 < y[test].sum() < test.size
    ]
    if len(usable) < FOLDS:
        raise AuditError(
            "the shadow's groups are too few to be parted into five folds with both classes in each",
            cure="Give more records, or records in smaller groups.",
        )
    return usable
