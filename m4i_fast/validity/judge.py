"""Scores against labels: every attack and every blind baseline by the same figures, on the same resamples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from m4i_fast.errors import AuditError
from m4i_fast.stats.intervals import (
    LEVEL,
    RESAMPLES,
    Figures,
    bootstrap_all,
    difference_of,
    interval_of_auc,
)
from m4i_fast.stats.labels import labels_of
from m4i_fast.stats.roc import FPR_LEVELS, least_non_members, roc
from m4i_fast.types import AttackResult, Estimate, Membership, MembershipScores

__all__ = ["Comparison", "Judgement", "judge", "judge_audit"]

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the verdict asks of one attack.

    Attributes:
        attack: its name.
        auc: with an interval at ``level``.
        differences: AUC minus each blind baseline's, paired, on the records that both could score, at ``level``.
        level: 1 - 0.05 / (attacks that could give the verdict), so that the best of several is no luck of the draw.
        members: groups (images) of members that it could score.
        non_members: groups of non-members that it could score.
    """

    attack: str
    auc: Estimate
    differences: dict[str, Estimate]
    level: float
    members: int
    non_members: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """Everything that the verdict is drawn from. ``comparisons``: of the attacks that could give the verdict."""

    attacks: list[AttackResult]
    blind: list[AttackResult]
    comparisons: list[Comparison]
    members: int
    non_members: int


def judge(
    scores: Sequence[MembershipScores],
    membership: Membership,
    groups: Sequence[str] | None,
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> list[AttackResult]:
    """AUC, balanced accuracy at the attack's own threshold, TPR at low FPR, ROC: of each column of scores.

    Args:
        scores: of attacks or blind baselines, all on the same ids in the same order. A NaN score leaves its record out
            of that column's figures, and a note counts them.
        membership: the labels, joined by id.
        groups: group of each id in that order; resampled together. None: each record by itself.
        seed: of the resamples.
        resamples: how many.

    Raises:
        AuditError: other ids, records without labels, no scores of one class.
    """
    return judge_audit(scores, (), membership, groups, seed=seed, resamples=resamples).attacks


def judge_audit(
    attacks: Sequence[MembershipScores],
    blind: Sequence[MembershipScores],
    membership: Membership,
    groups: Sequence[str] | None,
    *,
    seed: int,
    resamples: int = RESAMPLES,
    primary: str | None = None,
) -> Judgement:
    """Judge attacks and blind baselines together, on the same resamples, and compare each pair.

    Args:
        attacks: scores of the attacks.
        blind: cross-validated scores of classifiers that never asked the target.
        membership: the labels, joined by id.
        groups: group of each id, in the order of the scores' ids; None: each record by itself.
        seed: of the resamples.
        resamples: how many.
        primary: the one attack that was chosen before any label was opened. Then it alone can give the verdict, at
            95 %; else each can, and the level is raised by Bonferroni's rule.

    Raises:
        AuditError: as ``judge``, names that appear twice, or an unknown primary attack.
    """
    columns = [*attacks, *blind]
    names = [each.attack for each in columns]
    _check(columns, names, [each.attack for each in attacks], primary)
    if not columns:
        return Judgement([], [], [], 0, 0)
    ids = columns[0].ids
    labels = labels_of(ids, membership)
    keep = [~np.isnan(each.values) for each in columns]
    for each, rows in zip(columns, keep, strict=True):
        _both_classes(each.attack, labels[rows])
    values = [each.values for each in columns]
    thresholds = [each.threshold for each in columns]
    # Where an attack and a baseline could score different records, the pair is compared on those that both could.
    pairs: dict[tuple[int, int], tuple[int, int]] = {}
    extra_values, extra_keep = list(values), list(keep)
    for a in range(len(attacks)):
        for b in range(len(attacks), len(columns)):
            if np.array_equal(keep[a], keep[b]):
                pairs[a, b] = (a, b)
                continue
            pairs[a, b] = (len(extra_values), len(extra_values) + 1)
            _both_classes(f"{names[a]} with {names[b]}", labels[keep[a] & keep[b]])
            extra_values += [values[a], values[b]]
            extra_keep += [keep[a] & keep[b]] * 2
    figures = bootstrap_all(
        extra_values,
        labels,
        groups,
        extra_keep,
        rng=seed,
        resamples=resamples,
        thresholds=thresholds + [0.0] * (len(extra_values) - len(columns)),
    )
    results = [_result(each, rows, labels, of) for each, rows, of in zip(columns, keep, figures, strict=False)]
    contenders = [a for a in range(len(attacks)) if primary in {None, names[a]}]
    level = 1 - (1 - LEVEL) / max(1, len(contenders))
    comparisons = [
        Comparison(
            names[a],
            interval_of_auc(figures[a], level),
            {
                names[b]: difference_of(figures[pairs[a, b][0]], figures[pairs[a, b][1]], level=level)
                for b in range(len(attacks), len(columns))
            },
            level,
            *figures[a].groups,
        )
        for a in contenders
    ]
    inside = int(labels.sum())
    return Judgement(results[: len(attacks)], results[len(attacks) :], comparisons, inside, labels.size - inside)


def _check(
    columns: Sequence[MembershipScores], names: Sequence[str], attacks: Sequence[str], primary: str | None
) -> None:
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise AuditError(f"two columns of scores are called '{twice[0]}'", cure="Give each its own name.")
    other = [each.attack for each in columns if each.ids != columns[0].ids]
    if other:
        raise AuditError(
            f"'{columns[0].attack}' and '{other[0]}' scored different records, or in another order",
            cure="Score all of them on the same run: m4i-fast attack score",
        )
    if primary is not None and primary not in attacks:
        raise AuditError(f"the primary attack '{primary}' gave no scores", cure=f"Choose from: {', '.join(attacks)}.")


def _both_classes(name: str, labels: BoolArray) -> None:
    if 0 < labels.sum() < labels.size:
        return
    of = f"{int(labels.sum())} members and {int((~labels).sum())} non-members"
    raise AuditError(
        f"only {of} have a score",
        where=name,
        cure="Give labels with both classes, or leave out an attack that cannot score these records.",
    )


def _result(scores: MembershipScores, keep: BoolArray, labels: BoolArray, figures: Figures) -> AttackResult:
    notes = []
    missing = ~keep
    if missing.any():
        notes.append(
            f"{int(missing.sum())} of {keep.size} records have no score ({int((missing & labels).sum())} members, "
            f"{int((missing & ~labels).sum())} non-members) and are left out"
        )
    outside = int((keep & ~labels).sum())
    notes += [
        f"TPR at {FPR_LEVELS[key]:.1%} FPR is not given: {outside} non-members, "
        f"{least_non_members(FPR_LEVELS[key]):,} are needed"
        for key, estimate in figures.tpr_at_fpr.items()
        if estimate is None
    ]
    curve = roc(scores.values[keep], labels[keep])
    return AttackResult(
        scores.attack, figures.auc, figures.balanced_accuracy, dict(figures.tpr_at_fpr), tuple(notes), curve
    )
