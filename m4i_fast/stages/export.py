"""A checkpoint as ONNX: a captioner as one graph, the towers as two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from m4i_fast.errors import DataError
from m4i_fast.extras import require
from m4i_fast.runs import Run, StageReport, stage

__all__ = ["export_checkpoint", "export_stage"]


def export_checkpoint(checkpoint: Path, out: Path, *, sample: int = 16) -> dict[str, Any]:
    """Export a folder made by ``train captioner`` (``out`` is a file) or ``train encoders`` (``out`` is a folder).

    Raises:
        DataError: the folder is no checkpoint.
        EngineError: the graph does not agree with PyTorch; nothing is left under the final name.
    """
    for package in ("torch", "onnxscript", "onnx", "onnxruntime"):
        require(package, why="exporting to ONNX")
    import msgspec

    from m4i_fast.export import export_captioner, export_towers

    if (checkpoint / "captioner.json").is_file():
        if out.suffix != ".onnx":
            raise DataError("a captioner becomes one file", where=out, cure=f"For example: --out {out}.onnx")
        report: Any = export_captioner(checkpoint, out, sample=sample)
    elif (checkpoint / "encoders.json").is_file():
        if out.suffix == ".onnx":
            raise DataError(
                "the towers become a folder of two files", where=out, cure=f"For example: --out {out.with_suffix('')}"
            )
        report = export_towers(checkpoint, out, sample=sample)
    else:
        raise DataError(
            "neither captioner.json nor encoders.json lies in it: no checkpoint",
            where=checkpoint,
            cure="Make one with: m4i-fast train captioner DATA --out CHECKPOINT",
        )
    facts: dict[str, Any] = msgspec.to_builtins(report, enc_hook=str)  # str: for the paths in it
    return facts


def export_stage(run: Run, name: str, checkpoint: Path, out: Path) -> StageReport:
    """The same as a stage of an audit: kept where the engine of these weights already stands."""
    cards = [checkpoint / "captioner.json", checkpoint / "encoders.json"]
    inputs = {path.stem: path for path in [*cards, checkpoint / "model.safetensors"] if path.is_file()}
    return stage(
        run,
        name,
        settings={},
        inputs=inputs,
        outputs=[str(out.relative_to(run.root))],
        work=lambda: export_checkpoint(checkpoint, out),
    )
