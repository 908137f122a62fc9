"""95 % intervals by bootstrap over groups, seeded; and what a sample of this size could have shown at all.

How each interval is made, and why (coverage by simulation, 95 % wanted; figures at the foot):

- AUC: standard error from the bootstrap (so groups stay together), interval on the logit scale, which keeps it inside
  0..1 and gives it the right skew. The percentile interval covers 83 % at AUC 0.999 with 200 + 200 records and 44 %
  with 40 + 40; BCa 91 % and 44 %. With fewer than ``EDGE`` records' worth of misranking, resampling cannot show what
  was not in the sample (a perfect AUC would get an interval of width zero), so the interval is widened to the score
  interval of Newcombe (Statistics in Medicine 25:559-573, 2006, method 5), built on the variance of Hanley and McNeil
  (Radiology 143:29-36, 1982).
- Balanced accuracy: the same, widened near the edge by the square-and-add combination of two Wilson intervals.
- TPR at a low FPR: percentiles of draws in which the place of the threshold among the non-members is drawn too (see
  ``resamples.tpr_draws``), never narrower than the Wilson interval of the TPR at a known threshold. At 0.1 % FPR with
  1,000 non-members the low end is near 0 whatever the attack: one false positive's worth does not fix a threshold.
  The plain bootstrap covers 70-78 % there.
- Difference of two AUCs on the same records: square-and-add of the two AUC intervals with the bootstrap correlation
  (Zou, Psychological Methods 12:399-413, 2007); not zero-width when one of them is perfect.

Coverage in % over 400 to 1,000 simulated samples a row (normal scores, 500 resamples; ``sd`` of the members' scores,
1 for non-members; ``diff``: against a second classifier, correlation 0.5; in the last rows five records a group, ICC
0.8):

| members + non-members | AUC | sd | AUC | balanced accuracy | TPR at 10 % | 1 % | 0.1 % | diff |
|---|---|---|---|---|---|---|---|---|
| 50 + 50 | 0.5 | 1 | 94.4 | 94.8 | 99.2 |  |  | 94.0 |
| 50 + 50 | 0.7 | 1 | 95.3 | 96.0 | 96.8 |  |  | 95.2 |
| 50 + 50 | 0.9 | 1 | 96.6 | 95.2 | 97.3 |  |  | 95.6 |
| 50 + 50 | 0.99 | 1 | 98.1 | 97.2 | 99.9 |  |  | 96.3 |
| 50 + 50 | 0.99 | 2 | 97.2 | 96.3 | 100.0 |  |  | 95.6 |
| 50 + 50 | 0.999 | 1 | 99.5 | 94.5 | 100.0 |  |  | 96.1 |
| 200 + 200 | 0.5 | 1 | 95.2 | 95.4 | 96.4 | 100.0 |  | 95.0 |
| 200 + 200 | 0.7 | 1 | 94.9 | 94.0 | 96.3 | 98.6 |  | 94.7 |
| 200 + 200 | 0.9 | 1 | 94.7 | 94.3 | 96.0 | 98.0 |  | 94.8 |
| 200 + 200 | 0.99 | 1 | 99.4 | 95.8 | 98.2 | 97.7 |  | 95.6 |
| 200 + 200 | 0.99 | 2 | 98.4 | 95.7 | 97.4 | 98.6 |  | 94.4 |
| 200 + 200 | 0.999 | 1 | 99.8 | 96.3 | 100.0 | 99.3 |  | 94.1 |
| 50 + 500 | 0.5 | 1 | 94.8 | 94.8 | 99.0 | 100.0 |  | 94.0 |
| 50 + 500 | 0.7 | 1 | 95.3 | 95.5 | 97.5 | 99.5 |  | 94.8 |
| 50 + 500 | 0.9 | 1 | 96.5 | 95.2 | 95.7 | 97.7 |  | 96.5 |
| 50 + 500 | 0.99 | 1 | 99.5 | 97.3 | 100.0 | 98.2 |  | 95.2 |
| 50 + 500 | 0.99 | 2 | 98.0 | 96.3 | 100.0 | 97.0 |  | 94.7 |
| 50 + 500 | 0.999 | 1 | 100.0 | 97.8 | 100.0 | 99.7 |  | 93.3 |
| 1000 + 1000 | 0.5 | 1 | 94.0 | 94.0 | 95.5 | 99.2 | 100.0 | 95.0 |
| 1000 + 1000 | 0.7 | 1 | 95.5 | 96.5 | 96.0 | 96.2 | 97.0 | 92.8 |
| 1000 + 1000 | 0.9 | 1 | 93.2 | 93.8 | 93.8 | 96.0 | 98.5 | 94.5 |
| 1000 + 1000 | 0.99 | 1 | 96.5 | 96.2 | 98.2 | 97.0 | 97.2 | 96.5 |
| 1000 + 1000 | 0.99 | 2 | 94.8 | 94.2 | 96.5 | 97.0 | 99.0 | 94.5 |
| 1000 + 1000 | 0.999 | 1 | 100.0 | 95.8 | 99.8 | 97.0 | 99.0 | 96.2 |
| 100 + 100, in groups of 5 | 0.5 | 1 | 95.0 | 95.6 | 97.8 | 99.6 |  | 94.8 |
| 100 + 100, in groups of 5 | 0.9 | 1 | 97.9 | 97.2 | 94.2 | 96.8 |  | 97.4 |
| 100 + 100, in groups of 5 | 0.99 | 1 | 98.5 | 96.7 | 99.4 | 94.5 |  | 97.6 |
| 400 + 400, in groups of 5 | 0.5 | 1 | 93.5 | 94.2 | 97.3 | 99.0 |  | 93.7 |
| 400 + 400, in groups of 5 | 0.9 | 1 | 96.9 | 95.0 | 95.9 | 94.6 |  | 95.5 |
| 400 + 400, in groups of 5 | 0.99 | 1 | 99.6 | 97.4 | 98.9 | 94.1 |  | 96.1 |
| 2000 + 2000, in groups of 5 | 0.5 | 1 | 96.2 | 97.2 | 95.5 | 98.5 | 100.0 | 93.2 |
| 2000 + 2000, in groups of 5 | 0.9 | 1 | 96.2 | 96.2 | 95.0 | 94.2 | 96.8 | 94.5 |
| 2000 + 2000, in groups of 5 | 0.99 | 1 | 96.5 | 94.5 | 98.2 | 94.8 | 94.8 | 95.0 |

Above 97 % stand the figures with few errors behind them (``EDGE``) or few false positives: wide on purpose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from m4i_fast.errors import AuditError
from m4i_fast.stats import resamples as draws
from m4i_fast.stats.roc import FPR_LEVELS, least_non_members
from m4i_fast.types import Estimate

__all__ = [
    "LEVEL",
    "RESAMPLES",
    "Figures",
    "bootstrap",
    "bootstrap_all",
    "difference",
    "difference_of",
    "interval_of_auc",
    "smallest_detectable_auc",
    "wilson",
]

FloatArray = npt.NDArray[np.float64]

LEVEL = 0.95
RESAMPLES = 2000
EDGE = 5.0
"""Below so many records' worth of errors, intervals are widened by formulas that know a zero count proves little."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One column of scores with its intervals.

    Attributes:
        auc: with ties counted half.
        balanced_accuracy: at the threshold given.
        tpr_at_fpr: by key of ``FPR_LEVELS``; None where too few non-members stand behind it.
        auc_draws: float64 [resamples], for paired comparisons; same seed, same resamples.
        groups: how many groups of members and of non-members stand behind it.
    """

    auc: Estimate
    balanced_accuracy: Estimate
    tpr_at_fpr: dict[str, Estimate | None]
    auc_draws: FloatArray
    groups: tuple[int, int]


def bootstrap(
    scores: npt.ArrayLike,
    is_member: npt.ArrayLike,
    groups: Sequence[str] | npt.NDArray[np.generic] | None = None,
    *,
    rng: np.random.Generator | int,
    resamples: int = RESAMPLES,
    threshold: float = 0.0,
    level: float = LEVEL,
) -> Figures:
    """AUC, balanced accuracy and TPR at low FPR of one column of scores, with intervals.

    Args:
        scores: float [N], larger = more member-like; no NaN.
        is_member: bool [N].
        groups: N group names; records of one group are drawn together. None: each record by itself.
        rng: generator or seed.
        resamples: number of bootstrap resamples.
        threshold: score > threshold is called a member.
        level: of the intervals.

    Raises:
        AuditError: NaN scores, one class only, lengths that differ, or fewer than 100 resamples.
    """
    column = np.asarray(scores, np.float64)
    keep = np.ones(column.shape, np.bool_)
    return bootstrap_all(
        [column], is_member, groups, [keep], rng=rng, resamples=resamples, thresholds=[threshold], level=level
    )[0]


def bootstrap_all(
    columns: Sequence[FloatArray],
    is_member: npt.ArrayLike,
    groups: Sequence[str] | npt.NDArray[np.generic] | None,
    keep: Sequence[npt.NDArray[np.bool_]],
    *,
    rng: np.random.Generator | int,
    resamples: int = RESAMPLES,
    thresholds: Sequence[float],
    level: float = LEVEL,
) -> list[Figures]:
    """Several columns of scores on the same resamples, which makes their draws comparable pair by pair.

    Args:
        columns: S arrays float64 [N].
        is_member: bool [N].
        groups: N group names, or None.
        keep: S arrays bool [N]: the records that this column is judged on (those it could score).
        rng: generator or seed.
        resamples: number of bootstrap resamples.
        thresholds: S thresholds.
        level: of the intervals.

    Raises:
        AuditError: as ``bootstrap``.
    """
    if resamples < 100:
        raise AuditError(f"{resamples} resamples are too few for an interval", cure="Ask for at least 100.")
    generator = np.random.default_rng(rng)
    labels = np.asarray(is_member, np.bool_)
    whole = draws.units(groups, labels)
    ranked = [
        draws.rank(column[rows], labels[rows], whole.group[rows], threshold)
        for column, rows, threshold in zip(columns, keep, thresholds, strict=True)
    ]
    levels = [
        {key: fpr for key, fpr in FPR_LEVELS.items() if each.non_member_groups.size >= least_non_members(fpr)}
        for each in ranked
    ]
    aucs: list[list[FloatArray]] = [[] for _ in ranked]
    accuracies: list[list[FloatArray]] = [[] for _ in ranked]
    tprs: list[list[dict[str, FloatArray]]] = [[] for _ in ranked]
    for drawn in draws.weights(whole, generator, resamples):
        for s, each in enumerate(ranked):
            aucs[s].append(draws.auc_draws(each, drawn))
            accuracies[s].append(draws.balanced_accuracy_draws(each, drawn))
            tprs[s].append(draws.tpr_draws(each, drawn, levels[s], generator))
    return [
        _figures(each, np.concatenate(aucs[s]), np.concatenate(accuracies[s]), tprs[s], level)
        for s, each in enumerate(ranked)
    ]


def difference(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    is_member: npt.ArrayLike,
    groups: Sequence[str] | npt.NDArray[np.generic] | None = None,
    *,
    rng: np.random.Generator | int,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Estimate:
    """AUC of ``first`` minus AUC of ``second`` on the same records, paired: both see the same resamples.

    Raises:
        AuditError: as ``bootstrap``.
    """
    columns = [np.asarray(first, np.float64), np.asarray(second, np.float64)]
    keep = [np.ones(column.shape, np.bool_) for column in columns]
    one, two = bootstrap_all(
        columns, is_member, groups, keep, rng=rng, resamples=resamples, thresholds=[0.0, 0.0], level=level
    )
    return difference_of(one, two, level=level)


def difference_of(first: Figures, second: Figures, *, level: float = LEVEL) -> Estimate:
    """Difference of two AUCs whose draws come from the same resamples (``bootstrap_all``)."""
    one, two = interval_of_auc(first, level), interval_of_auc(second, level)
    correlation = 0.0
    if first.auc_draws.std() > 0 and second.auc_draws.std() > 0:
        correlation = float(np.corrcoef(first.auc_draws, second.auc_draws)[0, 1])
    low, high = _square_and_add(one, Estimate(-two.value, -two.high, -two.low), -correlation)
    return Estimate(one.value - two.value, max(low, -1.0), min(high, 1.0))


def interval_of_auc(figures: Figures, level: float) -> Estimate:
    """The AUC of ``figures`` at another level, for example one that allows for several attacks."""
    return _auc_estimate(figures.auc.value, figures.auc_draws, figures.groups, level)


def smallest_detectable_auc(members: int, non_members: int, *, level: float = LEVEL, power: float = 0.8) -> float:
    """Smallest true AUC whose interval would lie above 0.5 in ``power`` of all samples of this size.

    Variance of Hanley and McNeil (1982): solves A - 0.5 = z(level) * se(0.5) + z(power) * se(A).

    Args:
        members: how many independent members (groups).
        non_members: how many independent non-members (groups).
        level: of the two-sided interval.
        power: chance of seeing it.

    Returns:
        A in 0.5..1; 1.0 also where not even a perfect attack would be seen.

    Raises:
        AuditError: a class without records.
    """
    if members < 1 or non_members < 1:
        raise AuditError(
            f"{members} members and {non_members} non-members: nothing to tell apart",
            cure="Give records of both classes.",
        )
    at_chance = _quantile(0.5 + level / 2) * _hanley_mcneil(0.5, members, non_members) ** 0.5
    more = _quantile(power)
    low, high = 0.5, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if middle - 0.5 >= at_chance + more * _hanley_mcneil(middle, members, non_members) ** 0.5:
            high = middle
        else:
            low = middle
    return high


def wilson(share: float, count: float, level: float = LEVEL) -> tuple[float, float]:
    """Score interval of a proportion (Wilson, JASA 22:209-212, 1927); not zero-width at 0 and 1."""
    z2 = _quantile(0.5 + level / 2) ** 2
    centre = share + z2 / (2 * count)
    half = (z2 * (share * (1 - share) / count + z2 / (4 * count * count))) ** 0.5
    return max(0.0, (centre - half) / (1 + z2 / count)), min(1.0, (centre + half) / (1 + z2 / count))


def _figures(
    ranked: draws.Ranked, aucs: FloatArray, accuracies: FloatArray, tprs: list[dict[str, FloatArray]], level: float
) -> Figures:
    members, others = ranked.member_groups.size, ranked.non_member_groups.size
    groups = (ranked.groups_of_members, ranked.groups_of_non_members)
    value = float((ranked.below + ranked.not_above).sum() / (2 * members * others))
    hit, passed = float(ranked.member_called.mean()), float((~ranked.non_member_called).mean())
    tpr: dict[str, Estimate | None] = {}
    for key, fpr in FPR_LEVELS.items():
        if key not in tprs[0]:
            tpr[key] = None
            continue
        share = float(ranked.members_at[min(int(others * fpr * (1 + 1e-12)), others)] / members)
        drawn = np.concatenate([each[key] for each in tprs])
        low, high = np.quantile(drawn, [0.5 - level / 2, 0.5 + level / 2])
        floor, ceiling = wilson(share, groups[0], level)
        tpr[key] = Estimate(share, float(min(low, floor)), float(max(high, ceiling)))
    return Figures(
        _auc_estimate(value, aucs, groups, level),
        _accuracy_estimate(hit, passed, accuracies, groups, level),
        tpr,
        aucs,
        groups,
    )


def _auc_estimate(value: float, drawn: FloatArray, groups: tuple[int, int], level: float) -> Estimate:
    z = _quantile(0.5 + level / 2)
    low, high = _on_logit(value, drawn, min(groups), z)
    if min(groups) * min(value, 1 - value) < EDGE:
        floor, ceiling = _newcombe(value, groups, z)
        low, high = min(low, floor), max(high, ceiling)
    return Estimate(value, low, high)


def _accuracy_estimate(hit: float, passed: float, drawn: FloatArray, groups: tuple[int, int], level: float) -> Estimate:
    value = (hit + passed) / 2
    low, high = _on_logit(value, drawn, min(groups), _quantile(0.5 + level / 2))
    if min(groups[0] * min(hit, 1 - hit), groups[1] * min(passed, 1 - passed)) < EDGE:
        one = Estimate(hit / 2, *(end / 2 for end in wilson(hit, groups[0], level)))
        two = Estimate(passed / 2, *(end / 2 for end in wilson(passed, groups[1], level)))
        floor, ceiling = _square_and_add(one, two, 0.0)
        low, high = min(low, floor), max(high, ceiling)
    return Estimate(value, max(low, 0.0), min(high, 1.0))


def _on_logit(value: float, drawn: FloatArray, groups: int, z: float) -> tuple[float, float]:
    """Value -> logit, +- z standard errors by the delta method, and back."""
    inside = value * (1 - value)
    if inside <= 0 or groups < 2:
        return value, value
    # The bootstrap's variance divides by n, not by n - 1.
    half = z * float(drawn.std()) * (groups / (groups - 1)) ** 0.5 / inside
    odds = value / (1 - value)
    down, up = odds * np.exp(-half), odds * np.exp(min(half, 50.0))
    return float(down / (1 + down)), float(up / (1 + up))


def _newcombe(value: float, groups: tuple[int, int], z: float) -> tuple[float, float]:
    """All A with (value - A)^2 <= z^2 * var(A): not zero-width at 0 and 1."""

    def outside(a: float) -> bool:
        return bool((value - a) ** 2 > z * z * _hanley_mcneil(a, *groups, newcombe=True))

    low, high = value, value
    for end in (0.0, 1.0):
        if end == value:
            continue
        far, near = end, value + (end - value) * 1e-9
        for _ in range(60):
            middle = (far + near) / 2
            far, near = (middle, near) if outside(middle) else (far, middle)
        low, high = min(low, near), max(high, near)
    return low, high


def _hanley_mcneil(a: float, members: int, non_members: int, *, newcombe: bool = False) -> float:
    """Variance of an AUC of true value ``a``; Newcombe's method 5 takes the mean of both sizes in both terms."""
    one, two = members - 1.0, non_members - 1.0
    if newcombe:
        one = two = (one + two) / 2
    spread = 1 + one * (1 - a) / (2 - a) + two * a / (1 + a)
    return a * (1 - a) * spread / (members * non_members)


def _square_and_add(one: Estimate, two: Estimate, correlation: float) -> tuple[float, float]:
    """Interval of a sum from the intervals of its two terms (Zou and Donner's MOVER)."""

    def half(a: float, b: float) -> float:
        return float(np.sqrt(max(a * a + b * b + 2 * correlation * a * b, 0.0)))

    total = one.value + two.value
    low = total - half(one.value - one.low, two.value - two.low)
    return low, total + half(one.high - one.value, two.high - two.value)


def _quantile(p: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(p)
