"""``m4i-fast evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from m4i_fast.cli import options

__all__ = ["evaluate"]


def evaluate(
    run: options.RunFolder,
    membership: Annotated[
        Path, typer.Option(help="The target's labels: CSV 'id,is_member' or Parquet. Opened here only.")
    ],
    resamples: Annotated[int, typer.Option(min=200, help="Bootstrap resamples.")] = 2000,
    seed: options.Seed = 0,
    again: options.Again = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Open the target's labels, judge every attack and every blind baseline, and reach the verdict.

    Writes result.json and curves.parquet. A blind baseline never queries the model: where it tells members from
    non-members as well as the attack does, the two sets differ by themselves and the verdict is 'invalid'.
    """
    from m4i_fast.cli import render
    from m4i_fast.cli.verdicts import show_result
    from m4i_fast.progress import hush
    from m4i_fast.runs import open_run, read_json
    from m4i_fast.stages.evaluate import evaluate_stage
    from m4i_fast.stages.settings import EvaluateSettings

    hush(quiet or json)
    with open_run(run, create=False) as opened:
        done = evaluate_stage(opened, membership, EvaluateSettings(resamples=resamples), seed=seed, again=again)
    result = read_json(run / "result.json")
    if json:
        render.emit_json(result)
        return
    show_result(result)
    print(render.stage_line("evaluate", kept=done.kept, wall_s=done.wall_s))
