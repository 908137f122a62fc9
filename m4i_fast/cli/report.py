"""``m4i-fast report``."""

from __future__ import annotations

from m4i_fast.cli import options

__all__ = ["report"]


def report(
    run: options.RunFolder,
    again: options.Again = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write the page and the table that an evaluated RUN can be defended with: report.html and scores.csv."""
    from m4i_fast.cli import render
    from m4i_fast.progress import hush
    from m4i_fast.runs import open_run
    from m4i_fast.stages.report import report_stage

    hush(quiet or json)
    with open_run(run, create=False) as opened:
        done = report_stage(opened, again=again)
    if json:
        render.emit_json({"report": str(run / "report.html"), "scores": str(run / "scores.csv"), "kept": done.kept})
        return
    print(f"{run / 'report.html'}\n{run / 'scores.csv'}")
    print(render.stage_line("report", kept=done.kept, wall_s=done.wall_s))
