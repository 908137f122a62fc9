"""A lower bound on epsilon from one training run, where the auditor decided by coin which records went in.

Steinke, Nasr and Jagielski, "Privacy auditing with one (1) training run", NeurIPS 2023, theorem 5.2 and proposition
5.1: of r guesses about records that were each included with chance 1/2, an (epsilon, delta)-private training lets no
guesser get more right than a binomial of r and e^epsilon / (1 + e^epsilon) does, but for a term in delta.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from m4i_fast.errors import AuditError, ConfigError
from m4i_fast.stats.labels import labels_of
from m4i_fast.types import Membership, MembershipScores

__all__ = ["SHARES", "EpsilonBound", "epsilon_bound", "epsilon_of_guesses", "p_value"]

LEVEL = 0.95
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Shares of the records that are guessed at either end; which of them is best must not be chosen with the labels."""
UNLIKELY = 1e-4
"""Of a share of members by fair coins: below it the claim that coins were thrown is not believed."""
MOST = 60.0
"""No bound is larger: e^60 to 1 is certainty."""


@dataclass(frozen=True, slots=True)
class EpsilonBound:
    """What one run shows of epsilon.

    Attributes:
        epsilon: at least so much, at ``level``; 0 where nothing was shown.
        level: that the bound holds at, over all shares that were tried and all attacks.
        delta: for which it holds.
        records: whose membership was a coin's (images, where records come in groups).
        guesses: r, of the best share.
        correct: of these.
        share: guessed at either end.
        sides: ``both`` ends, or ``members`` alone.
    """

    epsilon: float
    level: float
    delta: float
    records: int
    guesses: int
    correct: int
    share: float
    sides: str


def p_value(records: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """The chance, at most, that so many guesses are right where the training is (epsilon, delta)-private.

    Args:
        records: m, each included with chance 1/2.
        guesses: r, how many were guessed.
        correct: v, of these.
        epsilon: of the claim.
        delta: of the claim.
    """
    from scipy.stats import binom

    right = 1.0 / (1.0 + np.exp(-epsilon))
    beta = float(binom.sf(correct - 1, guesses, right))
    if not delta or not correct:
        return min(1.0, beta)
    steps = np.arange(1, correct + 1)
    alpha = float((np.cumsum(binom.pmf(correct - steps, guesses, right)) / steps).max())
    return min(1.0, beta + 2 * records * delta * alpha)


def epsilon_of_guesses(records: int, guesses: int, correct: int, *, delta: float = 0.0, level: float = LEVEL) -> float:
    """The largest epsilon that these guesses refute: 0 where they refute none, ``MOST`` where they refute all."""
    from scipy.optimize import brentq

    allowed = 1 - level

    def over(epsilon: float) -> float:
        return p_value(records, guesses, correct, epsilon, delta) - allowed

    if over(0.0) > 0:
        return 0.0
    return MOST if over(MOST) <= 0 else float(brentq(over, 0.0, MOST, xtol=1e-6))


def epsilon_bound(
    scores: MembershipScores,
    membership: Membership,
    groups: Sequence[str] | None,
    *,
    delta: float = 0.0,
    attacks: int = 1,
) -> EpsilonBound:
    """The best bound over ``SHARES``, guessed at the top and at both ends; Bonferroni's rule pays for the choice.

    Args:
        scores: of one attack, fitted without these labels; of records with NaN nothing is guessed.
        membership: the labels, joined by id: fair coins, thrown a record (or a group) each by the auditor.
        groups: group of each id in the scores' order; a group was one coin. None: each record by itself.
        delta: of the claim.
        attacks: that are tried; the level is paid for by all.

    Raises:
        ConfigError: delta is none, or no attack is counted.
        AuditError: a group holds members and non-members, or the labels are not of fair coins.
    """
    if not 0 <= delta < 1:
        raise ConfigError(f"{delta} is no delta", where="delta", cure="Give 0 or more, and less than 1.")
    if attacks < 1:
        raise ConfigError(f"{attacks} attacks", where="attacks", cure="Give 1 or more.")
    values, member = _coins(scores, membership, groups)
    level = 1 - (1 - LEVEL) / (attacks * 2 * len(SHARES))
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(-values[known], kind="stable")]  # from the most member-like down
    ranked, inside = values[order], member[order]
    best: EpsilonBound | None = None
    for share in SHARES:
        count = int(share * ranked.size)
        top = _cut(ranked, count)
        bottom = _cut(-ranked[::-1], count)
        for sides, low in (("both", bottom), ("members", 0)):
            guesses = top + low
            correct = int(inside[:top].sum() + (~inside[inside.size - low :]).sum())
            found = epsilon_of_guesses(values.size, guesses, correct, delta=delta, level=level) if guesses else 0.0
            if best is None or found > best.epsilon:
                best = EpsilonBound(found, LEVEL, delta, values.size, guesses, correct, share, sides)
    assert best is not None
    return best


def _cut(ranked: npt.NDArray[np.float64], count: int) -> int:
    """At most ``count`` of the first, none of a block of equal scores that goes on behind them."""
    while 0 < count < ranked.size and ranked[count] == ranked[count - 1]:
        count -= 1
    return count


def _coins(
    scores: MembershipScores, membership: Membership, groups: Sequence[str] | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """A score and a label a coin."""
    from scipy.stats import binomtest

    labels = labels_of(scores.ids, membership)
    at = np.arange(labels.size)
    if groups is not None:
        at = np.unique(np.asarray(groups), return_inverse=True)[1]
    count = np.bincount(at)
    inside = np.bincount(at, labels)
    mixed = (inside > 0) & (inside < count)
    if mixed.any():
        raise AuditError(
            f"{int(mixed.sum())} groups hold members and non-members, so their records had coins of their own",
            cure="Give each record a group of its own where each had its own coin.",
        )
    member = inside > 0
    if binomtest(int(member.sum()), member.size).pvalue < UNLIKELY:
        raise AuditError(
            f"{int(member.sum())} of {member.size} are members, which fair coins hardly ever give",
            cure="A bound on epsilon needs records that were put in or left out by a fair coin each.",
        )
    good = np.isfinite(scores.values)
    sums = np.bincount(at, np.where(good, scores.values, 0.0))
    known = np.bincount(at, good)
    with np.errstate(invalid="ignore"):
        return np.where(known > 0, sums / known, np.nan), member
