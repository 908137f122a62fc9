"""``m4i-fast overlap``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from m4i_fast.cli import options

__all__ = ["overlap"]


class Reduce(StrEnum):
    """How several references become one figure."""

    max = "max"
    mean = "mean"


def overlap(
    run: options.RunFolder,
    recipe: Annotated[
        str,
        typer.Option(
            help="Definition of ROUGE and BLEU: coco, rouge-score, sacrebleu, nltk or m4i; coco/mean, coco/ptb-exact "
            "and the like also work."
        ),
    ] = "coco",
    reduce: Annotated[
        Reduce | None,
        typer.Option(
            help="Over references: max, or mean as in the published code. [default: what RECIPE says, else max]",
            show_default=False,
        ),
    ] = None,
    again: options.Again = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Score the captions of RUN against their references: ROUGE-1/2/L and BLEU-1..4.

    Writes overlap.parquet; the recipe's signature travels in it. A record without caption or reference scores NaN.
    """
    from m4i_fast.cli import render
    from m4i_fast.progress import hush
    from m4i_fast.runs import open_run
    from m4i_fast.stages.overlap import overlap_stage
    from m4i_fast.stages.settings import OverlapSettings

    hush(quiet or json)
    with open_run(run, create=False) as opened:
        done = overlap_stage(
            opened, OverlapSettings(recipe=recipe, reduce=reduce.value if reduce else None), again=again
        )
    if json:
        render.emit_json(done.facts | {"kept": done.kept, "wall_s": done.wall_s})
        return
    means = done.facts["mean"]
    render.table("", ("metric", "mean"), [(name, f"{value:.4f}") for name, value in means.items()])
    print(f"recipe: {done.facts['recipe']}")
    print(render.stage_line("overlap", kept=done.kept, wall_s=done.wall_s))
