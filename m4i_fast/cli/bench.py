"""``m4i-fast bench overlap``, ``bench query`` and ``bench scale``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from m4i_fast.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from m4i_fast.bench.figures import Findings
    from m4i_fast.bench.promises import Promise
    from m4i_fast.types import Record

__all__ = ["app", "overlap", "query", "scale"]

app = typer.Typer(help="Measure how fast this is, beside its rivals.", no_args_is_help=True)

Rounds = Annotated[int, typer.Option(min=1, max=1000, help="How often each contender is timed.")]
Only = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Only figures of this name; 'lcs*' and the like work, and it may be repeated."),
]
Out = Annotated[Path | None, typer.Option(help="Also write the JSON document to this file.", show_default=False)]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print the page that goes into the documentation.")]


Photos = Annotated[
    Path | None,
    typer.Option(
        help="Pictures to ask about: whatever 'm4i-fast data inspect' reads. [default: some that are drawn here]",
        show_default=False,
    ),
]
Images = Annotated[int, typer.Option(min=1, help="Pictures a timing, or a run.")]


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
    from m4i_fast.progress import hush

    hush(quiet or json)
    names_of(only or ())  # a wrong name is told before data is read
    found = overlap_bench(None if data is None else read_captions(data), rows=rows, rounds=rounds, only=only or ())
    _tell(found, out, json=json, markdown=markdown)


@app.command("query", short_help="The path of a query: figures, targets, a plain script.")
def query(
    data: Photos = None,
    images: Images = 512,
    queries: Annotated[int, typer.Option(min=1, help="Queries of an endpoint.")] = 40_000,
    records: Annotated[int, typer.Option(min=10, help="Records of the longest run.")] = 1_000_000,
    rounds: Rounds = 5,
    only: Only = None,
    out: Out = None,
    markdown: Markdown = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Time what a query does beside its model: pictures, ledger, parts, an endpoint on this machine.

    The first run makes an engine and pictures, and keeps them in your cache folder. It reports: the exit code is 0 also
    where a target is missed.
    """
    from m4i_fast.bench.query import PROMISES, Sizes, query_bench
    from m4i_fast.progress import hush

    hush(quiet or json)
    pictures = _pictures(data, only, PROMISES)
    sizes = Sizes(images=images, queries=queries, records=records, rounds=rounds)
    _tell(query_bench(pictures, sizes=sizes, only=only or ()), out, json=json, markdown=markdown)


@app.command("scale", short_help="Several workers, and Ray: figures, targets.")
def scale(
    data: Photos = None,
    images: Images = 3072,
    rounds: Rounds = 3,
    only: Only = None,
    out: Out = None,
    markdown: Markdown = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Time two workers beside one, and Ray's actors beside workers.

    Ray comes with the extra 'ray'. It reports: the exit code is 0 also where a target is missed or Ray absent.
    """
    from m4i_fast.bench.scale import PROMISES, ScaleSizes, scale_bench
    from m4i_fast.progress import hush

    hush(quiet or json)
    pictures = _pictures(data, only, PROMISES)
    found = scale_bench(pictures, sizes=ScaleSizes(images=images, rounds=rounds), only=only or ())
    _tell(found, out, json=json, markdown=markdown)


def _pictures(data: Path | None, only: list[str] | None, promises: Sequence[Promise]) -> list[Record] | None:
    """The user's records; a wrong name is told before data is read."""
    from m4i_fast.bench.promises import chosen

    chosen(only or (), promises)
    if data is None:
        return None
    from m4i_fast.data.readers import read_records

    return list(read_records(data))


def _tell(found: Findings, out: Path | None, *, json: bool, markdown: bool) -> None:
    from m4i_fast.cli import render

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
    for name in ("cpu", "kernels", "captions", "pictures"):
        if name in found.environment:
            print(render.plain(f"{name}: {found.environment[name]}"))
