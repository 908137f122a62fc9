"""Step 10: the page and the table that a verdict is defended with."""

from __future__ import annotations

from typing import Any

from m4i_fast.runs import Run, StageReport, stage
from m4i_fast.stages.standing import made_by, need_scored

__all__ = ["report_stage"]


def report_stage(run: Run, *, again: bool = False) -> StageReport:
    """Write ``report.html`` and ``scores.csv`` of an evaluated run."""
    made = made_by(run, "evaluate")
    inputs = {name: run.need(name, made_by=made) for name in ("result.json", "scores.parquet", "judged.parquet")}
    need_scored(run, "attack-score", "evaluate")
    return stage(
        run,
        "report",
        settings={},
        inputs=inputs,
        outputs=["report.html", "scores.csv"],
        work=lambda: _render(run),
        again=again,
    )


def _render(run: Run) -> dict[str, Any]:
    from m4i_fast.report.html import render_report
    from m4i_fast.tables import read_membership

    render_report(run.root, membership=read_membership(run.path("judged.parquet")))
    return {}
