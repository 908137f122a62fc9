"""Blind baselines: how well are members told from non-members by somebody who never asks the target?

On an honest split the answer is 'not at all'. Where it is 'well', the sets differ by themselves, and an attack that
does no better has found that difference and not the training.

Scores are cross-validated: each record is scored by a classifier that saw no record of its group. Folds are stratified
and scores are ranked inside their fold before they are pooled. Pooled raw scores of different folds are biased: a fold
with more members leaves fewer of them to learn from, so an AUC below 0.5 comes out where there is nothing to find.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from m4i_fast.errors import AuditError
from m4i_fast.text.words import words
from m4i_fast.types import MembershipScores

__all__ = ["blind_both", "blind_scores", "blind_text", "image_statistics"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

FOLDS, REPEATS = 5, 2
WIDEST = 256
"""Principal components kept of wider features; a shift between sets shows in the strong ones."""
TEXT_COMPONENTS = 100
PENALTY = 0.02
"""Inverse strength C of the logistic regression on standardised features; weak features of few records need much."""


def blind_scores(
    name: str,
    features: npt.ArrayLike,
    is_member: npt.ArrayLike,
    groups: Sequence[str] | npt.NDArray[np.generic] | None,
    *,
    ids: Sequence[str],
    seed: int,
    trees: bool = False,
) -> MembershipScores:
    """Cross-validated scores of a classifier on any features that the target had no part in.

    Args:
        name: of the baseline in tables, for example ``"image"``.
        features: [N, D] numbers, for example vectors of an image encoder; rows with NaN get a NaN score.
        is_member: bool [N].
        groups: N group names; a group is never on both sides of a fold. None: each record by itself.
        ids: N record ids.
        seed: of folds and components.
        trees: boosted trees in place of a logistic regression: for few features of which certain values tell, as a
            width of just 500 pixels does.

    Returns:
        Scores in 0..1, threshold 0.5: within each fold, as many records lie above it as the fold has members. Ranked
        inside their fold, mean over two partings into five folds.

    Raises:
        AuditError: shapes that do not fit, or too few groups of a class for five folds.
    """
    x = np.asarray(features, np.float64)
    y = np.asarray(is_member, np.bool_)
    if x.ndim != 2 or x.shape[0] != y.size or len(ids) != y.size:
        raise AuditError(
            f"features of shape {x.shape}, {y.size} labels and {len(ids)} ids do not fit each other",
            where=f"blind baseline '{name}'",
            cure="Give one row, one label and one id a record.",
        )
    usable = np.isfinite(x).all(axis=1)
    names = np.arange(y.size) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)
    values = np.full(y.size, np.nan)
    given = x[usable] if trees else _standard(x[usable], seed)
    values[usable] = _cross_validated(given, y[usable], names[usable], name, seed, trees=trees)
    return MembershipScores(name, tuple(ids), values, 0.5)


def blind_text(
    references: Sequence[Sequence[str]],
    is_member: npt.ArrayLike,
    groups: Sequence[str] | npt.NDArray[np.generic] | None,
    *,
    ids: Sequence[str],
    seed: int,
    name: str = "text",
) -> MembershipScores:
    """The same on the words of the references: counts of words and word pairs (TF-IDF), and their lengths.

    Args:
        references: N lists of captions; an empty list is a fact about the record like any other.
        is_member: bool [N].
        groups: N group names, or None.
        ids: N record ids.
        seed: of folds.
        name: of the baseline in tables.

    Raises:
        AuditError: no reference holds a word, shapes that do not fit, or too few groups of a class.
    """
    y = np.asarray(is_member, np.bool_)
    if len(references) != y.size or len(ids) != y.size:
        raise AuditError(
            f"{len(references)} lists of references, {y.size} labels and {len(ids)} ids do not fit each other",
            where=f"blind baseline '{name}'",
            cure="Give one list, one label and one id a record.",
        )
    names = np.arange(y.size) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)
    matrix = _text_matrix(references, name)
    return MembershipScores(name, tuple(ids), _cross_validated(matrix, y, names, name, seed, penalty=5.0), 0.5)


def blind_both(
    references: Sequence[Sequence[str]],
    features: npt.ArrayLike,
    is_member: npt.ArrayLike,
    groups: Sequence[str] | npt.NDArray[np.generic] | None,
    *,
    ids: Sequence[str],
    seed: int,
    name: str = "text+image",
) -> MembershipScores:
    """Words and features together: the text as its 100 strongest components, beside the features.

    Raises:
        AuditError: as ``blind_text`` and ``blind_scores``.
    """
    from sklearn.decomposition import TruncatedSVD

    matrix = _text_matrix(references, name)
    components = min(TEXT_COMPONENTS, min(matrix.shape) - 1)
    if components >= 1:
        text = TruncatedSVD(components, random_state=seed % 2**32).fit_transform(matrix)
    else:
        text = matrix.toarray()
    image = np.asarray(features, np.float64)
    if image.ndim == 2 and image.shape[1] > WIDEST:
        usable = np.isfinite(image).all(axis=1)
        reduced = np.full((image.shape[0], WIDEST), np.nan)
        part = _standard(image[usable], seed)
        reduced[usable, : part.shape[1]] = part
        image = reduced[:, : part.shape[1]]
    if image.ndim != 2 or image.shape[0] != text.shape[0]:
        raise AuditError(
            f"{text.shape[0]} lists of references and features of shape {image.shape} do not fit each other",
            where=f"blind baseline '{name}'",
            cure="Give one list and one row a record.",
        )
    # Already reduced: together they may be wider than ``WIDEST`` and stay so.
    x = np.hstack([text, image])
    y = np.asarray(is_member, np.bool_)
    usable = np.isfinite(x).all(axis=1)
    names = np.arange(y.size) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)
    values = np.full(y.size, np.nan)
    values[usable] = _cross_validated(_scaled(x[usable]), y[usable], names[usable], name, seed)
    return MembershipScores(name, tuple(ids), values, 0.5)


def image_statistics(pixels: npt.NDArray[np.uint8]) -> FloatArray:
    """What a glance tells: mean and spread of colours, brightness range, edges; uint8 [N, H, W, 3] -> float64 [N, 10].

    For ``blind_scores``; a file's size in bytes makes a good eleventh column.
    """
    count = pixels.shape[0]
    result = np.empty((count, 10))
    for start in range(0, count, 256):  # 256 pictures at a time, so that memory stays small
        part = pixels[start : start + 256].astype(np.float32) / 255.0
        grey = part.mean(axis=3)
        rows = slice(start, start + part.shape[0])
        result[rows, :3] = part.mean(axis=(1, 2))
        result[rows, 3:6] = part.std(axis=(1, 2))
        result[rows, 6] = grey.min(axis=(1, 2))
        result[rows, 7] = grey.max(axis=(1, 2))
        result[rows, 8] = np.abs(np.diff(grey, axis=1)).mean(axis=(1, 2))
        result[rows, 9] = np.abs(np.diff(grey, axis=2)).mean(axis=(1, 2))
    return result


def _text_matrix(references: Sequence[Sequence[str]], name: str) -> Any:
    """Sparse [N, V + 3]: TF-IDF of words and word pairs, rows of unit length; then three lengths."""
    import scipy.sparse
    from sklearn.feature_extraction.text import TfidfVectorizer

    tokens = [[words(each) for each in captions] for captions in references]
    if not any(caption for captions in tokens for caption in captions):
        raise AuditError(
            "no record has a reference caption with a word in it",
            where=f"blind baseline '{name}'",
            cure="Leave this baseline out where the data has no captions; use the pictures'.",
        )

    def terms(captions: list[list[str]]) -> list[str]:
        # Pairs stay inside a caption: across its end they would tell the order of the captions.
        return [
            each for caption in captions for each in (*caption, *(f"{one} {two}" for one, two in pairwise(caption)))
        ]

    vectorizer = TfidfVectorizer(analyzer=terms, sublinear_tf=True, min_df=2 if len(tokens) >= 50 else 1)
    try:
        matrix = vectorizer.fit_transform(tokens)
    except ValueError:  # every term is in one record only
        matrix = vectorizer.set_params(min_df=1).fit_transform(tokens)
    lengths = np.array(
        [[len(captions), sum(map(len, captions)), max(map(len, captions), default=0)] for captions in tokens],
        np.float64,
    )
    return scipy.sparse.hstack([matrix, scipy.sparse.csr_matrix(0.3 * _scaled(np.log1p(lengths)))], format="csr")


def _cross_validated(
    x: Any,
    y: BoolArray,
    groups: npt.NDArray[np.intp],
    name: str,
    seed: int,
    *,
    penalty: float = PENALTY,
    trees: bool = False,
) -> FloatArray:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    values = np.zeros(y.size)
    for repeat in range(REPEATS):
        for train, test in _folds(y, groups, name, seed + repeat):
            if trees:
                model = HistGradientBoostingClassifier(
                    max_iter=50, max_leaf_nodes=8, class_weight="balanced", random_state=(seed + repeat) % 2**32
                )
            else:
                model = LogisticRegression(C=penalty, class_weight="balanced", max_iter=300, tol=1e-3)
            scores = model.fit(x[train], y[train]).decision_function(x[test])
            values[test] += _ranked(scores, float(y[test].mean()))
    return values / REPEATS


def _ranked(scores: FloatArray, share: float) -> FloatArray:
    """Ranks in 0..1, ties at their mean, bent so that a ``share`` of them lies above 0.5."""
    ordered = np.sort(scores)
    middle = (np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")) / (2 * scores.size)
    return np.interp(middle, [0.0, 1.0 - share, 1.0], [0.0, 0.5, 1.0])


def _folds(
    y: BoolArray, groups: npt.NDArray[np.intp], name: str, seed: int
) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    alone = np.unique(groups).size == groups.size  # then the plain one gives the same, much faster
    splitter = (StratifiedKFold if alone else StratifiedGroupKFold)(FOLDS, shuffle=True, random_state=seed % 2**32)
    few = min(np.unique(groups[y]).size, np.unique(groups[~y]).size) < 2 * FOLDS
    folds = []
    if not few:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            folds = list(splitter.split(y, y, groups))
        few = any(not 0 < y[part].sum() < part.size for fold in folds for part in fold)
    if few:
        raise AuditError(
            f"too few groups for {FOLDS} folds: {np.unique(groups[y]).size} of members, "
            f"{np.unique(groups[~y]).size} of non-members",
            where=f"blind baseline '{name}'",
            cure=f"Give at least {2 * FOLDS} images of each.",
        )
    return folds


def _standard(x: FloatArray, seed: int) -> FloatArray:
    """Standardised, and reduced to ``WIDEST`` components where wider; no label is used."""
    scaled = _scaled(x)
    if min(scaled.shape) <= WIDEST:
        return scaled
    from sklearn.decomposition import PCA

    return _scaled(PCA(WIDEST, svd_solver="randomized", random_state=seed % 2**32).fit_transform(scaled))


def _scaled(x: FloatArray) -> FloatArray:
    mean, spread = x.mean(axis=0), x.std(axis=0)
    spread[spread <= 1e-9 * np.maximum(1.0, np.abs(mean))] = np.inf
    return np.asarray((x - mean) / spread)
