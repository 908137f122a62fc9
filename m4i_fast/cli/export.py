"""``m4i-fast export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from m4i_fast.cli import options

__all__ = ["export"]


def export(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT",
            help="Folder made by 'train captioner' or 'train encoders'.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="A captioner: the .onnx file. Encoders: a folder for image.onnx and text.onnx.")
    ],
    sample: Annotated[int, typer.Option(min=1, help="Images on which the graph must agree with PyTorch.")] = 16,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Export a trained captioner, or the two encoder towers, to ONNX; checked against PyTorch before it gets its name.

    A captioner becomes one graph from uint8 pixels to token ids, lengths and log-probabilities, decoding loop inside.
    """
    from m4i_fast.cli import render
    from m4i_fast.progress import hush
    from m4i_fast.stages.export import export_checkpoint

    hush(quiet or json)
    facts = export_checkpoint(checkpoint, out, sample=sample)
    if json:
        render.emit_json(facts)
    else:
        render.facts("", facts)
