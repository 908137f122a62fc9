"""A lower bound on epsilon: right by hand, never above the truth by luck, and near it where much is shown."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from m4i_fast.errors import AuditError, ConfigError
from m4i_fast.stats.epsilon import MOST, epsilon_bound, epsilon_of_guesses, p_value
from m4i_fast.types import Membership, MembershipScores


def test_p_values_by_hand() -> None:
    # Four guesses, all right, no privacy lost: 1/16. With epsilon = ln 3 each is right with chance 3/4.
    assert p_value(10, 4, 4, 0.0, 0.0) == pytest.approx(1 / 16)
    assert p_value(10, 4, 4, math.log(3), 0.0) == pytest.approx((3 / 4) ** 4)
    # Two guesses, one right: 3/4 without delta; i = 1 gives the largest term, 1/4: 2 * 10 * 0.01 * 1/4.
    assert p_value(10, 2, 1, 0.0, 0.01) == pytest.approx(3 / 4 + 0.05)
    # Two right of two: i = 1 gives 1/2, i = 2 gives (1/2 + 1/4) / 2.
    assert p_value(10, 2, 2, 0.0, 0.01) == pytest.approx(1 / 4 + 20 * 0.01 * 1 / 2)
    assert p_value(10, 4, 0, 1.0, 0.1) == 1.0
    assert p_value(10_000, 4, 4, 0.0, 0.1) == 1.0


def test_bounds_by_hand() -> None:
    # All of r right refutes every epsilon with (e^eps / (1 + e^eps))^r <= 0.05.
    right = 0.05 ** (1 / 100)
    assert epsilon_of_guesses(1000, 100, 100) == pytest.approx(math.log(right / (1 - right)), abs=1e-4)
    assert epsilon_of_guesses(1000, 100, 50) == 0.0
    assert epsilon_of_guesses(1000, 4, 4) == 0.0, "a chance of 1/16 shows nothing"
    assert epsilon_of_guesses(1000, 100, 100, delta=0.1) == 0.0
    assert 0 < epsilon_of_guesses(10**9, 10**9, 10**9) <= MOST


@given(st.integers(1, 60).flatmap(lambda r: st.tuples(st.just(r), st.integers(0, r))), st.floats(0, 0.01))
def test_more_right_and_less_delta_never_show_less(guesses: tuple[int, int], delta: float) -> None:
    r, v = guesses
    found = epsilon_of_guesses(100, r, v, delta=delta)
    assert found <= epsilon_of_guesses(100, r, v) + 1e-5
    if v < r:
        assert found <= epsilon_of_guesses(100, r, v + 1, delta=delta) + 1e-5


def randomised_response(epsilon: float, count: int, seed: int) -> tuple[MembershipScores, Membership]:
    """The training that leaks as much as epsilon allows: it says of each record whether it was in, rightly so often."""
    rng = np.random.default_rng(seed)
    member = rng.random(count) < 0.5
    right = rng.random(count) < 1 / (1 + math.exp(-epsilon))
    ids = tuple(map(str, range(count)))
    scores = np.where(member == right, 1.0, 0.0) + 1e-6 * rng.random(count)
    return MembershipScores("any", ids, scores), Membership(ids, member)


def test_the_bound_is_near_the_truth_and_above_it_as_rarely_as_it_says() -> None:
    truth, over, found = 1.5, 0, []
    for seed in range(100):
        bound = epsilon_bound(*randomised_response(truth, 2000, seed), None)
        found.append(bound.epsilon)
        over += bound.epsilon > truth
    assert over <= binom.isf(0.001, 100, 0.05)
    assert 1.1 < float(np.median(found)) < truth


def test_nothing_is_shown_where_nothing_leaks() -> None:
    found = [epsilon_bound(*randomised_response(0.0, 1000, seed), None).epsilon for seed in range(60)]
    assert sum(each > 0 for each in found) <= 6


def test_more_attacks_pay_for_the_choice() -> None:
    given_ = randomised_response(2.0, 600, 0)
    alone, of_four = epsilon_bound(*given_, None), epsilon_bound(*given_, None, attacks=4)
    assert 0 < of_four.epsilon < alone.epsilon
    assert (alone.records, alone.delta, alone.level) == (600, 0.0, 0.95)
    assert alone.correct <= alone.guesses <= 600


def test_records_of_an_image_are_one_coin() -> None:
    scores, labels = randomised_response(2.0, 300, 0)
    ids = tuple(f"{each}/{copy}" for each in scores.ids for copy in range(3))
    groups = [each.split("/")[0] for each in ids]
    three = MembershipScores("any", ids, np.repeat(scores.values, 3))
    several = Membership(ids, np.repeat(labels.is_member, 3))
    assert epsilon_bound(three, several, groups) == epsilon_bound(scores, labels, None)
    several.is_member[0] = ~several.is_member[0]
    with pytest.raises(AuditError, match="1 groups hold members and non-members"):
        epsilon_bound(three, several, groups)


def test_equal_scores_are_not_parted_by_the_order_of_the_file() -> None:
    ids = tuple(map(str, range(200)))
    member = np.arange(200) < 100
    same = MembershipScores("any", ids, np.zeros(200))
    assert epsilon_bound(same, Membership(ids, member), None).epsilon == 0.0


def test_records_without_a_score_are_not_guessed() -> None:
    scores, labels = randomised_response(3.0, 400, 1)
    blank = MembershipScores("any", scores.ids, np.where(np.arange(400) % 2, scores.values, np.nan))
    bound = epsilon_bound(blank, labels, None)
    assert bound.records == 400
    assert 0 < bound.epsilon < 3.0
    nothing = MembershipScores("any", scores.ids, np.full(400, np.nan))
    assert epsilon_bound(nothing, labels, None).epsilon == 0.0


def test_labels_that_no_coin_gave_are_refused() -> None:
    ids = tuple(map(str, range(200)))
    scores = MembershipScores("any", ids, np.arange(200.0))
    with pytest.raises(AuditError, match="150 of 200 are members, which fair coins hardly ever give"):
        epsilon_bound(scores, Membership(ids, np.arange(200) < 150), None)
    for delta in (-0.1, 1.0, float("nan")):
        with pytest.raises(ConfigError, match="is no delta"):
            epsilon_bound(scores, Membership(ids, np.arange(200) < 100), None, delta=delta)
    with pytest.raises(ConfigError, match="0 attacks"):
        epsilon_bound(scores, Membership(ids, np.arange(200) < 100), None, attacks=0)
