import time

import numpy as np
import numpy.typing as npt
import pytest

from m4i_fast.errors import AuditError
from m4i_fast.stats.intervals import smallest_detectable_auc
from m4i_fast.stats.roc import auc
from m4i_fast.types import Membership, MembershipScores
from m4i_fast.validity.contamination import contamination
from m4i_fast.validity.judge import judge, judge_audit
from m4i_fast.validity.verdict import verdict


def ids_of(count: int) -> tuple[str, ...]:
    return tuple(f"r{i}" for i in range(count))


def membership(count: int) -> Membership:
    return Membership(ids_of(count), np.arange(count) % 2 == 0)


def scores(name: str, count: int, lift: float, seed: int = 0) -> MembershipScores:
    rng = np.random.default_rng([seed, len(name), *map(ord, name)])
    values = rng.normal(size=count) + lift * (np.arange(count) % 2 == 0)
    return MembershipScores(name, ids_of(count), values, lift / 2)


def audit(attacks: dict[str, float], blind: dict[str, float], count: int = 1000, **more: object) -> tuple[str, str]:
    judged = judge_audit(
        [scores(name, count, lift) for name, lift in attacks.items()],
        [scores(name, count, lift) for name, lift in blind.items()],
        membership(count),
        None,
        seed=0,
        resamples=300,
        **more,  # type: ignore[arg-type]
    )
    drawn = verdict(judged)
    return drawn.kind, "\n".join(drawn.reasons)


def test_an_attack_far_above_blind_baselines_at_chance_is_a_leak() -> None:
    kind, reasons = audit({"mb": 1.5, "fb": 0.0}, {"text": 0.0, "image": 0.0})
    assert kind == "leak"
    assert reasons.startswith("The model leaks its training data: the attack 'mb' tells")
    assert "97.5 % interval" in reasons  # two attacks: 1 - 0.05 / 2
    assert "Caution" not in reasons


def test_an_attack_at_chance_is_no_evidence_and_says_what_would_have_shown() -> None:
    kind, reasons = audit({"mb": 0.0}, {"text": 0.0})
    assert kind == "no_evidence"
    assert "A leak of AUC 0.5" in reasons
    assert "no proof that nothing leaks" in reasons


def test_an_attack_no_better_than_a_blind_baseline_is_invalid() -> None:
    kind, reasons = audit({"mb": 0.8}, {"text": 0.8, "image": 0.0})
    assert kind == "invalid"
    assert "the blind baseline 'text', which never asks the model, reaches AUC 0.686 (" in reasons
    assert "Draw members and non-members from one source" in reasons


def test_the_strongest_blind_baseline_counts() -> None:
    assert audit({"mb": 0.8}, {"image": 0.0, "text": 0.0})[0] == "leak"
    assert audit({"mb": 0.8}, {"image": 0.0, "text": 0.75})[0] == "invalid"


def test_an_attack_clearly_above_a_separating_baseline_is_a_leak_with_a_caution() -> None:
    kind, reasons = audit({"mb": 2.5}, {"text": 0.5})
    assert kind == "leak"
    assert "Caution: the sets do differ by themselves" in reasons


def test_sets_of_different_sources_are_invalid_whatever_the_attack() -> None:
    kind, reasons = audit({"mb": 6.0}, {"text": 2.0})
    assert kind == "invalid"
    assert "differ so much" in reasons


def test_a_blind_baseline_within_the_margin_does_not_make_an_audit_invalid() -> None:
    # AUC 0.53 of 10,000 records: surely above 0.5, and too little to matter.
    kind, reasons = audit({"mb": 0.1}, {"text": 0.11}, count=10_000)
    assert kind == "no_evidence"
    assert "lies above 0.5, but not surely above every blind baseline" in reasons


def test_an_attack_upside_down_is_invalid() -> None:
    kind, reasons = audit({"mb": -1.0, "fb": 0.0}, {"text": 0.0})
    assert kind == "invalid"
    assert "'mb'" in reasons.splitlines()[0]
    assert "upside down" in reasons


def test_a_leak_is_a_leak_beside_an_attack_upside_down() -> None:
    kind, reasons = audit({"mb": 1.5, "fb": -1.0}, {"text": 0.0})
    assert kind == "leak"
    assert "Something is wrong with the attack 'fb'" in reasons


def test_too_few_images_cannot_be_judged() -> None:
    kind, reasons = audit({"mb": 5.0}, {"text": 0.0}, count=58)
    assert kind == "invalid"
    assert "only 29 images" in reasons
    assert audit({"mb": 5.0}, {"text": 0.0}, count=60)[0] == "leak"


def test_many_records_of_few_images_are_few() -> None:
    count = 600
    groups = [f"{i % 2}-{i % 20}" for i in range(count)]
    judged = judge_audit(
        [scores("mb", count, 5.0)], [scores("text", count, 0.0)], membership(count), groups, seed=0, resamples=200
    )
    assert verdict(judged).kind == "invalid"
    assert judged.comparisons[0].members == 10


def test_a_primary_attack_named_beforehand_alone_gives_the_verdict() -> None:
    kind, reasons = audit({"mb": 0.0, "fb": 1.5}, {"text": 0.0}, primary="mb")
    assert kind == "no_evidence"
    assert "(95 % interval" in reasons
    with pytest.raises(AuditError, match="primary attack 'x'"):
        audit({"mb": 0.0}, {"text": 0.0}, primary="x")


def test_contamination_stands_in_the_reasons() -> None:
    found = contamination({"target_member": ["r0"], "target_nonmember": ["r1"]}, [("r0", "r1")])
    judged = judge_audit(
        [scores("mb", 200, 0.0)], [scores("t", 200, 0.0)], membership(200), None, seed=0, resamples=100
    )
    assert verdict(judged, contamination=found).reasons[-1].startswith("Contamination: 1 near-duplicate pairs")


