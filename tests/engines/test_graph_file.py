import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from m4i_fast.engines.graph_file import read_graph_file
from m4i_fast.errors import EngineError

Spoil = Callable[[Any, Any], None]


def _external(location: str) -> Any:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    return tensor


def _attribute(node: Any, **fields: Any) -> None:
    attribute = node.attribute.add(name="spoilt")
    for name, value in fields.items():
        if isinstance(value, list):
            getattr(attribute, name).extend(value)
        else:
            getattr(attribute, name).CopyFrom(value)


def _sparse(tensor: Any) -> Any:
    return onnx.SparseTensorProto(values=tensor, indices=TensorProto(data_type=7, dims=[0]), dims=[1])


def _graph(tensor: Any) -> Any:
    return onnx.GraphProto(name="inner", initializer=[tensor])


PLACES: dict[str, Spoil] = {
    "initializer": lambda model, tensor: model.graph.initializer.append(tensor),
    "sparse initializer": lambda model, tensor: model.graph.sparse_initializer.append(_sparse(tensor)),
    "attribute": lambda model, tensor: _attribute(model.graph.node[0], t=tensor),
    "attribute list": lambda model, tensor: _attribute(model.graph.node[0], tensors=[tensor]),
    "sparse attribute": lambda model, tensor: _attribute(model.graph.node[0], sparse_tensor=_sparse(tensor)),
    "sparse indices": lambda model, tensor: _attribute(
        model.graph.node[0], sparse_tensors=[onnx.SparseTensorProto(indices=tensor)]
    ),
    "subgraph": lambda model, tensor: _attribute(model.graph.node[0], g=_graph(tensor)),
    "subgraph list": lambda model, tensor: _attribute(model.graph.node[0], graphs=[_graph(tensor)]),
    "function": lambda model, tensor: _attribute(model.functions.add(name="f").node.add(op_type="X"), t=tensor),
    "training": lambda model, tensor: model.training_info.add().initialization.initializer.append(tensor),
}


def _write(path: Path, spoil: Spoil, tensor: Any) -> Path:
    node = helper.make_node("Identity", ["x"], ["y"])
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    model = helper.make_model(helper.make_graph([node], "g", ports[:1], ports[1:]))
    spoil(model, tensor)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("place", PLACES)
def test_external_data_outside_the_folder_is_found_wherever_it_hides(place: str, tmp_path: Path) -> None:
    path = _write(tmp_path / "x.onnx", PLACES[place], _external("../secret"))
    (tmp_path.parent / "secret").write_bytes(b"0000")
    with pytest.raises(EngineError, match="points outside the engine's folder") as caught:
        read_graph_file(path)
    assert caught.value.where == str(path)


@pytest.mark.parametrize(
    "location", ["/etc/passwd", "../x", "a/../../x", "a/../w.bin", "link", "linked/passwd", "", ".", "gone", "no\0name"]
)
def test_names_that_lead_elsewhere_or_nowhere_are_refused(location: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "w.bin").write_bytes(b"0000")
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "linked").symlink_to("/etc")
    path = _write(tmp_path / "x.onnx", PLACES["initializer"], _external(location))
    with pytest.raises(EngineError, match="external data"):
        read_graph_file(path)


def test_external_data_marked_but_not_named_is_refused(tmp_path: Path) -> None:
    tensor = TensorProto(name="w", data_location=TensorProto.EXTERNAL)
    with pytest.raises(EngineError, match="tensor 'w' is said to lie in another file"):
        read_graph_file(_write(tmp_path / "x.onnx", PLACES["initializer"], tensor))


def test_weights_beside_the_graph_are_allowed_and_hashed(tmp_path: Path) -> None:
    path = _write(tmp_path / "x.onnx", PLACES["initializer"], _external("w.bin"))
    (tmp_path / "w.bin").write_bytes(b"0000")
    first = read_graph_file(path)
    assert first.external == ((tmp_path / "w.bin").resolve(),)
    (tmp_path / "w.bin").write_bytes(b"0001")
    assert read_graph_file(path).sha256 != first.sha256


def test_a_file_alone_has_the_hash_of_its_bytes(graphs: Any) -> None:
    path = graphs.captioner()
    assert read_graph_file(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_machine_code_in_a_graph_is_refused(tmp_path: Path) -> None:
    def spoil(model: Any, _: Any) -> None:
        model.graph.node.add(op_type="EPContext", domain="com.microsoft")

    with pytest.raises(EngineError, match="machine code"):
        read_graph_file(_write(tmp_path / "x.onnx", spoil, None))


@pytest.mark.parametrize("content", [b"", b"hello world\n", b"\x00" * 64, b"PK\x03\x04 zip", b"xxxxORTM" * 9, b"{}"])
def test_what_is_not_onnx_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    with pytest.raises(EngineError, match=r"empty|not an ONNX file") as caught:
        read_graph_file(path)
    assert caught.value.cure


def test_missing_folder_and_fifo_are_refused_without_waiting(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="no such engine file"):
        read_graph_file(tmp_path / "gone.onnx")
    with pytest.raises(EngineError, match="not a regular file"):
        read_graph_file(tmp_path)
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(EngineError, match="not a regular file"):
        read_graph_file(tmp_path / "pipe.onnx")
    (tmp_path / "loop.onnx").symlink_to("loop.onnx")
    with pytest.raises(EngineError, match="cannot be read"):
        read_graph_file(tmp_path / "loop.onnx")
