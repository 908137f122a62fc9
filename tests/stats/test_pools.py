"""The bootstrap of a stream: against the plain one, and where files are sorted."""

import numpy as np
import numpy.typing as npt
import pytest

from m4i_fast.errors import AuditError
from m4i_fast.stats.pools import POOLS, Pools, percentiles


def pooled(values: npt.NDArray[np.float64], block: int) -> Pools:
    pools = Pools(values.shape[1])
    for first in range(0, len(values), block):
        pools.add(values[first : first + block])
    return pools


def test_few_records_are_drawn_one_by_one() -> None:
    values = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
    pools = pooled(values, 2)
    assert pools.count == 3
    assert pools.total.tolist() == [7.0, 70.0]
    drawn = pools.draws(0, 400)
    assert drawn.shape == (400, 3)
    assert (drawn[:, 2] == 3).all()
    # Three draws of 1, 2 and 4: ten sums are possible, and 400 resamples see them all.
    assert set(drawn[:, 0]) == {3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 12.0}
    assert (drawn[:, 1] == 10 * drawn[:, 0]).all()


@pytest.mark.parametrize("count", [POOLS, POOLS + 1, 20 * POOLS])
@pytest.mark.parametrize("order", ["sorted", "halves"])
def test_the_standard_error_is_that_of_the_records(count: int, order: str) -> None:
    values = np.sort(np.random.default_rng(count).normal(3, 1, (count, 1)), axis=0)
    if order == "halves":
        values[:, 0] = np.where(np.arange(count) < count // 2, 1.0, -1.0)
    pools = pooled(values, 1000)
    assert pools.count == count
    assert pools.total[0] == pytest.approx(values.sum(), abs=1e-6)
    drawn = pools.draws(1, 1500)
    assert drawn[:, 1].mean() == pytest.approx(count, rel=0.01)
    means = drawn[:, 0] / drawn[:, 1]
    assert means.std() * count**0.5 == pytest.approx(values.std(), rel=0.07)


def test_blocks_do_not_show() -> None:
    values = np.random.default_rng(0).integers(0, 50, (2 * POOLS + 5, 3)).astype(np.float64)
    assert np.array_equal(pooled(values, 777).draws(2, 300), pooled(values, len(values)).draws(2, 300))


def test_same_seed_same_draws() -> None:
    pools = pooled(np.arange(50.0)[:, None], 50)
    assert np.array_equal(pools.draws(7, 200), pools.draws(7, 200))
    assert not np.array_equal(pools.draws(7, 200), pools.draws(8, 200))


def test_one_record_has_no_interval() -> None:
    with pytest.raises(AuditError, match="1 records cannot be drawn anew"):
        pooled(np.ones((1, 1)), 1).draws(0, 200)


def test_percentiles() -> None:
    estimate = percentiles(0.3, np.arange(101.0), 0.9)
    assert (estimate.value, estimate.low, estimate.high) == (0.3, pytest.approx(5.0), pytest.approx(95.0))
