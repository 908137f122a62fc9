"""The ROC and its figures, with ties right: whole tie blocks, never the first of a tie.

Overlap scores are full of ties, and a curve that follows the order inside a tie measures the order of the file.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from m4i_fast.errors import AuditError
from m4i_fast.types import RocCurve

__all__ = [
    "FPR_LEVELS",
    "auc",
    "balanced_accuracy",
    "checked",
    "false_positives_allowed",
    "least_non_members",
    "roc",
    "tpr_at_fpr",
]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

FPR_LEVELS = {"0.1": 0.1, "0.01": 0.01, "0.001": 0.001}
"""The false-positive rates that a result reports, by their key in ``AttackResult.tpr_at_fpr``."""


def auc(scores: npt.ArrayLike, is_member: npt.ArrayLike) -> float:
    """Area under the ROC: P(member > non-member) + P(equal) / 2, the Mann-Whitney statistic over its maximum.

    Args:
        scores: float [N], larger = more member-like; no NaN (+-inf are ordinary ends of the order).
        is_member: bool [N], both classes present.

    Raises:
        AuditError: NaN scores, one class only, or lengths that differ.
    """
    values, members = checked(scores, is_member)
    non_members = np.sort(values[~members])
    inside = values[members]
    # Whole numbers twice over: exact up to 2**53 half pairs.
    below = np.searchsorted(non_members, inside, "left") + np.searchsorted(non_members, inside, "right")
    return float(below.sum() / (2 * non_members.size * inside.size))


def roc(scores: npt.ArrayLike, is_member: npt.ArrayLike) -> RocCurve:
    """The ROC curve: (0, 0), then one point a distinct score from the highest down, the last being (1, 1).

    Args:
        scores: float [N], larger = more member-like; no NaN.
        is_member: bool [N], both classes present.

    Returns:
        fpr and tpr float64 [P], P = distinct scores + 1.

    Raises:
        AuditError: NaN scores, one class only, or lengths that differ.
    """
    values, members = checked(scores, is_member)
    order = np.argsort(-values, kind="stable")
    ordered = values[order]
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), ordered.size - 1)
    true = np.concatenate(([0], np.cumsum(members[order])[ends]))
    called = np.concatenate(([0], ends + 1))
    return RocCurve(fpr=(called - true) / (called - true)[-1], tpr=true / true[-1])


def tpr_at_fpr(curve: RocCurve, fpr: float) -> float:
    """Largest TPR of a threshold whose FPR is at most ``fpr``.

    Nothing is interpolated between two points: between them lies one tie block, and no threshold splits it. So the
    figure is one that an attacker really reaches, and on few distinct scores it is on the low side.

    Raises:
        AuditError: ``fpr`` is outside 0..1.
    """
    if not 0.0 <= fpr <= 1.0:
        raise AuditError(f"a false-positive rate of {fpr} was asked for", cure="Ask for a rate from 0 to 1.")
    # The slack admits 0.1 of 30 non-members (3.0000000000000004 / 30) as the 3 of 30 that is meant.
    return float(curve.tpr[np.searchsorted(curve.fpr, fpr * (1 + 1e-12), "right") - 1])


def balanced_accuracy(scores: npt.ArrayLike, is_member: npt.ArrayLike, threshold: float) -> float:
    """Mean of the share of members with score > threshold and of non-members with score <= threshold.

    Raises:
        AuditError: NaN scores or threshold, one class only, or lengths that differ.
    """
    values, members = checked(scores, is_member)
    if np.isnan(threshold):
        raise AuditError("the threshold is NaN", cure="Fit the attack again: m4i-fast attack fit")
    called = values > threshold
    return float((called[members].mean() + (~called[~members]).mean()) / 2)


def least_non_members(fpr: float) -> int:
    """How many non-members a TPR at ``fpr`` needs: one false positive's worth, 1,000 at 0.1 %, 100 at 1 %."""
    return round(1.0 / fpr)


def false_positives_allowed(fpr: float, non_members: npt.NDArray[np.float64] | float) -> FloatArray:
    """Weight of non-members that may be called members at ``fpr``; with the slack of ``tpr_at_fpr``."""
    return np.asarray(np.asarray(non_members, np.float64) * (fpr * (1 + 1e-12)))


def checked(scores: npt.ArrayLike, is_member: npt.ArrayLike) -> tuple[FloatArray, BoolArray]:
    """Scores as float64 [N] and labels as bool [N], fit for a ROC.

    Raises:
        AuditError: NaN scores, one class only, lengths that differ, or labels that are neither bool nor 0 and 1.
    """
    values = np.asarray(scores, np.float64)
    labels = np.asarray(is_member)
    if values.ndim != 1 or values.shape != labels.shape:
        raise AuditError(
            f"scores of shape {values.shape} do not fit labels of shape {labels.shape}",
            cure="Give one score and one label a record.",
        )
    if labels.dtype != np.bool_:
        if not np.isin(labels, (0, 1)).all():
            raise AuditError("a label is neither true nor false", cure="Give labels as booleans, or as 0 and 1.")
        labels = labels.astype(np.bool_)
    missing = int(np.isnan(values).sum())
    if missing:
        raise AuditError(
            f"{missing} of {values.size} scores are NaN (no score could be given)",
            cure="Leave those records out, and say how many they are, or give them a score.",
        )
    inside = int(labels.sum())
    if inside in {0, labels.size}:
        kind = "members" if inside else "non-members"
        raise AuditError(
            f"all {labels.size} scored records are {kind}: nothing to tell apart",
            cure="Give labels with both members and non-members among the scored records.",
        )
    return values, labels
