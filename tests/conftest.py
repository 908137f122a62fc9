"""What tests of several rooms share: tiny ONNX engines whose answers can be worked out by hand, and pictures."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from m4i_fast.engines.metadata import KEY, EngineMetadata, to_json
from m4i_fast.progress import hush
from m4i_fast.types import Record

if not any(Path("/dev").glob("nvidia[0-9]*")):
    # Before anything imports Triton: without a GPU its kernels run in its interpreter.
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture(autouse=True)
def _remarks_are_heard() -> None:
    """``--quiet`` of a command that another test ran in this process must not hide what this test waits for."""
    hush(False)


SPECIALS = ["<pad>", "<start>", "<end>", "<unk>"]
COLOURS = ["red", "green", "blue", "white", "black", "grey", "pink"]
"""Words 4..10 of the tiny captioner."""


class Graphs:
    """Makes tiny ONNX engines in a folder.

    The captioner: with m = the whole part of the mean over all of a picture's values (0..255), it says
    ``COLOURS[m % 7] COLOURS[(m + 1) % 7] COLOURS[(m + 2) % 7]``, cut to 1 + m % 3 words, and gives each of
    its words the log-probability -m / 256. Where ``poison`` equals m, the log-probabilities are NaN.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def captioner(
        self,
        name: str = "captioner.onnx",
        *,
        size: int = 4,
        poison: int | None = None,
        log_probs: bool = True,
        batch: int | str = "N",
        metadata: EngineMetadata | str | None = "own",
        shift: int = 0,
    ) -> Path:
        from onnx import TensorProto, helper

        def ints(key: str, values: Any, dtype: int = TensorProto.INT32) -> Any:
            array = np.asarray(values)
            return helper.make_tensor(key, dtype, array.shape, array.ravel().tolist())

        nodes = [
            helper.make_node("Cast", ["pixels"], ["real"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["real", "axes"], ["mean"], keepdims=0),
            helper.make_node("Floor", ["mean"], ["whole"]),
            helper.make_node("Cast", ["whole"], ["m"], to=TensorProto.INT32),
            helper.make_node("Unsqueeze", ["m", "one"], ["m_column"]),
            helper.make_node("Add", ["m_column", "steps"], ["stepped"]),
            helper.make_node("Mod", ["stepped", "seven"], ["colour"]),
            helper.make_node("Add", ["colour", "four"], ["raw_tokens"]),
            helper.make_node("Mod", ["m", "three"], ["beyond"]),
            helper.make_node("Add", ["beyond", "unit"], ["lengths"]),
            helper.make_node("Unsqueeze", ["lengths", "one"], ["lengths_column"]),
            helper.make_node("Less", ["places", "lengths_column"], ["inside"]),
            helper.make_node("Where", ["inside", "raw_tokens", "pad"], ["tokens"]),
        ]
        initializers = [
            ints("axes", [1, 2, 3], TensorProto.INT64),
            ints("one", [1], TensorProto.INT64),
            ints("steps", [[shift, shift + 1, shift + 2]]),
            ints("places", [[0, 1, 2]]),
            ints("seven", 7),
            ints("four", 4),
            ints("three", 3),
            ints("unit", 1),
            ints("pad", 0),
        ]
        outputs = [
            helper.make_tensor_value_info("tokens", TensorProto.INT32, [batch, 3]),
            helper.make_tensor_value_info("lengths", TensorProto.INT32, [batch]),
        ]
        if log_probs:
            nodes += [
                helper.make_node("Unsqueeze", ["whole", "one"], ["whole_column"]),
                helper.make_node("Div", ["whole_column", "minus"], ["scaled"]),
                helper.make_node("Equal", ["m_column", "poison"], ["poisoned"]),
                helper.make_node("Where", ["poisoned", "nan", "scaled"], ["spoilt"]),
                helper.make_node("Where", ["inside", "spoilt", "zero"], ["log_probs"]),
            ]
            initializers += [
                ints("minus", -256.0, TensorProto.FLOAT),
                ints("poison", -1 if poison is None else poison),
                ints("nan", float("nan"), TensorProto.FLOAT),
                ints("zero", 0.0, TensorProto.FLOAT),
            ]
            outputs.append(helper.make_tensor_value_info("log_probs", TensorProto.FLOAT, [batch, 3]))
        own = EngineMetadata(
            kind="captioner",
            name="colours",
            image_size=size,
            vocabulary=SPECIALS + COLOURS,
            max_tokens=3,
            decoding={"kind": "greedy", "max_tokens": 3},
        )
        pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, [batch, size, size, 3])
        return self.save(name, nodes, [pixels], outputs, initializers, own if metadata == "own" else metadata)

    def image_encoder(self, name: str = "image.onnx", *, size: int = 4, poison: float = -1.0) -> Path:
        """The vector of a picture: the mean of its red, green and blue; NaN in blue where red is ``poison``."""
        from onnx import TensorProto, helper

        nodes = [
            helper.make_node("Cast", ["pixels"], ["real"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["real", "axes"], ["means"], keepdims=0),
            helper.make_node("Equal", ["means", "poison"], ["poisoned"]),
            helper.make_node("Where", ["poisoned", "nan", "means"], ["features"]),
        ]
        initializers = [
            helper.make_tensor("axes", TensorProto.INT64, [2], [1, 2]),
            helper.make_tensor("poison", TensorProto.FLOAT, [], [poison]),
            helper.make_tensor("nan", TensorProto.FLOAT, [], [float("nan")]),
        ]
        own = EngineMetadata(kind="image_encoder", name="means", image_size=size, dim=3)
        pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["N", size, size, 3])
        features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 3])
        return self.save(name, nodes, [pixels], [features], initializers, own)

    def text_encoder(self, name: str = "text.onnx") -> Path:
        """The vector of a text: its first three token ids."""
        from onnx import TensorProto, helper

        nodes = [helper.make_node("Cast", ["tokens"], ["features"], to=TensorProto.FLOAT)]
        own = EngineMetadata(kind="text_encoder", name="ids", vocabulary=SPECIALS + COLOURS, max_tokens=3, dim=3)
        tokens = helper.make_tensor_value_info("tokens", TensorProto.INT32, ["N", 3])
        features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 3])
        return self.save(name, nodes, [tokens], [features], [], own)

    def head(self, name: str = "head.onnx") -> Path:
        """The score: the square root of the sum of two features (NaN below 0)."""
        from onnx import TensorProto, helper

        nodes = [
            helper.make_node("ReduceSum", ["features", "axes"], ["sum"], keepdims=0),
            helper.make_node("Sqrt", ["sum"], ["scores"]),
        ]
        axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
        own = EngineMetadata(kind="head", name="root", features=["a", "b"], recipe="r", threshold=1.5)
        features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 2])
        scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N"])
        return self.save(name, nodes, [features], [scores], [axes], own)

    def save(
        self,
        name: str,
        nodes: list[Any],
        inputs: list[Any],
        outputs: list[Any],
        initializers: list[Any],
        metadata: EngineMetadata | str | None,
    ) -> Path:
        import onnx
        from onnx import helper

        graph = helper.make_graph(nodes, "tiny", inputs, outputs, initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        if metadata is not None:
            text = metadata if isinstance(metadata, str) else to_json(metadata)
            helper.set_model_props(model, {KEY: text})
        path = self.folder / name
        onnx.save(model, path)
        return path


@pytest.fixture
def graphs(tmp_path: Path) -> Graphs:
    folder = tmp_path / "engines"
    folder.mkdir()
    return Graphs(folder)


@pytest.fixture
def picture_records(tmp_path: Path) -> Callable[..., list[Record]]:
    """``picture_records(values, broken=())``: plain grey 4 x 4 PNGs; those at the indices ``broken`` are garbage."""

    def make(values: list[int], broken: tuple[int, ...] = ()) -> list[Record]:
        folder = tmp_path / "images"
        folder.mkdir(exist_ok=True)
        records = []
        for index, value in enumerate(values):
            path = folder / f"{index:05d}.png"
            if index in broken:
                path.write_bytes(b"no picture")
            else:
                Image.fromarray(np.full((4, 4, 3), value, np.uint8)).save(path)
            records.append(Record(id=f"r{index:05d}", image=str(path), references=("a red thing",), group=f"r{index}"))
        return records

    return make
