"""What the benches of queries work on: an engine of random weights, photographs that are drawn, tables of records.

All are made on the spot and kept in the user's cache folder, so that a second run begins at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from m4i_fast.query.cache import default_folder
from m4i_fast.record_file import write_record_stream
from m4i_fast.runs import atomic_path
from m4i_fast.types import Record

__all__ = ["BACKBONE", "Model", "bench_folder", "drawn_photos", "listed", "made_model", "table_of"]

BACKBONE: Final = "resnet50"
VOCABULARY: Final = 3000
"""Words, about as many as Flickr8k's captions have five times or more."""
MAX_TOKENS: Final = 20
SEED: Final = 20260101

PHOTO: Final = (500, 375)
"""Width and height of most of Flickr8k's photos; every third is drawn upright."""
THUMB: Final = (160, 120)
QUALITY: Final = 92


@dataclass(frozen=True, slots=True)
class Model:
    """A captioner twice: ``checkpoint`` for PyTorch, ``engine`` for ONNX Runtime."""

    checkpoint: Path
    engine: Path


def bench_folder() -> Path:
    """Where materials are kept between runs; any of it may be removed."""
    return default_folder() / "bench"


def made_model(backbone: str = BACKBONE, *, folder: Path | None = None) -> Model:
    """Show and Tell on an image network, of random weights: made and exported, or found as it was made before.

    Random weights say nothing of any picture, and take as long as trained ones. ``<end>`` is barred, so that every
    caption has all its words, as no trained captioner's would: decoding is not made cheaper than it is.

    Raises:
        ExtraMissing: the extra 'train' is not installed.
    """
    from m4i_fast.extras import require

    root = (folder or bench_folder()) / f"{backbone}-{MAX_TOKENS}-{VOCABULARY}-{SEED}"
    model = Model(root / "checkpoint", root / "captioner.onnx")
    if not model.engine.is_file():
        for package in ("torch", "onnxscript", "safetensors"):
            require(package, why="making the engine of the bench", extra="train")
        _write_checkpoint(model.checkpoint, backbone)
        from m4i_fast.export import export_captioner

        export_captioner(model.checkpoint, model.engine, sample=4)
    return model


def _write_checkpoint(folder: Path, backbone: str) -> None:
    import torch

    from m4i_fast.nets.backbones import build_backbone, weights_digest
    from m4i_fast.nets.captioner import Captioner
    from m4i_fast.nets.checkpoint import BackboneCard, CaptionerCard, save_model
    from m4i_fast.text.vocabulary import END, SPECIALS

    words = [*SPECIALS, *(f"word{number}" for number in range(VOCABULARY))]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = build_backbone(backbone)
        model = Captioner(network, len(words), max_tokens=MAX_TOKENS).eval()
    with torch.no_grad():
        model.head.bias[END] = -1e3
        # Random words are nearly alike; wide ones leave no doubt which is the likeliest, however sums are rounded.
        model.head.weight.mul_(20.0)
    folder.mkdir(parents=True, exist_ok=True)
    save_model(
        folder,
        model.state_dict(),
        CaptionerCard(
            backbone=BackboneCard(
                name=backbone, image_size=network.image_size, source="trained", weights_sha256=weights_digest(network)
            ),
            embed=256,
            hidden=512,
            max_tokens=MAX_TOKENS,
            vocabulary=words,
            weights_sha256="",
            settings={"random": SEED},
            data_sha256=hashlib.sha256(b"").hexdigest(),
            images=0,
            captions=0,
            unreadable=0,
            epochs_done=0,
            losses=[],
        ),
    )


def drawn_photos(count: int, *, size: tuple[int, int] = PHOTO, folder: Path | None = None) -> list[Path]:
    """JPEG files with as much detail as photographs have (some 110 kB at 500 x 375), the same every time."""
    from PIL import Image

    root = (folder or bench_folder()) / f"photos-{size[0]}x{size[1]}-{QUALITY}-{SEED}"
    root.mkdir(parents=True, exist_ok=True)
    paths = [root / f"{number:05d}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        if not path.is_file():
            width, height = size if number % 3 else size[::-1]
            with atomic_path(path) as temporary:
                Image.fromarray(_drawn(width, height, number)).save(temporary, "JPEG", quality=QUALITY)
    return paths


def _drawn(width: int, height: int, number: int) -> npt.NDArray[np.uint8]:
    """Noise of all scales, the coarse ones stronger: as the light in photographs is spread."""
    from PIL import Image

    rng = np.random.default_rng([SEED, number])
    total = np.zeros((height, width, 3), np.float32)
    for octave in range(9):
        knots = 2 << octave
        grid = rng.integers(0, 256, (knots, knots, 3), dtype=np.uint8)
        wide = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
        total += (np.asarray(wide, np.float32) - 128) * 0.75**octave
    return (128 + 0.5 * total).clip(0, 255).astype(np.uint8)


def listed(paths: list[Path], count: int) -> list[Record]:
    """Records of different ids on these files, each as often as ``count`` needs."""
    return list(_records(paths, count))


def table_of(path: Path, count: int, paths: list[Path] | None = None) -> Path:
    """A ``records.parquet`` of as many records, written if it is not there."""
    if not path.is_file():
        write_record_stream(path, _records(paths or [path.with_name("none.jpg")], count))
    return path


def _records(paths: list[Path], count: int) -> Iterator[Record]:
    for number in range(count):
        name = f"r{number:09d}"
        yield Record(name, str(paths[number % len(paths)]), (f"a caption of record {number}",), name)
