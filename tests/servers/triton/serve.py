"""A Triton Inference Server with an exported captioner: ``captioner`` (pixels) and ``captioner-jpeg`` (image files)."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

sys.path.append(str(Path(__file__).parents[1] / "common"))
from captioner import Captioner
from lifeline import end_with_starter

ROWS = 16
"""Pictures a batch at most."""


def column(texts: list[str]) -> Any:
    """N texts to bytes [N, 1]: Triton's tensors have an axis beside the batch's."""
    return np.array([[text.encode()] for text in texts], dtype=bytes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", type=Path, required=True)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--grpc-port", type=int, required=True)
    options = parser.parse_args()
    captioner = Captioner(options.engine)
    # Triton's Python backend loads libpython by its bare name. It must be this interpreter's own: the system's may be
    # an older 3.11, which does not fit this one's standard library ('_thread.RLock' has no '_recursion_count').
    library = sysconfig.get_config_var("LIBDIR") or ""
    if (Path(library) / (sysconfig.get_config_var("INSTSONAME") or "none")).exists():
        os.environ["LD_LIBRARY_PATH"] = ":".join(filter(None, [library, os.environ.get("LD_LIBRARY_PATH")]))

    @batch
    def of_pixels(pixels: Any) -> dict[str, Any]:
        return {"text": column(captioner.captions(pixels))}

    @batch
    def of_files(image: Any) -> dict[str, Any]:
        return {"text": column(captioner.captions_of_files(image[:, 0]))}

    address = "127.0.0.1"
    config = TritonConfig(
        http_address=address,
        http_port=options.http_port,
        grpc_address=address,
        grpc_port=options.grpc_port,
        allow_metrics=False,
    )
    pixels = Tensor(name="pixels", dtype=np.uint8, shape=(captioner.size, captioner.size, 3))
    image = Tensor(name="image", dtype=bytes, shape=(1,))
    text = Tensor(name="text", dtype=bytes, shape=(1,))
    with tempfile.TemporaryDirectory() as folder, Triton(config=config, workspace=Path(folder) / "triton") as triton:
        for name, infer, given in (("captioner", of_pixels, pixels), ("captioner-jpeg", of_files, image)):
            triton.bind(name, infer, [given], [text], config=ModelConfig(max_batch_size=ROWS), strict=True)
        signal.signal(signal.SIGTERM, lambda *_: triton.stop())
        end_with_starter()
        triton.serve()


if __name__ == "__main__":
    main()
