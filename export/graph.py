"""A torch module as an ONNX file: exported quietly, stripped of the exporter's own notes, checked, sealed."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from m4i_fast.engines.metadata import KEY, EngineMetadata, to_json
from m4i_fast.errors import RunFailed
from m4i_fast.extras import require

__all__ = ["OPSET", "Port", "write_graph"]

OPSET = 18

Port = tuple[str, tuple[str | int, ...]]
"""Name and shape of an output; a word is an axis that varies."""


def write_graph(
    module: nn.Module,
    example: torch.Tensor,
    path: Path,
    *,
    input_name: str,
    outputs: Sequence[Port],
    metadata: EngineMetadata,
) -> None:
    """Export ``module`` and write it to ``path``, weights inside, first axis free.

    Args:
        module: in evaluation mode, one input.
        example: an input of two rows or more.
        path: where to write; not atomic by itself.
        input_name: name of the input.
        outputs: names and shapes of the outputs.
        metadata: stored under ``m4i_fast.engines.metadata.KEY``.

    Raises:
        RunFailed: the exporter or ONNX's checker refused it.
    """
    onnx = require("onnx", why="exporting to ONNX")
    require("onnxscript", why="exporting to ONNX")
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[input_name],
                output_names=[name for name, _ in outputs],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                verbose=False,
            )
        if program is None:  # the exporter's signature allows it
            raise RunFailed("the exporter gave no program", where=path)
        model: Any = program.model_proto
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        raise RunFailed(f"the exporter failed ({_first_line(error)})", where=path) from error
    _strip(model.graph)
    for function in model.functions:
        _strip(function)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {KEY: to_json(metadata)})
    model.producer_name, model.producer_version, model.doc_string = "m4i-fast", _version(), ""
    _declare(model.graph, dict(outputs))
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # the checker's own exceptions share no base but Exception
        raise RunFailed(f"ONNX's checker refuses the graph ({_first_line(error)})", where=path) from error
    onnx.save_model(model, str(path), save_as_external_data=False)


def _strip(graph: Any) -> None:
    """Drop the exporter's notes: stack traces with this machine's paths, bulky, and of no use to an engine."""
    for part in (graph, *graph.node):
        del part.metadata_props[:]
        part.doc_string = ""
    for field in ("input", "output", "value_info", "initializer"):
        for value in getattr(graph, field, ()):
            if not isinstance(value, str):  # a function lists bare names
                del value.metadata_props[:]
                value.doc_string = ""
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _strip(attribute.g)


def _declare(graph: Any, shapes: Mapping[str, tuple[str | int, ...]]) -> None:
    """Write down the outputs' shapes, which are lost behind a loop."""
    for output in graph.output:
        shape = output.type.tensor_type.shape
        del shape.dim[:]
        for axis in shapes[output.name]:
            if isinstance(axis, str):
                shape.dim.add().dim_param = axis
            else:
                shape.dim.add().dim_value = axis


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No remarks of the exporter: torchvision's absence is no fault, and its own deprecations are not ours to mend."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.onnx._internal.exporter", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for kind in (DeprecationWarning, FutureWarning, UserWarning):
                for package in ("torch", "onnxscript", "onnx_ir", "copyreg"):
                    warnings.filterwarnings("ignore", category=kind, module=rf"{package}(\.|$)")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _version() -> str:
    from m4i_fast import __version__

    return __version__


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return text[:300]
