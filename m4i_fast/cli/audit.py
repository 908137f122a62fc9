"""``m4i-fast audit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from m4i_fast.cli import options

__all__ = ["audit"]


def audit(
    settings: Annotated[
        Path, typer.Argument(metavar="AUDIT.TOML", help="The audit's settings; see docs/audit.md.", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option(help="Run folder; wins over 'out' in the file.", show_default=False)
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Wins over 'seed' in the file.", show_default=False)] = None,
    assign: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any other setting, for example query.batch=16 (repeatable)."),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Run a whole audit from one file: split, train what is to be trained, query, score, attack, judge, report.

    Stopped or killed, the same command goes on where it stood. Paths in the file are relative to the file.
    """
    from m4i_fast.cli import render
    from m4i_fast.cli.verdicts import show_result
    from m4i_fast.config import parse_assignment
    from m4i_fast.progress import hush
    from m4i_fast.stages.audit import load_settings, run_audit

    hush(quiet or json)
    flags = [parse_assignment(text) for text in assign or ()]
    loaded = load_settings(settings, *flags, {"out": str(out.absolute()) if out else None, "seed": seed})
    result = run_audit(loaded)
    if json:
        render.emit_json(result)
        return
    show_result(result)
    print(f"report: {Path(loaded.out) / 'report.html'}")
