from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file, save_file

from m4i_fast.data.scenes import draw_scenes
from m4i_fast.engines import open_captioner, open_image_encoder, open_text_encoder
from m4i_fast.errors import DataError, EngineError, RunFailed
from m4i_fast.export import export_captioner, export_towers
from m4i_fast.export import towers as towers_module
from m4i_fast.export.parity import check_captions, check_vectors, image_batch, sample_pictures
from m4i_fast.nets.captioner import Captioner, Decoded
from m4i_fast.nets.checkpoint import load_captioner, load_towers
from m4i_fast.nets.towers import ImageTower, TextTower
from m4i_fast.train.captioner import train_captioner
from m4i_fast.train.encoders import train_encoders
from m4i_fast.train.settings import CaptionerSettings, TowerSettings
from m4i_fast.types import Generations, Record

SCENES = draw_scenes(20, seed=9)
# Captions of one to seven words, so that rows of a batch end at different steps.
RECORDS = [
    Record(f"s{row}", "", (" ".join(captions[0].split()[: 1 + row % 7]),))
    for row, captions in enumerate(SCENES.captions)
]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("captioner")
    settings = CaptionerSettings(
        backbone="small-cnn",
        embed=32,
        hidden=64,
        min_count=1,
        batch=20,
        epochs=60,
        checkpoint_every=99,
        learning_rate=5e-3,
        max_tokens=8,
    )
    train_captioner(RECORDS, folder, settings, pixels=SCENES.pixels)
    return folder


@pytest.fixture(scope="session")
def towers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("towers")
    settings = TowerSettings(backbone="small-cnn", dim=16, text_hidden=32, min_count=1, batch=10, epochs=2)
    train_encoders(RECORDS, folder, settings, pixels=SCENES.pixels)
    return folder


