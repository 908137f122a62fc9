"""Bootstrap intervals of means and sums over a stream of records, in bounded memory and without a second look.

Up to ``POOLS`` records each is drawn by itself: the plain bootstrap by record. Of more, each record is thrown into one
of ``POOLS`` pools at random (by a hash of its number, so that a sorted file is no harm) and whole pools are drawn.
A pool's sum varies as the sum of its records does, so the interval is the same but for the noise of estimating a
variance from 4,096 pools: 1.1 % of its width (one standard deviation), against 1.6 % that 2,000 resamples leave anyway.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from m4i_fast.errors import AuditError
from m4i_fast.stats import resamples as draws
from m4i_fast.types import Estimate

__all__ = ["POOLS", "Pools", "percentiles"]

POOLS: Final = 4096

FloatArray = npt.NDArray[np.float64]


class Pools:
    """Sums of K columns over records that come block by block.

    Args:
        columns: K.
    """

    def __init__(self, columns: int) -> None:
        self.count = 0
        self._sums: FloatArray = np.zeros((POOLS, columns))
        self._counts: FloatArray = np.zeros(POOLS)

    @property
    def total(self) -> FloatArray:
        """The sums over all records, float64 [K]."""
        total: FloatArray = self._sums.sum(axis=0)
        return total

    def add(self, values: FloatArray) -> None:
        """Take n more records, float64 [n, K] without NaN."""
        first, self.count = self.count, self.count + len(values)
        if self.count <= POOLS:
            self._sums[first : self.count] = values
            self._counts[first : self.count] = 1
            return
        if 0 < first <= POOLS:  # until now each record had a pool of its own
            alone = self._sums[:first].copy()
            self._sums[:], self._counts[:] = 0, 0
            self._throw(alone, 0)
        self._throw(values, first)

    def draws(self, rng: np.random.Generator | int, resamples: int) -> FloatArray:
        """Sums of resamples drawn with replacement, float64 [resamples, K + 1]; the last column counts records.

        Raises:
            AuditError: fewer than two records.
        """
        if self.count < 2:
            raise AuditError(f"{self.count} records cannot be drawn anew", cure="Give two or more.")
        pools = min(self.count, POOLS)
        units = draws.units(None, np.ones(pools, np.bool_))
        sums = np.concatenate([self._sums, self._counts[:, None]], axis=1)[:pools].T
        drawn = draws.weights(units, np.random.default_rng(rng), resamples)
        return np.concatenate([(sums @ weights).T for weights in drawn])

    def _throw(self, rows: FloatArray, first: int) -> None:
        from scipy.sparse import csc_matrix

        count = len(rows)
        pool = _scattered(np.arange(first, first + count, dtype=np.uint64)) % np.uint64(POOLS)
        at = pool.astype(np.int32)
        # A sparse product walks each row once; bincount, column by column, takes five times as long.
        self._sums += csc_matrix((np.ones(count), at, np.arange(count + 1)), shape=(POOLS, count)) @ rows
        self._counts += np.bincount(at, minlength=POOLS)


def percentiles(value: float, drawn: FloatArray, level: float) -> Estimate:
    """A figure with the percentile interval of its draws."""
    low, high = np.quantile(drawn, [0.5 - level / 2, 0.5 + level / 2])
    return Estimate(value, float(low), float(high))


def _scattered(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The mixing steps of SplitMix64 (Steele, Lea and Flood 2014): each number becomes 64 bits as good as random."""
    mixed = (numbers + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
