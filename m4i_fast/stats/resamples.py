"""Bootstrap resamples of groups: records of one image or study are drawn together or not at all.

A resample is never a copy of the data: it is a weight a group, and everything is computed on scores that were sorted
once. Arrays are laid out [records, resamples], so that sums along the records run over whole rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from m4i_fast.errors import AuditError
from m4i_fast.stats.roc import checked, false_positives_allowed

__all__ = ["Ranked", "Units", "auc_draws", "balanced_accuracy_draws", "rank", "tpr_draws", "units", "weights"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

CELLS = 2_000_000
"""Entries of one weight matrix [records, resamples]: 16 MB each, about six of them alive at once."""


@dataclass(frozen=True, slots=True)
class Units:
    """The resampling units of N records.

    Attributes:
        group: [N] index of each record's group.
        strata: indices of the groups that hold members only, non-members only, and both; each stratum is resampled
            apart, so that every resample has as many groups of each kind as the sample.
        count: number of groups G.
    """

    group: IntArray
    strata: tuple[IntArray, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Ranked:
    """One column of scores, sorted once.

    Attributes:
        member_groups: [M] group of each member, from the highest score down.
        non_member_groups: [K] group of each non-member, from the highest score down.
        below: [M] for each member in that order, how many non-members score less, counted from the lowest.
        not_above: [M] the same, less or equal.
        member_called: bool [M], score > threshold.
        non_member_called: bool [K].
        members_at: [K + 1] the most members that a threshold can call with at most j non-members called.
    """

    member_groups: IntArray
    non_member_groups: IntArray
    below: IntArray
    not_above: IntArray
    member_called: npt.NDArray[np.bool_]
    non_member_called: npt.NDArray[np.bool_]
    members_at: IntArray

    @property
    def groups_of_members(self) -> int:
        """How many groups stand behind the members."""
        return np.unique(self.member_groups).size

    @property
    def groups_of_non_members(self) -> int:
        """How many groups stand behind the non-members."""
        return np.unique(self.non_member_groups).size


def units(groups: Sequence[str] | npt.NDArray[np.generic] | None, is_member: npt.NDArray[np.bool_]) -> Units:
    """Resampling units of N records.

    Args:
        groups: N names or numbers of groups; None makes each record a group.
        is_member: bool [N].

    Raises:
        AuditError: the number of groups is not the number of records.
    """
    if groups is None:
        group = np.arange(is_member.size)
    else:
        names = np.asarray(groups)
        if names.shape != is_member.shape:
            raise AuditError(
                f"{names.size} groups were given for {is_member.size} records", cure="Give one group a record."
            )
        group = np.unique(names, return_inverse=True)[1].reshape(-1)
    count = int(group.max(initial=-1)) + 1
    members = np.bincount(group, is_member, count) > 0
    others = np.bincount(group, ~is_member, count) > 0
    kinds = (members & ~others, others & ~members, members & others)
    return Units(group, tuple(np.flatnonzero(kind) for kind in kinds if kind.any()), count)


def weights(of: Units, rng: np.random.Generator, resamples: int) -> Iterator[FloatArray]:
    """How often each group was drawn: float64 [G, b] in chunks, ``resamples`` columns in all, bounded memory."""
    width = max(1, min(resamples, CELLS // max(1, of.group.size)))
    for start in range(0, resamples, width):
        b = min(width, resamples - start)
        drawn = np.zeros((of.count, b))
        columns = np.arange(b)
        for stratum in of.strata:
            # Drawing indices and counting them is the multinomial; numpy's own walks its cells one by one.
            picks = rng.integers(0, stratum.size, (stratum.size, b))
            picks *= b
            picks += columns
            drawn[stratum] = np.bincount(picks.ravel(), minlength=stratum.size * b).reshape(stratum.size, b)
        yield drawn


def rank(
    scores: npt.ArrayLike,
    is_member: npt.ArrayLike,
    group: IntArray,
    threshold: float = 0.0,
) -> Ranked:
    """Sort a column of scores once.

    Args:
        scores: float [N] without NaN.
        is_member: bool [N].
        group: [N] group indices of ``units``.
        threshold: score > threshold is called a member.

    Raises:
        AuditError: NaN scores, one class only, or lengths that differ.
    """
    values, members = checked(scores, is_member)
    inside, outside = np.flatnonzero(members), np.flatnonzero(~members)
    inside = inside[np.argsort(-values[inside], kind="stable")]
    outside = outside[np.argsort(-values[outside], kind="stable")]
    ascending = values[outside][::-1]
    at = _members_at(values[inside], values[outside])
    return Ranked(
        group[inside],
        group[outside],
        np.searchsorted(ascending, values[inside], "left"),
        np.searchsorted(ascending, values[inside], "right"),
        values[inside] > threshold,
        values[outside] > threshold,
        at,
    )


def auc_draws(ranked: Ranked, drawn: FloatArray) -> FloatArray:
    """Weighted Mann-Whitney AUC of each resample, float64 [b]; 0.5 where a resample lacks a class."""
    member = drawn[ranked.member_groups]
    other = drawn[ranked.non_member_groups[::-1]]
    under = np.zeros((other.shape[0] + 1, drawn.shape[1]))
    np.cumsum(other, axis=0, out=under[1:])
    half = under[ranked.below]
    half += under[ranked.not_above]
    pairs = 2 * under[-1] * member.sum(axis=0)
    won = np.einsum("ib,ib->b", member, half)
    return _share(won, pairs)


def balanced_accuracy_draws(ranked: Ranked, drawn: FloatArray) -> FloatArray:
    """Balanced accuracy at the threshold of each resample, float64 [b]."""
    member, other = drawn[ranked.member_groups], drawn[ranked.non_member_groups]
    hit = _share(ranked.member_called.astype(np.float64) @ member, member.sum(axis=0))
    passed = _share((~ranked.non_member_called).astype(np.float64) @ other, other.sum(axis=0))
    return np.asarray((hit + passed) / 2)


def tpr_draws(
    ranked: Ranked, drawn: FloatArray, levels: Mapping[str, float], rng: np.random.Generator
) -> dict[str, FloatArray]:
    """TPR at each false-positive rate, one draw a resample.

    The plain bootstrap of such a figure leans on the top few non-members, chooses among those that happen to be there
    and covers as little as 70 % (see ``intervals``). Here the resample says instead how many of the sample's
    non-members lie above the true threshold: their count J among the top ``fpr * K`` of the sample, drawn again. The
    threshold then lies between the J-th and the next non-member, anywhere between with equal chance; members are
    weighted as drawn. Every draw of J keeps groups together, and J = 0 (a threshold above all non-members) has its due
    chance.

    Returns:
        float64 [b] a level, by the level's key.
    """
    b = drawn.shape[1]
    member = drawn[ranked.member_groups]
    called = np.zeros((member.shape[0] + 1, b))
    np.cumsum(member, axis=0, out=called[1:])
    columns = np.arange(b)
    result = {}
    last = ranked.non_member_groups.size
    for key, fpr in levels.items():
        allowed = float(false_positives_allowed(fpr, last))
        whole = min(int(allowed), last)
        above = drawn[ranked.non_member_groups[:whole]].sum(axis=0)
        if whole < last:
            above += (allowed - whole) * drawn[ranked.non_member_groups[whole]]
        # A fraction of a record is a record by that chance.
        j = np.minimum(np.floor(above + rng.random(b)).astype(np.intp), last)
        low = np.where(j > 0, called[ranked.members_at[np.maximum(j - 1, 0)], columns], 0.0)
        high = called[ranked.members_at[j], columns]
        result[key] = _share(low + rng.random(b) * (high - low), called[-1])
    return result


def _members_at(inside: FloatArray, outside: FloatArray) -> IntArray:
    """Both descending. Entry j: members called by the lowest threshold that calls at most j non-members."""
    count = outside.size
    # Calling at most j means that the (j+1)-th non-member is not called: members strictly above it are.
    result = np.full(count + 1, inside.size, np.intp)
    result[:count] = inside.size - np.searchsorted(inside[::-1], outside, "right")
    return result


def _share(part: FloatArray, whole: FloatArray) -> FloatArray:
    result = np.full(part.shape, 0.5)
    np.divide(part, whole, out=result, where=whole > 0)
    return result