@pytest.fixture(scope="session")
def engine(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("engine") / "captioner.onnx"
    report = export_captioner(checkpoint, out, sample=24)
    assert report.rows == 24
    assert report.difference < 1e-4
    assert report.bytes == out.stat().st_size
    return out


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_the_graph_tells_what_pytorch_tells_for_any_batch(engine: Path, checkpoint: Path, rows: int) -> None:
    pixels = SCENES.pixels[-rows:]
    wanted = load_captioner(checkpoint).model.greedy(torch.from_numpy(pixels))
    with open_captioner(engine) as captioner:
        found = captioner.generate(image_batch(pixels))
    assert np.array_equal(found.tokens, wanted.tokens.numpy())
    assert np.array_equal(found.lengths, wanted.lengths.numpy())
    assert found.log_probs is not None
    assert found.log_probs == pytest.approx(wanted.log_probs.numpy(), abs=1e-4)
    assert len({int(length) for length in wanted.lengths}) > 1 or rows < 7  # rows end at different steps


def test_it_is_one_file_with_a_loop_that_starts_with_a_cast(engine: Path, checkpoint: Path) -> None:
    model = onnx.load(engine)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds[0] == "Cast"
    assert kinds.count("Loop") == 1
    assert [entry.version for entry in model.opset_import if not entry.domain] == [18]
    assert [path.name for path in engine.parent.iterdir()] == [engine.name]
    with open_captioner(engine) as captioner:
        metadata = captioner.metadata
    card = load_captioner(checkpoint).card
    assert metadata.kind == "captioner"
    assert metadata.vocabulary == card.vocabulary
    assert (metadata.image_size, metadata.max_tokens) == (64, 8)
    assert metadata.decoding == {"kind": "greedy", "max_tokens": 8}
    assert metadata.weights_sha256 is not None
    assert str(Path.cwd()).encode() not in engine.read_bytes()
    assert b"site-packages" not in engine.read_bytes()


def test_the_unrolled_form_tells_the_same(checkpoint: Path, engine: Path, tmp_path: Path) -> None:
    out = tmp_path / "unrolled.onnx"
    export_captioner(checkpoint, out, sample=2, unrolled=True)
    assert "Loop" not in [node.op_type for node in onnx.load(out).graph.node]
    with open_captioner(engine) as one, open_captioner(out) as other:
        batch = image_batch(SCENES.pixels[:5])
        assert one.generate(batch).texts == other.generate(batch).texts


def test_a_graph_that_differs_gets_no_name_and_nobody_chatters(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    real = Captioner.greedy

    def wrong(self: Captioner, pixels: torch.Tensor) -> Decoded:
        decoded = real(self, pixels)
        decoded.tokens[3, 0] += 1
        return decoded

    monkeypatch.setattr(Captioner, "greedy", wrong)
    with pytest.raises(RunFailed, match=r"captioner.onnx: .* 1 of 6 captions differ, first in row 3"):
        export_captioner(checkpoint, tmp_path / "captioner.onnx", sample=6)
    assert list(tmp_path.iterdir()) == []
    assert tuple(capfd.readouterr()) == ("", "")


def test_an_older_engine_survives_a_failed_export(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "captioner.onnx").write_bytes(b"older")

    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("cannot trace\nlong story")

    monkeypatch.setattr(torch.onnx, "export", broken)
    with pytest.raises(RunFailed, match=r"the exporter failed \(cannot trace\)"):
        export_captioner(checkpoint, tmp_path / "captioner.onnx")
    assert (tmp_path / "captioner.onnx").read_bytes() == b"older"
    assert len(list(tmp_path.iterdir())) == 1


def test_weights_of_another_moment_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(checkpoint, copy)
    tensors = load_file(copy / "model.safetensors")
    tensors["head.bias"] += 1
    save_file(tensors, copy / "model.safetensors")
    with pytest.raises(Exception, match="of different moments"):
        export_captioner(copy, tmp_path / "x.onnx")
    with pytest.raises(EngineError, match="no trained captioner here"):
        export_captioner(tmp_path, tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()


def test_the_towers_agree_with_pytorch(towers: Path, tmp_path: Path) -> None:
    report = export_towers(towers, tmp_path)
    assert report.image.path == tmp_path / "image.onnx"
    assert max(report.image.difference, report.text.difference) < 1e-4
    loaded = load_towers(towers)
    texts = ["", "a small red circle", "qqq", "circle " * 60]
    with open_image_encoder(tmp_path / "image.onnx") as image, open_text_encoder(tmp_path / "text.onnx") as text:
        assert (image.metadata.dim, text.metadata.dim, text.metadata.max_tokens) == (16, 16, 40)
        assert image.metadata.about["objective"] == "contrastive"
        found_image, found_text = image.encode(SCENES.pixels[:3]), text.encode(texts)
        assert text.encode(["a circle"]).shape == (1, 16)
    with torch.no_grad():
        wanted_image = loaded.image(torch.from_numpy(SCENES.pixels[:3])).numpy()
        wanted_text = loaded.text(torch.from_numpy(loaded.vocabulary.encode(texts, 40))).numpy()
    assert found_image == pytest.approx(wanted_image, abs=1e-4)
    assert found_text == pytest.approx(wanted_text, abs=1e-4)


@pytest.mark.parametrize("tower", [ImageTower, TextTower])
def test_where_one_tower_differs_neither_gets_a_name(
    towers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tower: type[torch.nn.Module]
) -> None:
    real = towers_module.check_vectors

    def shifted(found: np.ndarray, wanted: np.ndarray, where: Path) -> float:
        name = "image.onnx" if tower is ImageTower else "text.onnx"
        return real(found + (0.01 if where.name == name else 0.0), wanted, where)

    monkeypatch.setattr(towers_module, "check_vectors", shifted)
    with pytest.raises(RunFailed, match=r"features differ by 0\.01, more than 0\.0001"):
        export_towers(towers, tmp_path)
    assert list(tmp_path.iterdir()) == []


def generations(**changes: object) -> Generations:
    values: dict[str, object] = {
        "ids": ("0",),
        "texts": ("a",),
        "tokens": np.array([[4, 0]], np.int32),
        "lengths": np.array([1], np.int32),
        "log_probs": np.array([[-0.5, 0.0]], np.float32),
        "errors": (None,),
    }
    return Generations(**(values | changes))  # type: ignore[arg-type]


WANTED = Decoded(
    torch.tensor([[4, 0]], dtype=torch.int32), torch.tensor([1], dtype=torch.int32), torch.tensor([[-0.5, 0.0]])
)


def test_parity_of_captions_is_exact_in_tokens_and_near_in_log_probs() -> None:
    here = Path("e.onnx")
    assert check_captions(generations(), WANTED, here) == 0.0
    near = generations(log_probs=np.array([[-0.5005, 0.0]], np.float32))
    assert check_captions(near, WANTED, here) == pytest.approx(5e-4, rel=1e-3)
    for changes in (
        {"log_probs": np.array([[-0.502, 0.0]], np.float32)},
        {"log_probs": np.array([[np.nan, 0.0]], np.float32)},
        {"log_probs": None},
        {"tokens": np.array([[5, 0]], np.int32)},
        {"lengths": np.array([2], np.int32)},
        {"errors": ("not finite",)},
    ):
        with pytest.raises(RunFailed, match="does not agree with PyTorch"):
            check_captions(generations(**changes), WANTED, here)


def test_parity_of_vectors_is_within_a_ten_thousandth() -> None:
    wanted = np.zeros((2, 3), np.float32)
    assert check_vectors(wanted + np.float32(5e-5), wanted, Path("e")) == pytest.approx(5e-5)
    for found in (wanted + np.float32(2e-4), wanted * np.nan, wanted[:1]):
        with pytest.raises(RunFailed, match="does not agree"):
            check_vectors(found, wanted, Path("e"))


def test_the_sample_is_the_trainings_pictures_and_then_drawn_ones(checkpoint: Path, tmp_path: Path) -> None:
    pixels = sample_pictures(checkpoint, 64, 23, None)
    assert np.array_equal(pixels[:20], SCENES.pixels)
    assert len({picture.tobytes() for picture in pixels}) == 23
    assert sample_pictures(tmp_path, 64, 2, None).shape == (2, 64, 64, 3)
    assert np.array_equal(sample_pictures(tmp_path, 64, 2, SCENES.pixels[:5]), SCENES.pixels[:5])
    with pytest.raises(DataError, match=r"Give uint8 \[n, 32, 32, 3\]"):
        sample_pictures(tmp_path, 32, 2, SCENES.pixels)
