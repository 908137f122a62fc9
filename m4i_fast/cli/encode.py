"""``m4i-fast encode``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from m4i_fast.cli import options

__all__ = ["encode"]


def encode(
    run: options.RunFolder,
    encoders: Annotated[
        Path, typer.Option(help="Folder with image.onnx and text.onnx, as 'm4i-fast export' makes it from the towers.")
    ],
    provider: options.ProviderOption = options.Provider.cpu,
    batch: options.Batch = 32,
    threads: options.Threads = 0,
    again: options.Again = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Turn the images and generated captions of RUN into vectors, for the feature-based attack.

    Writes embeddings/image.parquet and embeddings/text.parquet.
    """
    from m4i_fast.cli import render
    from m4i_fast.progress import hush
    from m4i_fast.runs import open_run
    from m4i_fast.stages.encode import encode_stage
    from m4i_fast.stages.settings import QuerySettings

    hush(quiet or json)
    with open_run(run, create=False) as opened:
        done = encode_stage(
            opened, encoders, QuerySettings(provider=provider.value, batch=batch, threads=threads), again=again
        )
    if json:
        render.emit_json(done.facts | {"kept": done.kept, "wall_s": done.wall_s})
        return
    render.facts("", done.facts)
    print(render.stage_line("encode", kept=done.kept, wall_s=done.wall_s))
