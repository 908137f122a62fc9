"""A head is asked whether it knows the records that it is to score."""

import numpy as np
import pytest

from m4i_fast.attacks.fitted_rows import share_known, sketch
from m4i_fast.types import FeatureTable


def table(ids: range, seed: int = 0, prefix: str = "r") -> FeatureTable:
    values = np.random.default_rng(seed).normal(size=(ids.stop, 3))[ids.start :]
    return FeatureTable(tuple(f"{prefix}{each}" for each in ids), ("a", "b", "c"), values, "x")


def test_all_rows_or_none_or_a_half() -> None:
    fitted = sketch(table(range(1000)))
    assert len(fitted.split()) == 64
    assert share_known(fitted, table(range(1000))) == 1
    assert share_known(fitted, table(range(1000), seed=1)) == 0, "the answers of another model"
    assert share_known(fitted, table(range(1000), prefix="s")) == 0, "other records"
    assert share_known(fitted, table(range(500, 1000))) == pytest.approx(0.5, abs=0.2)


def test_rows_without_a_figure_do_not_count_and_nothing_knows_nothing() -> None:
    ids, nothing = ("a", "b"), np.full((2, 3), np.nan)
    unread = FeatureTable(ids, ("a", "b", "c"), nothing, "x")
    assert sketch(unread) == ""
    assert share_known("", table(range(9))) == 0
    assert share_known(sketch(table(range(9))), unread) == 0
