"""MLServer: the same protocol without binary tensors over HTTP; gRPC is asked by the tool (test_walk_kserve.py)."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.servers.asking import ask_json
from tests.servers.conftest import Served

pytestmark = pytest.mark.servers


def infer(served: Served, model: str, tensor: dict[str, Any]) -> Any:
    return ask_json(f"{served.url}/v2/models/{model}/infer", {"inputs": [tensor]})


def test_it_tells_its_models(mlserver_server: Served) -> None:
    assert ask_json(f"{mlserver_server.url}/v2")["extensions"] == []
    size = mlserver_server.size
    about = ask_json(f"{mlserver_server.url}/v2/models/{mlserver_server.pixels}")
    (pixels,) = about["inputs"]
    assert (pixels["name"], pixels["datatype"], pixels["shape"]) == ("pixels", "UINT8", [-1, size, size, 3])
    (image,) = ask_json(f"{mlserver_server.url}/v2/models/{mlserver_server.files}")["inputs"]
    assert (image["datatype"], image["shape"], image["parameters"]) == ("BYTES", [-1], {"content_type": "base64"})


def test_pixels_get_the_captions_of_the_engine(
    mlserver_server: Served, pictures: list[Path], square: Callable[[int], np.ndarray]
) -> None:
    pixels = square(mlserver_server.size)
    tensor = {"name": "pixels", "datatype": "UINT8", "shape": list(pixels.shape), "data": pixels.ravel().tolist()}
    answer = infer(mlserver_server, mlserver_server.pixels, tensor)
    (text,) = answer["outputs"]
    assert (text["shape"], text["datatype"], answer["model_version"]) == ([len(pictures), 1], "BYTES", "v1")
    wanted = mlserver_server.expected(pictures)
    assert len(set(wanted)) >= 6
    assert text["data"] == wanted


def test_files_get_the_captions_of_the_engine(mlserver_server: Served, pictures: list[Path]) -> None:
    data = [base64.b64encode(picture.read_bytes()).decode() for picture in pictures]
    tensor = {"name": "image", "datatype": "BYTES", "shape": [len(data)], "data": data}
    answer = infer(mlserver_server, mlserver_server.files, tensor)
    assert answer["outputs"][0]["data"] == mlserver_server.expected(pictures)
