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


def show_result(result: Mapping[str, Any]) -> None:
    """Verdict, reasons, and a row for each attack and blind baseline."""
    rows = [_row(name, each) for name, each in result["attacks"].items()]
    rows += [_row(f"blind: {name}", each) for name, each in result["blind"].items()]
    render.table("", ("classifier", "AUC [95 %]", "balanced accuracy", "TPR at 1 % FPR"), rows)
    print(f"verdict: {MEANING[result['verdict']['kind']]}")
    for reason in result["verdict"]["reasons"]:
        print(f"  - {render.plain(reason)}")


def _row(name: str, each: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        name,
        render.interval(each["auc"]),
        render.interval(each["balanced_accuracy"]),
        render.interval(each["tpr_at_fpr"].get("0.01")),
    )
