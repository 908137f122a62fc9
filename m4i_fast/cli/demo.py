"""``m4i-fast demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from m4i_fast.cli import options

__all__ = ["demo"]


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the three audits.")] = Path("demo"),
    seed: options.Seed = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train, export, query and audit small captioners on pictures drawn here: three audits, three honest verdicts.

    overfitted/: a target trained until it memorises. generalising/: the same architecture held back. shifted/: the
    latter, with non-members from another distribution, so that no answer can be trusted. A few minutes on two cores,
    nothing downloaded.
    """
    from m4i_fast.cli import render
    from m4i_fast.progress import hush
    from m4i_fast.stages.demo import run_demo

    hush(quiet or json)
    results = run_demo(out, seed=seed)
    if json:
        render.emit_json(results)
        return
    rows = []
    for name, result in results.items():
        best = max(result["attacks"].values(), key=lambda each: each["auc"]["value"])
        blind = max(result["blind"].values(), key=lambda each: each["auc"]["value"])
        rows.append((name, result["verdict"]["kind"], render.interval(best["auc"]), render.interval(blind["auc"])))
    render.table("", ("audit", "verdict", "attack AUC [95 %]", "best blind AUC [95 %]"), rows)
    for name, result in results.items():
        print(f"{name}: {render.plain(result['verdict']['reasons'][0])}")
        print(f"  {out / name / 'report.html'}")
