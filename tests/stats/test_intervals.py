import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m4i_fast.errors import AuditError
from m4i_fast.stats import resamples
from m4i_fast.stats.intervals import bootstrap, bootstrap_all, difference, smallest_detectable_auc, wilson
from m4i_fast.stats.roc import auc, balanced_accuracy, roc, tpr_at_fpr


def sample(
    count: int, lift: float, seed: int = 0, digits: int = 6
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2 == 0
    return np.round(rng.normal(lift * labels, 1), digits), labels


def width(each: object) -> float:
    return each.high - each.low  # type: ignore[attr-defined, no-any-return]


def test_values_are_those_of_the_sample() -> None:
    scores, labels = sample(2400, 1.0, digits=1)
    figures = bootstrap(scores, labels, rng=0, resamples=200, threshold=0.45)
    assert figures.auc.value == pytest.approx(auc(scores, labels), abs=1e-12)
    assert figures.balanced_accuracy.value == pytest.approx(balanced_accuracy(scores, labels, 0.45), abs=1e-12)
    for key, fpr in (("0.1", 0.1), ("0.01", 0.01), ("0.001", 0.001)):
        estimate = figures.tpr_at_fpr[key]
        assert estimate is not None
        assert estimate.value == pytest.approx(tpr_at_fpr(roc(scores, labels), fpr), abs=1e-12)
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


@given(
    st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 3)), min_size=2, max_size=25).filter(
        lambda rows: len({row[1] for row in rows}) == 2
    ),
    st.integers(0, 2**32 - 1),
)
def test_a_weighted_figure_equals_the_figure_of_the_repeated_records(
    rows: list[tuple[int, bool, int]], seed: int
) -> None:
    scores, labels, groups = (np.array(each) for each in zip(*rows, strict=True))
    of = resamples.units(groups, labels)
    ranked = resamples.rank(scores, labels, of.group, threshold=2)
    (drawn,) = resamples.weights(of, np.random.default_rng(seed), 5)
    aucs = resamples.auc_draws(ranked, drawn)
    accuracies = resamples.balanced_accuracy_draws(ranked, drawn)
    for b in range(5):
        times = drawn[of.group, b].astype(int)
        s, m = np.repeat(scores, times), np.repeat(labels, times)
        if 0 < m.sum() < m.size:
            assert aucs[b] == pytest.approx(auc(s, m), abs=1e-12)
            assert accuracies[b] == pytest.approx(balanced_accuracy(s, m, 2), abs=1e-12)


def test_groups_are_drawn_whole_and_strata_keep_their_size() -> None:
    labels = np.array([True, True, True, False, False, True, False])
    of = resamples.units(["a", "a", "b", "c", "d", "e", "e"], labels)
    assert of.count == 5
    assert [stratum.tolist() for stratum in of.strata] == [[0, 1], [2, 3], [4]]
    (drawn,) = resamples.weights(of, np.random.default_rng(0), 50)
    assert drawn[:2].sum(axis=0).tolist() == [2.0] * 50
    assert drawn[2:4].sum(axis=0).tolist() == [2.0] * 50
    assert drawn[4].tolist() == [1.0] * 50
    assert len(np.unique(drawn[0])) == 3


def test_memory_stays_bounded_by_drawing_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resamples, "CELLS", 70)
    of = resamples.units(None, np.array([True] * 5 + [False] * 5))
    chunks = [each.shape for each in resamples.weights(of, np.random.default_rng(0), 100)]
    assert chunks == [(10, 7)] * 14 + [(10, 2)]


def test_the_same_seed_gives_the_same_numbers() -> None:
    scores, labels = sample(300, 0.5)
    first = bootstrap(scores, labels, rng=7, resamples=300)
    again = bootstrap(scores, labels, rng=7, resamples=300)
    other = bootstrap(scores, labels, rng=8, resamples=300)
    assert (first.auc, first.tpr_at_fpr) == (again.auc, again.tpr_at_fpr)
    assert first.auc != other.auc


def test_copies_of_a_record_in_its_group_do_not_tighten_the_interval() -> None:
    scores, labels = sample(200, 0.8)
    alone = bootstrap(scores, labels, rng=0)
    names = np.arange(200)
    copied = bootstrap(np.tile(scores, 5), np.tile(labels, 5), np.tile(names, 5), rng=0)
    strangers = bootstrap(np.tile(scores, 5), np.tile(labels, 5), rng=0)
    assert width(copied.auc) == pytest.approx(width(alone.auc), rel=0.1)
    assert width(copied.balanced_accuracy) == pytest.approx(width(alone.balanced_accuracy), rel=0.1)
    assert width(strangers.auc) < 0.6 * width(alone.auc)
    assert copied.groups == (100, 100)


def test_a_perfect_attack_is_not_certain() -> None:
    labels = np.arange(100) < 50
    figures = bootstrap(labels.astype(float), labels, rng=0, threshold=0.5)
    assert figures.auc.value == 1.0
    assert 0.93 < figures.auc.low < 0.99
    assert figures.auc.high == 1.0
    assert 0.9 < figures.balanced_accuracy.low < 0.99
    tpr = figures.tpr_at_fpr["0.1"]
    assert tpr is not None
    assert 0.9 < tpr.low < 0.95  # Wilson for 50 of 50: 0.9287


