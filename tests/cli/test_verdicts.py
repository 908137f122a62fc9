"""What a terminal shows of a result, beside its tables."""

import json
from collections.abc import Callable

import pytest

from m4i_fast.cli.verdicts import show_result


def result(kind: str, **curves: list[tuple[int, float]]) -> dict[str, object]:
    def figure(value: float) -> dict[str, float]:
        return {"value": value, "low": value - 0.01, "high": value + 0.01}

    def judged(curve: list[tuple[int, float]] | None) -> dict[str, object]:
        power = [
            {"images": images, "found": figure(found), "false_alarms": figure(0.01)} for images, found in curve or []
        ]
        as_set = None if curve is None else {"p_value": 0.001, "power": power}
        return {"auc": figure(0.6), "balanced_accuracy": figure(0.6), "tpr_at_fpr": {"0.01": None}, "as_set": as_set}

    attacks = {name: judged(curve) for name, curve in curves.items()}
    return {"attacks": attacks, "blind": {"text": judged(None)}, "verdict": {"kind": kind, "reasons": ["Because."]}}


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def show(kind: str, **curves: list[tuple[int, float]]) -> str:
        plain = json.loads(json.dumps(result(kind, **curves)))
        show_result(plain)
        return " ".join(capsys.readouterr().out.split())

    return show


def test_the_attack_that_needs_fewest_images_says_how_many(said: Callable[..., str]) -> None:
    shown = said("leak", fb_mlp=[(5, 0.3), (50, 0.99)], both=[(5, 0.96), (50, 1.0)])
    assert "sets: a set of 5 images of the training data is recognised with a chance of .960" in shown
    assert "at 1 % false alarms (both)" in shown
    assert "sets: 1 image of" in said("leak", both=[(1, 0.97)])


def test_where_none_is_enough_the_largest_set_is_told(said: Callable[..., str]) -> None:
    assert "a set of 50 images of the training data is recognised with a chance of .400" in said(
        "no_evidence", fb_mlp=[(5, 0.1), (50, 0.3)], both=[(5, 0.1), (50, 0.4)]
    )


def test_nothing_is_said_without_a_curve_or_where_the_audit_is_invalid(said: Callable[..., str]) -> None:
    assert "sets:" not in said("leak", both=[])
    assert "sets:" not in said("invalid", both=[(5, 1.0)])
