"""``m4i-fast score``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from m4i_fast.cli import options
from m4i_fast.cli.overlap import Reduce

__all__ = ["score"]


def score(
    hypotheses: Annotated[
        str,
        typer.Argument(
            metavar="HYPS",
            help="What a model said: plain text (a line each), JSONL, CSV or Parquet with id and caption, COCO results "
            "JSON; '-' reads plain text or JSONL from standard input. .gz is unpacked.",
            show_default=False,
        ),
    ],
    references: Annotated[
        list[Path],
        typer.Argument(
            metavar="REFS...",
            help="What it should have said: plain text, line by line, several files for several references; or one "
            "file by id: JSONL, CSV or Parquet with id and references, COCO captions JSON.",
            show_default=False,
        ),
    ],
    recipe: Annotated[
        list[str],
        typer.Option(
            help="Definition of ROUGE and BLEU: coco, rouge-score, sacrebleu, nltk or m4i; coco/mean, coco/coco-space "
            "and the like also work. May be given several times."
        ),
    ] = ["coco"],  # noqa: B006 - Typer copies it
    tokeniser: Annotated[
        str | None, typer.Option(help="Another tokeniser than the recipe's own.", show_default=False)
    ] = None,
    reduce: Annotated[
        Reduce | None,
        typer.Option(
            help="Over references: max, or mean as in the published code. [default: what RECIPE says, else max]",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="A row a hypothesis: .parquet, .csv or .jsonl. Without it only the summary is made.",
            show_default=False,
        ),
    ] = None,
    resamples: Annotated[int, typer.Option(min=200, help="Bootstrap resamples.")] = 2000,
    seed: options.Seed = 0,
    again: options.Again = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Score HYPS against REFS: ROUGE-1/2/L and BLEU-1..4 of each, their means, and BLEU of the whole.

    Needs no run and no model. Plain texts are joined line by line, all else by id; what lacks its other half stays a
    row with its reason.
    """
    from m4i_fast.cli import render
    from m4i_fast.progress import hush
    from m4i_fast.stages.score import ScoreSettings, score_files

    hush(quiet or json)
    settings = ScoreSettings(recipe, tokeniser, reduce.value if reduce else None, resamples, seed)
    facts = score_files(hypotheses, references, settings, out=out, again=again)
    if json:
        render.emit_json(facts)
        return
    for name, found in facts["recipes"].items():
        _show(name, found)
    print(f"records: {facts['records']:,}, scored: {facts['scored']:,}")
    for reason, count in facts["unscored"].items():
        print(f"not scored, {reason}: {count:,}")
    if out is not None:
        print(f"scores: {render.plain(out)}")


def _show(name: str, found: Mapping[str, Any]) -> None:
    from m4i_fast.cli import render

    corpus = found["corpus"] or {}
    rows = [(metric, _figure(mean), _figure(corpus.get(metric))) for metric, mean in found["mean"].items()]
    render.table(name, ("metric", "mean [95 %]", "whole corpus [95 %]"), rows)
    print(f"recipe: {found['signature']}")


def _figure(estimate: Mapping[str, float | None] | None) -> str:
    if estimate is None:
        return ""
    value, low, high = (estimate[key] for key in ("value", "low", "high"))
    return f"{value:.4f}" if low is None else f"{value:.4f} [{low:.4f}, {high:.4f}]"
