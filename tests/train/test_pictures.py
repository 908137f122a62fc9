from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from m4i_fast.errors import DataError
from m4i_fast.nets.backbones import Backbone, build_backbone
from m4i_fast.train.pictures import Pictures, frozen_features
from m4i_fast.types import Record


class Counting(torch.nn.Module):
    """The mean of each colour, and a count of the pictures seen."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.seen = 0

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        self.seen += len(pixels)
        return pixels.mean(dim=(2, 3)) * self.weight


def counting() -> tuple[Backbone, Counting]:
    network = Counting()
    return Backbone("small-cnn", network, 3, 64).eval(), network


def painted(folder: Path, count: int) -> list[Record]:
    records = []
    for number in range(count):
        path = folder / f"{number}.png"
        Image.new("RGB", (8, 8), (255, number, 0)).save(path)
        records.append(Record(str(number), str(path), ("a caption",)))
    return records


def test_features_are_computed_once_and_then_read(tmp_path: Path) -> None:
    records = painted(tmp_path, 5)
    backbone, network = counting()
    pictures = Pictures(records, 64)
    first = frozen_features(backbone, pictures, pictures.digests(), tmp_path / "cache")
    assert network.seen == 5
    assert first.values[3].tolist() == pytest.approx([1.0, 3 / 127.5 - 1, -1.0], abs=1e-6)
    again = frozen_features(backbone, pictures, pictures.digests(), tmp_path / "cache")
    assert network.seen == 5
    assert torch.equal(first.values, again.values)
    more = Pictures([*painted(tmp_path, 7)[4:], records[0]], 64)
    part = frozen_features(backbone, more, more.digests(), tmp_path / "cache")
    assert network.seen == 7  # 5 and 6 are new
    assert torch.equal(part.values[0], first.values[4])
    assert torch.equal(part.values[3], first.values[0])


def test_other_weights_and_other_content_are_not_served_from_the_cache(tmp_path: Path) -> None:
    records = painted(tmp_path, 2)
    backbone, network = counting()
    pictures = Pictures(records, 64)
    frozen_features(backbone, pictures, pictures.digests(), tmp_path / "cache")
    Image.new("RGB", (8, 8), (0, 0, 0)).save(records[1].image)
    values = frozen_features(backbone, pictures, pictures.digests(), tmp_path / "cache").values
    assert network.seen == 3
    assert values[1].tolist() == pytest.approx([-1.0, -1.0, -1.0])
    network.weight.data[:] = 2.0
    values = frozen_features(backbone, pictures, pictures.digests(), tmp_path / "cache").values
    assert network.seen == 5
    assert values[1].tolist() == pytest.approx([-2.0, -2.0, -2.0])


def test_a_damaged_cache_is_made_again(tmp_path: Path) -> None:
    pictures = Pictures(painted(tmp_path, 2), 64)
    backbone, network = counting()
    first = frozen_features(backbone, pictures, pictures.digests(), tmp_path / "cache")
    (part,) = (tmp_path / "cache").rglob("part-*.safetensors")
    part.write_bytes(part.read_bytes()[:-5])
    again = frozen_features(backbone, pictures, pictures.digests(), tmp_path / "cache")
    assert network.seen == 4
    assert torch.equal(first.values, again.values)


def test_unreadable_pictures_are_rows_with_a_reason(tmp_path: Path) -> None:
    records = painted(tmp_path, 4)
    Path(records[1].image).write_bytes(b"no picture")
    Path(records[2].image).unlink()
    records[3] = Record("3", records[3].image, ("x",), error="said before")
    backbone, _ = counting()
    pictures = Pictures(records, 64)
    features = frozen_features(backbone, pictures, pictures.digests(), tmp_path / "cache")
    assert features.errors[0] is None
    assert "not an image" in str(features.errors[1])
    assert "not found" in str(features.errors[2])
    assert features.errors[3] == "said before"
    assert not features.values[1:].any()
    # asked again, the broken ones are tried again and not remembered as good
    assert frozen_features(backbone, pictures, pictures.digests(), tmp_path / "cache").errors == features.errors


def test_pictures_given_as_pixels_are_not_opened() -> None:
    pixels = np.arange(2 * 64 * 64 * 3, dtype=np.uint8).reshape(2, 64, 64, 3)
    pictures = Pictures([Record("a", "nowhere"), Record("b", "nowhere")], 64, pixels)
    rows, errors = pictures.rows([1])
    assert np.array_equal(rows, pixels[1:])
    assert errors == [None]
    assert pictures.digests()[0] == hashlib.sha256(pixels[0].tobytes()).hexdigest()
    with pytest.raises(DataError, match=r"Give uint8 \[2, 64, 64, 3\]"):
        Pictures([Record("a", ""), Record("b", "")], 64, pixels[:1])


def test_loaded_pictures_are_those_decoded_one_by_one(tmp_path: Path) -> None:
    records = painted(tmp_path, 3)
    Path(records[2].image).write_bytes(b"")
    one_by_one = Pictures(records, 64).rows([0, 1, 2])
    loaded = Pictures(records, 64)
    errors = loaded.load()
    Path(records[0].image).unlink()
    assert np.array_equal(loaded.rows([0, 1, 2])[0], one_by_one[0])
    assert errors[:2] == [None, None]
    assert errors[2] is not None


def test_the_small_cnn_gives_the_same_features_through_the_cache(tmp_path: Path) -> None:
    torch.manual_seed(0)
    backbone = build_backbone("small-cnn").eval()
    pixels = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    pictures = Pictures([Record(str(n), "") for n in range(3)], 64, pixels)
    features = frozen_features(backbone, pictures, pictures.digests(), tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(features.values, backbone(torch.from_numpy(pixels)))
