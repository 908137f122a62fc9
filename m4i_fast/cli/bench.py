"""``m4i-fast bench overlap``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from m4i_fast.cli import options

if TYPE_CHECKING:
    from m4i_fast.bench.figures import Findings

__all__ = ["app", "overlap"]

app = typer.Typer(help="Measure how fast this is, beside its rivals.", no_args_is_help=True)

Rounds = Annotated[int, typer.Option(min=1, max=1000, help="How often each contender is timed.")]
Only = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Only figures of this name; 'lcs*' and the like work, and it may be repeated."),
]
Out = Annotated[Path | None, typer.Option(help="Also write the JSON document to this file.", show_default=False)]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print the page that goes into the documentation.")]


@app.callback()
def _bench() -> None:
    pass  # so that 'overlap' stays a command of the group while it is the only one


@app.command("overlap", short_help="ROUGE and BLEU: figures, targets, rivals.")
def overlap(
    data: Annotated[
        Path | None,
        typer.Option(
            help="Captions to score: whatever 'm4i-fast data inspect' reads, or a tar archive with a captions.json. "
            "[default: captions made here, like Flickr8k's]",
            show_default=False,
        ),
    ] = None,
    rows: Annotated[int | None, typer.Option(min=2, help="At most so many rows.", show_default=False)] = None,
    rounds: Rounds = 9,
    only: Only = None,
    out: Out = None,
    markdown: Markdown = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Time ROUGE and BLEU here and in other packages, in turns on one core, and compare with the targets.

    Rivals come with the extra 'bench'. It reports: the exit code is 0 also where a target is missed or a rival absent.
    """
    from m4i_fast.bench.overlap import names_of, overlap_bench
    from m4i_fast.bench.texts import read_captions
    from m4i_fast.cli import render
    from m4i_fast.progress import hush

    hush(quiet or json)
    names_of(only or ())  # a wrong name is told before data is read
    found = overlap_bench(None if data is None else read_captions(data), rows=rows, rounds=rounds, only=only or ())
    if out is not None:
        from m4i_fast.runs import write_json

        write_json(out, found.to_dict())
    if json:
        render.emit_json(found.to_dict())
    elif markdown:
        from m4i_fast.bench.figures import markdown as page

        print(page(found), end="")
    else:
        _show(found)


def _show(found: Findings) -> None:
    from m4i_fast.bench.figures import COLUMNS, cells
    from m4i_fast.cli import render

    # What each figure means would not fit beside it: docs/bench.md says it, and --json and --markdown do.
    render.table("", COLUMNS[:-1], [cells(each)[:-1] for each in found.figures])
    for figure in found.figures:
        if figure.value is None:
            print(render.plain(f"{figure.name}: {figure.note}"))
    for compared in found.agreement:
        if compared.differ:
            print(f"{compared.rival}: {compared.differ} of {compared.compared} differ ({compared.what})")
    promised = [each.holds for each in found.figures if each.target is not None]
    print(f"targets: {promised.count(True)} kept, {promised.count(False)} missed, {promised.count(None)} unknown")
    for name in ("cpu", "kernels", "captions"):
        print(render.plain(f"{name}: {found.environment[name]}"))
