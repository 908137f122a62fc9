from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m4i_fast.errors import AuditError
from m4i_fast.stats.labels import labels_of
from m4i_fast.stats.roc import auc, balanced_accuracy, roc, tpr_at_fpr
from m4i_fast.types import Membership

NAN = float("nan")
T, F = True, False

# Few distinct values: full of ties, as overlap scores are.
tied = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40).filter(
    lambda rows: len({row[1] for row in rows}) == 2
)


def slow_auc(scores: Any, labels: Any) -> float:
    inside = [s for s, m in zip(scores, labels, strict=True) if m]
    outside = [s for s, m in zip(scores, labels, strict=True) if not m]
    return sum((a > b) + (a == b) / 2 for a in inside for b in outside) / (len(inside) * len(outside))


def slow_tpr(scores: Any, labels: Any, fpr: float) -> float:
    best = 0.0
    for threshold in [*scores, max(scores) + 1]:
        called = [s >= threshold for s in scores]
        false = sum(c for c, m in zip(called, labels, strict=True) if not m)
        true = sum(c for c, m in zip(called, labels, strict=True) if m)
        if false <= fpr * (len(labels) - sum(labels)) + 1e-9:
            best = max(best, true / sum(labels))
    return best


def test_auc_counts_ties_half() -> None:
    assert auc([3, 2, 2, 1], [T, T, F, F]) == 0.875
    assert auc([1, 1, 1, 1], [T, F, T, F]) == 0.5
    assert auc([2, 1], [T, F]) == 1.0
    assert auc([1, 2], [T, F]) == 0.0


def test_auc_takes_infinite_scores() -> None:
    assert auc([np.inf, -np.inf, 0.0, np.inf], [T, F, F, F]) == pytest.approx(2.5 / 3)


def test_roc_takes_whole_tie_blocks_and_both_ends() -> None:
    curve = roc([3, 2, 2, 2, 1], [T, T, F, F, T])
    assert curve.fpr.tolist() == [0.0, 0.0, 1.0, 1.0]
    assert curve.tpr.tolist() == pytest.approx([0.0, 1 / 3, 2 / 3, 1.0])


def test_tpr_is_not_interpolated_inside_a_tie() -> None:
    curve = roc([3, 2, 2, 2, 1], [T, T, F, F, T])
    assert tpr_at_fpr(curve, 0.5) == pytest.approx(1 / 3)
    assert tpr_at_fpr(curve, 0.0) == pytest.approx(1 / 3)
    assert tpr_at_fpr(curve, 1.0) == 1.0


def test_an_exact_false_positive_rate_is_allowed_despite_rounding() -> None:
    # 3 of 30 non-members above: 3 / 30 is a hair above 0.1 on some machines and must count as 0.1.
    scores = [*range(27), 100, 101, 102, 50]
    labels = [F] * 30 + [T]
    assert tpr_at_fpr(roc(scores, labels), 0.1) == 1.0


def test_balanced_accuracy_calls_only_what_lies_above() -> None:
    assert balanced_accuracy([0.9, 0.5, 0.5, 0.1], [T, T, F, F], 0.5) == 0.75
    assert balanced_accuracy([0.9, 0.8, 0.7, 0.1], [T, T, T, F], 0.75) == pytest.approx((2 / 3 + 1) / 2)


@given(tied)
def test_auc_equals_counting_every_pair(rows: list[tuple[int, bool]]) -> None:
    scores, labels = zip(*rows, strict=True)
    assert auc(scores, labels) == pytest.approx(slow_auc(scores, labels), abs=1e-12)


@given(tied)
def test_area_under_the_curve_is_the_auc(rows: list[tuple[int, bool]]) -> None:
    scores, labels = zip(*rows, strict=True)
    curve = roc(scores, labels)
    assert (curve.fpr[0], curve.tpr[0], curve.fpr[-1], curve.tpr[-1]) == (0.0, 0.0, 1.0, 1.0)
    assert np.trapezoid(curve.tpr, curve.fpr) == pytest.approx(auc(scores, labels), abs=1e-12)


@given(tied, st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9]))
def test_tpr_at_fpr_equals_trying_every_threshold(rows: list[tuple[int, bool]], fpr: float) -> None:
    scores, labels = zip(*rows, strict=True)
    assert tpr_at_fpr(roc(scores, labels), fpr) == pytest.approx(slow_tpr(scores, labels, fpr), abs=1e-12)


@given(tied)
def test_a_monotone_transform_changes_nothing(rows: list[tuple[int, bool]]) -> None:
    scores, labels = (np.array(each) for each in zip(*rows, strict=True))
    assert auc(np.exp(scores / 3), labels) == auc(scores, labels)
    assert auc(-scores, labels) == pytest.approx(1 - auc(scores, labels))
    assert np.array_equal(roc(3.0 * scores - 7, labels).tpr, roc(scores, labels).tpr)


@given(tied, st.randoms())
def test_the_order_of_the_records_changes_nothing(rows: list[tuple[int, bool]], random: Any) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    (s, m), (s2, m2) = zip(*rows, strict=True), zip(*shuffled, strict=True)
    assert auc(s, m) == auc(s2, m2)
    assert np.array_equal(roc(s, m).tpr, roc(s2, m2).tpr)


def test_nan_scores_are_counted_and_refused() -> None:
    with pytest.raises(AuditError, match=r"2 of 4 scores are NaN.*Leave those records out"):
        auc([1, NAN, 2, NAN], [T, F, F, T])


@pytest.mark.parametrize(("label", "kind"), [(T, "members"), (F, "non-members")])
def test_one_class_is_refused(label: bool, kind: str) -> None:
    with pytest.raises(AuditError, match=f"all 3 scored records are {kind}"):
        roc([1, 2, 3], [label] * 3)


def test_labels_that_are_no_labels_are_refused() -> None:
    with pytest.raises(AuditError, match="neither true nor false"):
        auc([1, 2], [0, 2])
    with pytest.raises(AuditError, match=r"shape \(2,\) do not fit labels of shape \(3,\)"):
        auc([1, 2], [T, F, T])


def test_hostile_rates_and_thresholds_are_refused() -> None:
    with pytest.raises(AuditError, match="from 0 to 1"):
        tpr_at_fpr(roc([1, 2], [F, T]), 1.5)
    with pytest.raises(AuditError, match="threshold is NaN"):
        balanced_accuracy([1, 2], [F, T], NAN)


def test_labels_are_joined_by_id() -> None:
    membership = Membership(("c", "a", "b"), np.array([T, F, T]))
    assert labels_of(("a", "b"), membership).tolist() == [False, True]


def test_records_without_a_label_are_counted() -> None:
    with pytest.raises(AuditError, match=r"1 of 2 records have no label.*'x'"):
        labels_of(("a", "x"), Membership(("a",), np.array([T])))
    with pytest.raises(AuditError, match="'a' is labelled twice"):
        labels_of(("a",), Membership(("a", "b", "a"), np.array([T, T, F])))
