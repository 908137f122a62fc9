"""MLServer with an exported captioner: ``captioner`` (pixels) and ``captioner-jpeg`` (image files)."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from mlserver import MLServer
from mlserver.cli.serve import load_settings

sys.path.append(str(Path(__file__).parents[1] / "common"))
from captioner import Captioner
from lifeline import end_with_starter


def settings_of(name: str, engine: Path, given: dict[str, Any]) -> dict[str, Any]:
    text = {"name": "text", "datatype": "BYTES", "shape": [-1, 1], "parameters": {"content_type": "str"}}
    return {
        "name": name,
        "platform": "onnx",
        "implementation": "runtime.Runtime",
        "parameters": {"uri": str(engine), "version": "v1"},
        "inputs": [given],
        "outputs": [text],
    }


async def serve(folder: str) -> None:
    settings, models = await load_settings(folder)
    await MLServer(settings).start(models)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", type=Path, required=True)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--grpc-port", type=int, required=True)
    options = parser.parse_args()
    size = Captioner(options.engine).size
    pixels = {"name": "pixels", "datatype": "UINT8", "shape": [-1, size, size, 3], "parameters": {"content_type": "np"}}
    image = {"name": "image", "datatype": "BYTES", "shape": [-1], "parameters": {"content_type": "base64"}}
    server = {
        "host": "127.0.0.1",
        "http_port": options.http_port,
        "grpc_port": options.grpc_port,
        "metrics_endpoint": None,
        "parallel_workers": 0,  # the models run in this process
        "debug": False,
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "settings.json").write_text(json.dumps(server), encoding="utf-8")
        for model, given in (("captioner", pixels), ("captioner-jpeg", image)):
            (folder / model).mkdir()
            text = json.dumps(settings_of(model, options.engine.resolve(), given))
            (folder / model / "model-settings.json").write_text(text, encoding="utf-8")
        os.chdir(folder)  # MLServer leaves folders where it stands
        end_with_starter()
        asyncio.run(serve(name))


if __name__ == "__main__":
    main()
