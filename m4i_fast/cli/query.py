"""``m4i-fast query``."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from m4i_fast.cli import options

__all__ = ["query"]


def query(
    data: options.DataFile,
    engine: Annotated[str, typer.Option(help="The captioner: an .onnx file made by 'm4i-fast export'.")],
    out: Annotated[Path, typer.Option(help="Run folder; made if absent. The same command goes on where it stood.")],
    images: options.Images = None,
    format: options.Format = "auto",  # noqa: A002 - the option's name
    provider: options.ProviderOption = options.Provider.cpu,
    batch: options.Batch = 32,
    threads: options.Threads = 0,
    again: options.Again = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Ask a captioner about every image of DATA and keep its answers in a run folder.

    Writes records.parquet and generations/part-*.parquet. An image that cannot be read stays a row with its reason.
    Stopped or killed, the same command goes on at the first part that is missing.
    """
    from m4i_fast.cli import render
    from m4i_fast.data.readers import open_records
    from m4i_fast.engines import open_captioner
    from m4i_fast.errors import UserError
    from m4i_fast.progress import hush
    from m4i_fast.runs import need_vacant, open_run
    from m4i_fast.stages.query import query_stage
    from m4i_fast.stages.records import keep_stream
    from m4i_fast.stages.settings import QuerySettings

    hush(quiet or json)
    need_vacant(out, own=("shadow", "heads", "split"), mark="records.parquet")
    # Looked at first: a misspelt DATA or ENGINE leaves no folder behind, and with --again all that stands in it.
    records = open_records(data, images=images, format=format)
    if again or not out.exists():
        with open_captioner(engine, provider=provider.value, threads=threads):
            pass
    made = not out.exists()
    try:
        with open_run(out) as run:
            keep_stream(run, records, joins=records.joins, again=again).close()
    except UserError:
        # A fault in a later row of DATA shows only here: it must leave no folder behind either.
        if made and not any(not each.name.startswith(".m4i-") for each in out.iterdir()):
            shutil.rmtree(out)
        raise
    with open_run(out) as run:
        done = query_stage(
            run, engine, QuerySettings(provider=provider.value, batch=batch, threads=threads), again=again
        )
    if json:
        render.emit_json(done.facts | {"kept": done.kept, "wall_s": done.wall_s, "run": str(out)})
    else:
        render.facts("", {"run": out, **done.facts})
        print(f"next: m4i-fast overlap {out}")
