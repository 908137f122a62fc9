"""Whether a whole set of records was trained on: what no single record shows, many together may.

Units are groups (all records of one image together), each with the mean of its records' scores. A unit's place is the
share of known non-members that score less, equal ones counted half, so that ties and wild scores do no harm; a set's
statistic is the mean place of its units. Under the null hypothesis a set is drawn from where the known non-members
were drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from m4i_fast.errors import AuditError
from m4i_fast.stats.labels import labels_of
from m4i_fast.types import Estimate, Membership, MembershipScores

__all__ = ["ALPHA", "SIZES", "Power", "SetLevel", "set_level"]

FloatArray = npt.NDArray[np.float64]

ALPHA = 0.01
"""False alarms that are allowed, a set."""
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500)
LEAST = 100
"""Units of known non-members below which there is no curve: half of them give the distribution, half check it."""
RESAMPLES = 100
NULLS = 2000
"""Sets of known non-members that give a critical value, a resample."""
DRAWS = 100
"""Sets of members, and sets of the other half of the non-members, that are tried, a resample."""


@dataclass(frozen=True, slots=True)
class Power:
    """Sets of ``size`` units.

    Attributes:
        size: units (images) in a set.
        found: share of sets of members that are recognised at ``ALPHA`` false alarms.
        false_alarms: share of sets of non-members, apart from those that set the critical value, that are called too.
    """

    size: int
    found: Estimate
    false_alarms: Estimate


@dataclass(frozen=True, slots=True)
class SetLevel:
    """All members of a run as one set.

    Attributes:
        p_value: one-sided, of all members against all non-members (Mann-Whitney, with ties): how often a set drawn
            from where the non-members were drawn would score so high.
        power: by size, as far as the units suffice.
    """

    p_value: float
    power: tuple[Power, ...]


def set_level(scores: MembershipScores, membership: Membership, groups: Sequence[str] | None, *, seed: int) -> SetLevel:
    """Test the members as a set, and how many of them it would take.

    Args:
        scores: of one attack; records with NaN are left out.
        membership: the labels, joined by id.
        groups: group of each id, in the order of the scores' ids; None: each record by itself. A group that holds
            records of both classes becomes two units.
        seed: of the resamples.

    Returns:
        A curve over those of ``SIZES`` that are at most a quarter of the known non-members' units and at most the
        members' units; intervals are 95 %, over resamples of both kinds of units.

    Raises:
        AuditError: one class only has scores.
    """
    from scipy.stats import mannwhitneyu

    labels = labels_of(scores.ids, membership)
    keep = ~np.isnan(scores.values)
    names = np.arange(labels.size) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    members, others = (_units(scores.values, names, keep & kind) for kind in (labels, ~labels))
    if not members.size or not others.size:
        raise AuditError(
            f"'{scores.attack}' has scores of one class only",
            cure="Give known non-members: a set is compared with them.",
        )
    p_value = float(mannwhitneyu(members, others, alternative="greater").pvalue)
    return SetLevel(p_value, _curve(members, others, np.random.default_rng(seed)))


def _units(values: FloatArray, names: npt.NDArray[np.intp], keep: npt.NDArray[np.bool_]) -> FloatArray:
    """Mean score of each group's records that are kept, float64 [U]."""
    _, at = np.unique(names[keep], return_inverse=True)
    return np.bincount(at, values[keep]) / np.bincount(at)


def _curve(members: FloatArray, others: FloatArray, rng: np.random.Generator) -> tuple[Power, ...]:
    sizes = [size for size in SIZES if size <= min(members.size, others.size // 4)] if others.size >= LEAST else []
    if not sizes:
        return ()
    shape = (2, RESAMPLES, len(sizes))
    shares = {"found": np.zeros(shape), "false": np.zeros(shape)}
    for resample in range(RESAMPLES):
        shuffled = rng.permutation(others)
        half = others.size // 2
        known, checked = np.sort(shuffled[:half]), shuffled[half:]
        places = _places(known, known)
        null = _running_means(places[rng.integers(0, half, (NULLS, sizes[-1]))], sizes)
        # The known non-members are a draw themselves: against them another set lies off by as much as they do.
        null += rng.normal(0.0, places.std() / np.sqrt(half), (NULLS, 1))
        # The least value that at most ALPHA of the sets of non-members exceed.
        critical = np.sort(null, axis=0)[NULLS - int(ALPHA * NULLS) - 1]
        for name, units in (("found", members), ("false", checked)):
            # Each unit once in a set gives the figure; units drawn anew show how far another sample might lie.
            for row, pool in enumerate((units, rng.choice(units, units.size))):
                sets = rng.permuted(np.tile(_places(pool, known), (DRAWS, 1)), axis=1)
                shares[name][row, resample] = (_running_means(sets, sizes) > critical).mean(axis=0)
    found, false = ([_estimate(*shares[name][:, :, column]) for column in range(len(sizes))] for name in shares)
    return tuple(Power(*each) for each in zip(sizes, found, false, strict=True))


def _places(values: FloatArray, known: FloatArray) -> FloatArray:
    """For each value the share of ``known`` (sorted) below it, equal ones counted half."""
    both = np.searchsorted(known, values, "left") + np.searchsorted(known, values, "right")
    return both / (2.0 * known.size)


def _running_means(places: FloatArray, sizes: Sequence[int]) -> FloatArray:
    """Means of the first units of each row, for each size: float64 [rows, S]."""
    return np.asarray(np.cumsum(places[:, : sizes[-1]], axis=1)[:, np.array(sizes) - 1] / sizes)


def _estimate(once: FloatArray, anew: FloatArray) -> Estimate:
    value = float(once.mean())
    low, high = np.quantile(anew, [0.025, 0.975])
    return Estimate(value, min(float(low), value), max(float(high), value))
