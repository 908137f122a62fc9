"""An exported captioner as somebody else would deploy it: ONNX Runtime, Pillow, and nothing of m4i-fast.

The servers import it in environments that lack m4i-fast, so what they answer is worked out a second time.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from PIL import Image, ImageOps

SPECIALS = 3
"""The ids below are padding, start and end: they stand for no word."""


class Captioner:
    """``size``: side of its pictures in pixels. Safe to call from several threads."""

    def __init__(self, engine: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(engine, options, providers=["CPUExecutionProvider"])
        about = json.loads(self._session.get_modelmeta().custom_metadata_map["m4i_fast"])
        self._words: list[str] = about["vocabulary"]
        self.size: int = about["image_size"]

    def captions(self, pixels: npt.NDArray[np.uint8]) -> list[str]:
        """Uint8 [N, size, size, 3] to N texts."""
        tokens, lengths = self._session.run(["tokens", "lengths"], {"pixels": np.ascontiguousarray(pixels)})
        return [
            " ".join(self._words[token] for token in row[:length] if token >= SPECIALS)
            for row, length in zip(tokens, lengths, strict=True)
        ]

    def captions_of_files(self, files: Iterable[bytes]) -> list[str]:
        """N image files to N texts. Pillow's error for the first file that is no picture."""
        return self.captions(np.stack([self._pixels(file) for file in files]))

    def _pixels(self, file: bytes) -> npt.NDArray[np.uint8]:
        with Image.open(io.BytesIO(file)) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
        return np.asarray(upright.resize((self.size, self.size), Image.Resampling.LANCZOS))
