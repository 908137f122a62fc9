"""``m4i-fast attack fit`` and ``attack score``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from m4i_fast.cli import options

__all__ = ["app", "epsilon", "fit", "score"]

app = typer.Typer(help="Fit attack heads on the shadow; score the target with them.", no_args_is_help=True)


class Z(StrEnum):
    """How the two vectors are subtracted."""

    signed = "signed"
    abs = "abs"


@app.command("fit")
def fit(
    run: Annotated[Path, typer.Argument(metavar="SHADOW_RUN", help="The shadow's run folder.", show_default=False)],
    membership: Annotated[Path, typer.Option(help="The shadow's labels: CSV 'id,is_member' or Parquet.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the heads; SHADOW_RUN/heads if not given.", show_default=False)
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option("--attack", help="Only this attack (repeatable); all that the run's files allow if not given."),
    ] = None,
    z: Annotated[Z, typer.Option(help="signed as in the paper, or abs as in the published code.")] = Z.signed,
    seed: options.Seed = 0,
    again: options.Again = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Fit attack heads on the shadow's run alone and save each as ONNX.

    Needs 'overlap' (metric-based attacks), 'encode' (feature-based), or both.
    """
    from m4i_fast.cli import render
    from m4i_fast.progress import hush
    from m4i_fast.runs import open_run
    from m4i_fast.stages.attack import fit_stage
    from m4i_fast.stages.settings import AttackSettings

    hush(quiet or json)
    with open_run(run, create=False) as opened:
        settings = AttackSettings(names=tuple(name or ()), z=z.value)
        done = fit_stage(opened, membership, out or run / "heads", settings, seed=seed, again=again)
    if json:
        render.emit_json(done.facts | {"kept": done.kept, "wall_s": done.wall_s})
        return
    rows = [(each["attack"], each["shadow_auc"], f"{each['threshold']:.4g}") for each in done.facts["heads"]]
    render.table("", ("attack", "AUC on the shadow", "threshold"), rows)
    for head in done.facts["heads"]:
        if "parts" in head:
            print(f"{head['attack']}: AUC of what each part adds: {head['parts']}")
    print(render.stage_line("attack fit", kept=done.kept, wall_s=done.wall_s))


@app.command("score")
def score(
    run: options.RunFolder,
    heads: Annotated[Path, typer.Option(help="Folder of heads, made by 'm4i-fast attack fit'.")],
    again: options.Again = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Score every record of the target's RUN with the heads. No label is read; z is signed or absolute as at the fit.

    Writes scores.parquet; larger is more member-like.
    """
    from m4i_fast.cli import render
    from m4i_fast.progress import hush
    from m4i_fast.runs import open_run
    from m4i_fast.stages.attack import score_stage

    hush(quiet or json)
    with open_run(run, create=False) as opened:
        done = score_stage(opened, heads, again=again)
    if json:
        render.emit_json(done.facts | {"kept": done.kept, "wall_s": done.wall_s})
        return
    rows = [(name, count) for name, count in done.facts["scored"].items()]
    render.table("", ("attack", "records scored"), rows)
    print(render.stage_line("attack score", kept=done.kept, wall_s=done.wall_s))


@app.command("epsilon")
def epsilon(
    run: options.RunFolder,
    membership: Annotated[
        Path, typer.Option(help="The target's labels, one fair coin of yours each: CSV 'id,is_member' or Parquet.")
    ],
    name: Annotated[
        list[str] | None,
        typer.Option("--attack", help="Only this attack (repeatable): to try fewer gives a better bound."),
    ] = None,
    delta: Annotated[float, typer.Option(help="Delta for which the bound holds.")] = 0.0,
    again: options.Again = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """A lower bound on the training's epsilon, from this one run (Steinke et al. 2023).

    Only where you threw a fair coin for each record: heads, it was trained on; tails, it was left out. Opens the
    labels. Writes epsilon.json.
    """
    from m4i_fast.cli import render
    from m4i_fast.progress import hush
    from m4i_fast.runs import open_run
    from m4i_fast.stages.epsilon import epsilon_stage

    hush(quiet or json)
    with open_run(run, create=False) as opened:
        done = epsilon_stage(opened, membership, tuple(name or ()), delta=delta, again=again)
    if json:
        render.emit_json(done.facts | {"kept": done.kept, "wall_s": done.wall_s})
        return
    bounds = done.facts["bounds"]
    rows = [(each, f"{bound['epsilon']:.2f}", bound["guesses"], bound["correct"]) for each, bound in bounds.items()]
    render.table("", ("attack", "epsilon at least", "guesses", "right"), rows)
    best = max(bound["epsilon"] for bound in bounds.values())
    print(
        f"epsilon is at least {best:.2f} (95 %, delta {delta:g}), if each record was put in or left out by a fair coin"
        if best
        else "nothing is shown of epsilon: no attack guessed better than a coin, sure enough"
    )
    print(render.stage_line("attack epsilon", kept=done.kept, wall_s=done.wall_s))