def test_tpr_is_withheld_where_too_few_non_members_stand_behind_it() -> None:
    for non_members, given_keys in ((99, ["0.1"]), (100, ["0.1", "0.01"]), (1000, ["0.1", "0.01", "0.001"])):
        labels = np.arange(non_members + 50) < 50
        figures = bootstrap(np.arange(labels.size), labels, rng=0, resamples=100)
        assert [key for key, estimate in figures.tpr_at_fpr.items() if estimate is not None] == given_keys


def test_tpr_at_the_last_false_positive_is_wide() -> None:
    # One non-member decides the threshold: with 37 % chance none of 1,000 lies above the true one.
    scores, labels = sample(2000, 3.0)
    tpr = bootstrap(scores, labels, rng=0).tpr_at_fpr["0.001"]
    assert tpr is not None
    assert tpr.low < 0.1
    assert tpr.high > tpr.value


def test_a_difference_is_paired() -> None:
    scores, labels = sample(400, 1.0)
    nearly = scores + np.random.default_rng(1).normal(0, 0.1, 400)
    other = sample(400, 1.0, seed=3)[0]
    close, far = difference(scores, nearly, labels, rng=0), difference(scores, other, labels, rng=0)
    assert close.value == pytest.approx(auc(scores, labels) - auc(nearly, labels))
    assert width(close) < 0.3 * width(far)
    assert difference(scores, scores, labels, rng=0).value == 0.0


def test_two_perfect_attacks_differ_by_nothing_and_are_not_certain_of_it() -> None:
    labels = np.arange(80) < 40
    lead = difference(labels, 2 * labels, labels, rng=0)
    assert lead.value == 0.0
    assert lead.low < -0.01
    assert lead.high > 0.01


def test_intervals_cover_the_truth() -> None:
    # AUC 0.76 = Phi(1 / sqrt 2). Over 200 samples 95 % +- 3 standard errors of the simulation.
    hits = 0
    for seed in range(200):
        scores, labels = sample(150, 1.0, seed=1000 + seed)
        estimate = bootstrap(scores, labels, rng=seed, resamples=200).auc
        hits += estimate.low <= 0.7602 <= estimate.high
    assert 180 <= hits <= 199


def test_permuted_labels_give_half() -> None:
    scores, labels = sample(4000, 1.0)
    estimate = bootstrap(scores, np.random.default_rng(0).permutation(labels), rng=0, resamples=200).auc
    assert estimate.low < 0.5 < estimate.high
    assert abs(estimate.value - 0.5) < 0.03


@settings(max_examples=25)
@given(
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 1.0, 50.0]),
)
def test_hostile_samples_give_ordered_intervals(inside: int, outside: int, seed: int, lift: float) -> None:
    rng = np.random.default_rng(seed)
    labels = np.arange(inside + outside) < inside
    scores = np.round(rng.normal(size=labels.size) + lift * labels)
    figures = bootstrap(scores, labels, rng.integers(0, 4, labels.size), rng=0, resamples=100)
    for each in (figures.auc, figures.balanced_accuracy):
        assert 0 <= each.low <= each.value <= each.high <= 1


def test_columns_of_one_call_share_their_resamples() -> None:
    scores, labels = sample(100, 1.0)
    keep = np.ones(100, np.bool_)
    one, two = bootstrap_all(
        [scores, 3 * scores], labels, None, [keep, keep], rng=0, resamples=100, thresholds=[0.0, 0.0]
    )
    assert np.array_equal(one.auc_draws, two.auc_draws)


def test_a_column_is_judged_on_the_records_it_could_score() -> None:
    scores, labels = sample(100, 1.0)
    holes = scores.copy()
    holes[:40] = np.nan
    (figures,) = bootstrap_all([holes], labels, None, [~np.isnan(holes)], rng=0, resamples=100, thresholds=[0.0])
    assert figures.auc.value == pytest.approx(auc(scores[40:], labels[40:]))
    assert figures.groups == (30, 30)


def test_too_few_resamples_and_wrong_groups_are_refused() -> None:
    scores, labels = sample(10, 0.0)
    with pytest.raises(AuditError, match="99 resamples"):
        bootstrap(scores, labels, rng=0, resamples=99)
    with pytest.raises(AuditError, match="3 groups were given for 10 records"):
        bootstrap(scores, labels, ["a", "b", "c"], rng=0)


def test_wilson_by_hand() -> None:
    # z^2 = 3.8415; 0 of 10: high = z^2 / (10 + z^2)
    assert wilson(0.0, 10) == (0.0, pytest.approx(0.2775, abs=1e-4))
    assert wilson(0.5, 10) == (pytest.approx(0.2366, abs=1e-4), pytest.approx(0.7634, abs=1e-4))


def test_smallest_detectable_auc_shrinks_with_the_sample() -> None:
    # Near 0.5 the standard error is sqrt((m + n + 1) / (12 m n)): 0.00745 of 3,000 + 3,000; 2.80 of them is 0.0209.
    assert smallest_detectable_auc(3000, 3000) == pytest.approx(0.5209, abs=2e-4)
    assert smallest_detectable_auc(30, 30) > 0.68
    assert smallest_detectable_auc(3000, 3000, level=0.99) > 0.5209
    assert smallest_detectable_auc(1, 1) == 1.0
    with pytest.raises(AuditError, match="0 members"):
        smallest_detectable_auc(0, 5)
