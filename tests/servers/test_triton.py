"""Triton over HTTP with its binary tensors; gRPC is asked by the tool (test_walk_kserve.py)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.servers.asking import ask, ask_json
from tests.servers.conftest import Served

pytestmark = pytest.mark.servers


def infer(url: str, tensor: dict[str, object], raw: bytes, *, binary: bool) -> list[bytes]:
    """One request with a binary tensor; the texts, asked for as binary or as JSON."""
    tensor = tensor | {"parameters": {"binary_data_size": len(raw)}}
    output = {"name": "text", "parameters": {"binary_data": binary}}
    header = json.dumps({"inputs": [tensor], "outputs": [output]}).encode()
    body, headers = ask(url, header + raw, {"Inference-Header-Content-Length": str(len(header))})
    if not binary:
        return [text.encode() for text in json.loads(body)["outputs"][0]["data"]]
    found, rest = [], body[int(headers["Inference-Header-Content-Length"]) :]
    while rest:
        size = int.from_bytes(rest[:4], "little")
        found.append(rest[4 : 4 + size])
        rest = rest[4 + size :]
    return found


def test_it_tells_its_models(triton_server: Served) -> None:
    assert "binary_tensor_data" in ask_json(f"{triton_server.url}/v2")["extensions"]
    size = triton_server.size
    about = ask_json(f"{triton_server.url}/v2/models/{triton_server.pixels}")
    assert about["inputs"] == [{"name": "pixels", "datatype": "UINT8", "shape": [-1, size, size, 3]}]
    assert about["outputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1, 1]}]
    assert about["versions"] == ["1"]
    about = ask_json(f"{triton_server.url}/v2/models/{triton_server.files}")
    assert about["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1, 1]}]


@pytest.mark.parametrize("binary", [True, False])
def test_pixels_get_the_captions_of_the_engine(
    triton_server: Served, pictures: list[Path], square: Callable[[int], np.ndarray], binary: bool
) -> None:
    pixels = square(triton_server.size)
    url = f"{triton_server.url}/v2/models/{triton_server.pixels}/infer"
    tensor: dict[str, object] = {"name": "pixels", "datatype": "UINT8", "shape": list(pixels.shape)}
    wanted = triton_server.expected(pictures)
    assert len(set(wanted)) >= 6
    assert infer(url, tensor, pixels.tobytes(), binary=binary) == [text.encode() for text in wanted]


def test_files_get_the_captions_of_the_engine(triton_server: Served, pictures: list[Path]) -> None:
    files = [picture.read_bytes() for picture in pictures]
    raw = b"".join(len(file).to_bytes(4, "little") + file for file in files)
    url = f"{triton_server.url}/v2/models/{triton_server.files}/infer"
    tensor: dict[str, object] = {"name": "image", "datatype": "BYTES", "shape": [len(files), 1]}
    assert infer(url, tensor, raw, binary=True) == [text.encode() for text in triton_server.expected(pictures)]
