"""How a result looks in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from m4i_fast.cli import render

__all__ = ["MEANING", "show_result"]

MEANING = {
    "leak": "LEAK: the model tells its training records from others.",
    "no_evidence": "NO EVIDENCE of leakage at this sample's size.",
    "invalid": "INVALID: this test cannot say whether the model leaks.",
}

SURE = 0.95
"""Share of sets that are recognised from which a size is enough."""


def show_result(result: Mapping[str, Any]) -> None:
    """Verdict, reasons, and a row for each attack and blind baseline."""
    rows = [_row(name, each) for name, each in result["attacks"].items()]
    rows += [_row(f"blind: {name}", each) for name, each in result["blind"].items()]
    render.table("", ("classifier", "AUC [95 %]", "balanced accuracy", "TPR at 1 % FPR"), rows)
    print(f"verdict: {MEANING[result['verdict']['kind']]}")
    for reason in result["verdict"]["reasons"]:
        print(f"  - {render.plain(reason)}")
    if result["verdict"]["kind"] != "invalid":
        _show_sets(result["attacks"])


def _show_sets(attacks: Mapping[str, Any]) -> None:
    """How many images of a set it takes, for the attack that needs fewest."""
    curves = {name: each["as_set"]["power"] for name, each in attacks.items() if each["as_set"]}
    known = {name: curve for name, curve in curves.items() if curve}
    if not known:
        return

    def enough(name: str) -> float:
        sizes = [point["images"] for point in known[name] if point["found"]["value"] >= SURE]
        return min(sizes, default=float("inf"))

    name = min(known, key=lambda each: (enough(each), -known[each][-1]["found"]["value"]))
    point = next((each for each in known[name] if each["images"] == enough(name)), known[name][-1])
    images = "1 image" if point["images"] == 1 else f"a set of {point['images']} images"
    print(
        f"sets: {images} of the training data is recognised with a chance of {render.interval(point['found'])}, "
        f"at 1 % false alarms ({name})"
    )


def _row(name: str, each: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        name,
        render.interval(each["auc"]),
        render.interval(each["balanced_accuracy"]),
        render.interval(each["tpr_at_fpr"].get("0.01")),
    )
