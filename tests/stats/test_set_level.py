"""A set of records tells more than one of them; a set of non-members tells nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from m4i_fast.errors import AuditError
from m4i_fast.stats.set_level import ALPHA, set_level
from m4i_fast.types import Membership, MembershipScores


def given_scores(members: int, others: int, lift: float, seed: int = 0) -> tuple[MembershipScores, Membership]:
    rng = np.random.default_rng(seed)
    labels = np.arange(members + others) < members
    values = rng.normal(size=labels.size) + lift * labels
    ids = tuple(map(str, range(labels.size)))
    return MembershipScores("any", ids, values), Membership(ids, labels)


def test_by_hand() -> None:
    # Three members above three non-members: of the 20 ways to place them this one is the highest.
    ids = tuple("abcdef")
    scores = MembershipScores("any", ids, np.array([6.0, 5, 4, 3, 2, 1]))
    found = set_level(scores, Membership(ids, np.array([True] * 3 + [False] * 3)), None, seed=0)
    assert found.p_value == pytest.approx(1 / 20)
    assert found.power == (), "three non-members give no distribution"


def test_more_images_find_more() -> None:
    found = set_level(*given_scores(400, 800, lift=0.5), None, seed=0)
    assert found.p_value < 1e-10
    assert [each.size for each in found.power] == [1, 2, 5, 10, 20, 50, 100, 200]
    shares = [each.found.value for each in found.power]
    assert shares == sorted(shares)
    assert shares[-1] > 0.999
    # With normal scores and the mean of them as statistic the power is known; places lose little against it.
    for each in found.power:
        best = norm.sf(norm.isf(ALPHA) - 0.5 * np.sqrt(each.size))
        assert each.found.low - 0.02 <= best
        assert each.found.high + 0.05 >= best
        assert each.found.low <= each.found.value <= each.found.high


def test_a_set_of_non_members_is_rarely_called() -> None:
    values = [set_level(*given_scores(200, 90, lift=0.0, seed=seed), None, seed=seed).p_value for seed in range(60)]
    assert 0.3 < np.mean(values) < 0.7
    assert np.mean(np.array(values) < 0.05) < 0.15


def test_false_alarms_are_measured_and_about_what_was_allowed() -> None:
    curves = [set_level(*given_scores(200, 800, lift=0.0, seed=seed), None, seed=seed).power for seed in range(6)]
    for column, each in enumerate(curves[0]):
        false = np.mean([curve[column].false_alarms.value for curve in curves])
        assert 0 <= false < 0.03, each.size


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_only_the_order_of_the_scores_matters(seed: int) -> None:
    scores, labels = given_scores(12, 130, 0.8, seed)
    bent = MembershipScores("any", scores.ids, np.exp(scores.values) * 7 - 100)
    assert set_level(scores, labels, None, seed=1) == set_level(bent, labels, None, seed=1)


def test_copies_of_a_record_do_not_make_it_surer() -> None:
    scores, labels = given_scores(30, 200, lift=0.3)
    ids = tuple(f"{each}/{copy}" for each in scores.ids for copy in range(4))
    groups = [each.split("/")[0] for each in ids]
    four = MembershipScores("any", ids, np.repeat(scores.values, 4))
    several = Membership(ids, np.repeat(labels.is_member, 4))
    once = set_level(scores, labels, None, seed=0)
    assert set_level(four, several, groups, seed=0).p_value == pytest.approx(once.p_value)
    assert set_level(four, several, None, seed=0).p_value < once.p_value / 4, "taken for records of their own"
    assert [each.size for each in once.power] == [1, 2, 5, 10, 20]


def test_records_without_a_score_are_left_out() -> None:
    scores, labels = given_scores(20, 120, lift=1.0)
    more = MembershipScores("any", (*scores.ids, "x", "y"), np.append(scores.values, [np.nan, np.nan]))
    both = Membership(more.ids, np.append(labels.is_member, [True, False]))
    assert set_level(more, both, None, seed=0).p_value == pytest.approx(set_level(scores, labels, None, seed=0).p_value)


def test_one_class_is_refused() -> None:
    scores, labels = given_scores(5, 5, lift=0.0)
    with pytest.raises(AuditError, match="one class only"):
        set_level(scores, Membership(labels.ids, np.zeros(10, np.bool_)), None, seed=0)