def test_audits_with_nothing_to_find_rarely_call_a_leak() -> None:
    kinds = []
    for seed in range(150):
        attacks = [scores(f"a{i}", 120, 0.0, seed) for i in range(4)]
        blind = [scores(f"b{i}", 120, 0.0, seed) for i in range(2)]
        judged = judge_audit(attacks, blind, membership(120), None, seed=seed, resamples=100)
        kinds.append(verdict(judged).kind)
    # The promise is 2.5 % at most: 3.75 of 150, and 9 with luck against us.
    assert kinds.count("leak") <= 9
    assert kinds.count("no_evidence") >= 135


def test_a_leak_of_the_visible_size_is_seen_in_most_audits() -> None:
    count, found = 1000, 0
    judged = judge_audit(
        [scores("mb", count, 0.0)], [scores("t", count, 0.0)], membership(count), None, seed=0, resamples=200
    )
    visible = float(verdict(judged).reasons[0].split("leak of AUC ")[1].split()[0])
    # To beat a blind baseline as well takes more than to lie above 0.5.
    assert visible > smallest_detectable_auc(count // 2, count // 2) + 0.005
    lift = np.sqrt(2) * 2.5066 * (visible - 0.5)  # inverse of Phi near 0.5
    for seed in range(1, 41):
        attack = [scores("mb", count, lift, seed)]
        judged = judge_audit(attack, [scores("t", count, 0.0)], membership(count), None, seed=0, resamples=100)
        found += verdict(judged).kind == "leak"
    assert 22 <= found <= 39


def test_figures_of_the_result() -> None:
    (result,) = judge([scores("mb", 400, 1.0)], membership(400), None, seed=0, resamples=200)
    truth = membership(400).is_member
    assert result.name == "mb"
    assert result.auc.value == pytest.approx(auc(scores("mb", 400, 1.0).values, truth))
    assert list(result.tpr_at_fpr) == ["0.1", "0.01", "0.001"]
    assert result.tpr_at_fpr["0.001"] is None
    assert result.notes == ("TPR at 0.1% FPR is not given: 200 non-members, 1,000 are needed",)
    assert result.roc is not None
    assert result.roc.tpr[-1] == 1.0


def test_labels_are_joined_by_id_and_not_by_place() -> None:
    one = scores("mb", 100, 3.0)
    truth = membership(100)
    turned = Membership(truth.ids[::-1], truth.is_member[::-1])
    assert judge([one], turned, None, seed=0, resamples=100) == judge([one], truth, None, seed=0, resamples=100)


def with_holes(each: MembershipScores, holes: npt.NDArray[np.intp]) -> MembershipScores:
    values = each.values.copy()
    values[holes] = np.nan
    return MembershipScores(each.attack, each.ids, values, each.threshold)


def test_records_without_a_score_are_left_out_and_counted() -> None:
    (result,) = judge([with_holes(scores("mb", 400, 1.0), np.arange(3))], membership(400), None, seed=0, resamples=100)
    assert result.notes[0] == "3 of 400 records have no score (2 members, 1 non-members) and are left out"


def test_a_pair_is_compared_on_the_records_that_both_could_score() -> None:
    count = 400
    attack, blind = with_holes(scores("mb", count, 1.0), np.arange(100)), scores("t", count, 0.3)
    judged = judge_audit([attack], [blind], membership(count), None, seed=0, resamples=100)
    truth = membership(count).is_member[100:]
    wanted = auc(attack.values[100:], truth) - auc(blind.values[100:], truth)
    assert judged.comparisons[0].differences["t"].value == pytest.approx(wanted)


def test_what_cannot_be_judged_is_refused() -> None:
    one = scores("mb", 100, 1.0)
    other = MembershipScores("fb", ids_of(100)[::-1], one.values)
    with pytest.raises(AuditError, match="'mb' and 'fb' scored different records"):
        judge([one, other], membership(100), None, seed=0)
    with pytest.raises(AuditError, match="two columns of scores are called 'mb'"):
        judge([one, one], membership(100), None, seed=0)
    with pytest.raises(AuditError, match=r"mb: only 0 members and 50 non-members have a score"):
        judge([with_holes(one, np.arange(0, 100, 2))], membership(100), None, seed=0)
    with pytest.raises(AuditError, match="50 of 100 records have no label"):
        judge([one], membership(50), None, seed=0)
    with pytest.raises(AuditError, match="no blind baseline was judged"):
        verdict(judge_audit([one], [], membership(100), None, seed=0, resamples=100))
    with pytest.raises(AuditError, match="no attack gave scores"):
        verdict(judge_audit([], [one], membership(100), None, seed=0, resamples=100))


def test_seven_columns_of_4000_records_take_under_five_seconds() -> None:
    columns = [scores(f"a{i}", 4000, 0.5) for i in range(7)]
    started = time.process_time()
    judge_audit(columns[:4], columns[4:], membership(4000), None, seed=0)
    assert time.process_time() - started < 5.0


@pytest.mark.parametrize(("share", "kind"), [(0.0, "leak"), (0.05, "leak"), (0.06, "invalid"), (1.0, "invalid")])
def test_a_head_that_was_fitted_on_these_records_says_nothing(share: float, kind: str) -> None:
    judged = judge_audit(
        [scores("mb", 400, 1.5)], [scores("text", 400, 0.0)], membership(400), None, seed=0, resamples=200
    )
    drawn = verdict(judged, fitted_here={"mb": share})
    assert drawn.kind == kind
    assert ("the attacks 'mb' were fitted on records of this very run" in drawn.reasons[0]) == (kind == "invalid")
