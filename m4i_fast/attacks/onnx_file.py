"""Heads as ONNX: ``features`` float32 [N, F] -> ``scores`` float32 [N], with engine metadata like any other graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from m4i_fast.attacks.heads import Head
from m4i_fast.engines.metadata import KEY, EngineMetadata, to_json
from m4i_fast.extras import require
from m4i_fast.runs import atomic_path

__all__ = ["save_head"]

OPSET, IR = 18, 10


def save_head(head: Head, path: Path) -> None:
    """Write a head as an ONNX file, whole or not at all.

    Rows with a NaN feature give NaN, in the file as in ``Head.score``.

    Raises:
        ExtraMissing: the package ``onnx`` is not installed.
    """
    onnx = require("onnx", why="saving an attack's head")
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants = [], []

    def constant(name: str, values: object, dtype: type[np.generic] = np.float32) -> str:
        constants.append(numpy_helper.from_array(np.ascontiguousarray(np.asarray(values, dtype)), name))
        return name

    # ReLU may turn NaN into 0; 0 * sum carries it past the nets. The sum of finite float32 features cannot overflow
    # where the scores themselves do not.
    constant("last_axis", [1], np.int64)
    nodes.append(helper.make_node("ReduceSum", ["features", "last_axis"], ["row_sum"], keepdims=1))
    nodes.append(helper.make_node("Mul", ["row_sum", constant("zero", [0.0])], ["nan_or_zero"]))
    total = "nan_or_zero"
    for t, term in enumerate(head.terms):
        flow = "features"
        if term.columns != tuple(range(len(head.features))):
            nodes.append(
                helper.make_node(
                    "Gather", [flow, constant(f"columns_{t}", term.columns, np.int64)], [f"part_{t}"], axis=1
                )
            )
            flow = f"part_{t}"
        for i, layer in enumerate(term.layers):
            weight, bias = constant(f"weight_{t}_{i}", layer.weight), constant(f"bias_{t}_{i}", layer.bias)
            nodes.append(helper.make_node("Gemm", [flow, weight, bias], [f"linear_{t}_{i}"]))
            flow = f"linear_{t}_{i}"
            if i + 1 < len(term.layers):
                nodes.append(helper.make_node("Relu", [flow], [f"hidden_{t}_{i}"]))
                flow = f"hidden_{t}_{i}"
        nodes.append(helper.make_node("Add", [total, flow], [f"total_{t}"]))
        total = f"total_{t}"
    nodes.append(helper.make_node("Squeeze", [total, "last_axis"], ["scores"]))
    graph = helper.make_graph(
        nodes,
        head.name,
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", len(head.features)])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N"])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="m4i-fast")
    model.ir_version = IR
    metadata = EngineMetadata(
        kind="head",
        name=head.name,
        features=list(head.features),
        recipe=head.recipe,
        threshold=head.threshold,
        about=dict(head.about),
    )
    helper.set_model_props(model, {KEY: to_json(metadata)})
    onnx.checker.check_model(model, full_check=True)
    with atomic_path(path) as temporary:
        temporary.write_bytes(model.SerializeToString(deterministic=True))
