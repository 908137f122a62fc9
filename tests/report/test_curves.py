from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m4i_fast.errors import DataError
from m4i_fast.report.curves import read_curves, thin, write_curves
from m4i_fast.types import RocCurve


def curve(*points: tuple[float, float]) -> RocCurve:
    fpr, tpr = np.array(points, dtype=float).T
    return RocCurve(fpr, tpr)


def large(seed: int, size: int = 20_000) -> RocCurve:
    rng = np.random.default_rng(seed)
    steps = rng.random(size) < np.linspace(0.9, 0.1, size)
    tpr = np.concatenate([[0], np.cumsum(steps) / steps.sum()])
    fpr = np.concatenate([[0], np.cumsum(~steps) / (~steps).sum()])
    return RocCurve(fpr, tpr)


def test_curves_come_back_as_they_went_in_their_order(tmp_path: Path) -> None:
    first, second = curve((0, 0), (0.25, 0.5), (1, 1)), curve((0, 0), (1, 1))
    write_curves(tmp_path / "curves.parquet", {"z": first, "a": second})
    back = read_curves(tmp_path / "curves.parquet")
    assert list(back) == ["z", "a"]
    assert back["z"].fpr.tolist() == [0, 0.25, 1]
    assert back["z"].tpr.tolist() == [0, 0.5, 1]
    assert back["a"].fpr.tolist() == [0, 1]
    assert pq.read_schema(tmp_path / "curves.parquet").names == ["name", "fpr", "tpr"]


def test_no_curve_is_a_table_too(tmp_path: Path) -> None:
    write_curves(tmp_path / "curves.parquet", {})
    assert read_curves(tmp_path / "curves.parquet") == {}


def test_inner_points_of_straight_runs_go_and_corners_stay() -> None:
    steps = curve((0, 0), (0, 0.2), (0, 0.4), (0.3, 0.4), (0.6, 0.4), (0.6, 1), (1, 1))
    thinned = thin(steps)
    assert list(zip(thinned.fpr.tolist(), thinned.tpr.tolist(), strict=True)) == [
        (0, 0),
        (0, 0.4),
        (0.6, 0.4),
        (0.6, 1),
        (1, 1),
    ]


@given(st.integers(0, 10_000), st.sampled_from([60, 200, 600]))
def test_a_thinned_curve_is_small_rises_and_keeps_the_area_and_both_ends(seed: int, points: int) -> None:
    full = large(seed, 4000)
    thinned = thin(full, points)
    assert len(thinned.fpr) <= points
    assert (np.diff(thinned.fpr) >= 0).all()
    assert (np.diff(thinned.tpr) >= 0).all()
    assert (thinned.fpr[0], thinned.tpr[0], thinned.fpr[-1], thinned.tpr[-1]) == (0, 0, 1, 1)
    assert abs(np.trapezoid(thinned.tpr, thinned.fpr) - np.trapezoid(full.tpr, full.fpr)) < 1 / points


def test_the_rate_without_any_false_alarm_is_kept() -> None:
    # A low climb, which no line of the TPR grid crosses.
    full = RocCurve(np.r_[0, 0, np.linspace(0.0001, 1, 5000)], np.r_[0, 0.013, np.linspace(0.014, 1, 5000) ** 0.9])
    thinned = thin(full, 30)
    assert 0.013 in thinned.tpr[thinned.fpr == 0]


def test_what_is_no_table_of_curves_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "curves.parquet"
    with pytest.raises(DataError, match="m4i-fast evaluate"):
        read_curves(path)
    path.write_bytes(b"PAR1 nothing")
    with pytest.raises(DataError, match="not a table"):
        read_curves(path)
    pq.write_table(pa.table({"name": ["a"], "fpr": [0.1]}), path)
    with pytest.raises(DataError, match="not a table"):
        read_curves(path)
    for bad in (1.5, -0.1, float("nan")):
        pq.write_table(pa.table({"name": ["a"], "fpr": [bad], "tpr": [0.5]}), path)
        with pytest.raises(DataError, match="outside 0 to 1"):
            read_curves(path)
