from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from m4i_fast.errors import ConfigError, EngineError
from m4i_fast.nets.backbones import (
    NAMES,
    Backbone,
    build_backbone,
    load_weights,
    open_backbone,
    read_weights,
    weights_digest,
)
from m4i_fast.nets.resnet import BasicBlock, Bottleneck, ResNet


def on_meta(name: str) -> Backbone:
    with torch.device("meta"):
        return build_backbone(name)


@pytest.mark.parametrize(
    ("name", "parameters", "dim"),
    [
        ("resnet18", 11_689_512, 512),
        ("resnet34", 21_797_672, 512),
        ("resnet50", 25_557_032, 2048),
        ("resnet101", 44_549_160, 2048),
        ("resnet152", 60_192_808, 2048),
        ("vgg16", 138_357_544, 25_088),
        ("efficientnet-lite0", 4_652_008, 1280),
    ],
)
def test_the_networks_have_their_published_sizes(name: str, parameters: int, dim: int) -> None:
    backbone = on_meta(name)
    assert sum(value.numel() for value in backbone.network.parameters()) == parameters
    assert backbone.dim == dim
    assert backbone.image_size == 224


def test_resnet_and_vgg_have_the_keys_of_torchvision() -> None:
    resnet = dict(on_meta("resnet152").network.state_dict())
    assert resnet["conv1.weight"].shape == (64, 3, 7, 7)
    assert resnet["layer1.0.downsample.1.running_var"].shape == (256,)
    assert resnet["layer3.35.bn2.weight"].shape == (256,)
    assert resnet["layer4.0.conv2.weight"].shape == (512, 512, 3, 3)
    assert resnet["layer4.2.conv3.weight"].shape == (2048, 512, 1, 1)
    assert resnet["fc.bias"].shape == (1000,)
    assert "layer1.0.downsample.0.weight" not in on_meta("resnet18").network.state_dict()
    vgg = dict(on_meta("vgg16").network.state_dict())
    assert len(vgg) == 32
    assert vgg["features.0.weight"].shape == (64, 3, 3, 3)
    assert vgg["features.28.bias"].shape == (512,)
    assert vgg["classifier.0.weight"].shape == (4096, 25088)
    assert vgg["classifier.6.weight"].shape == (1000, 4096)


def test_strides_halve_where_they_must() -> None:
    with torch.device("meta"):
        network = ResNet(bottleneck=True, depths=(1, 1, 1, 1))
        pixels = torch.zeros(2, 3, 224, 224)
        early = network.layer1(network.maxpool(network.conv1(pixels)))
        assert early.shape == (2, 256, 56, 56)
        assert network.layer4(network.layer3(network.layer2(early))).shape == (2, 2048, 7, 7)
        assert network.layer2[0].conv1.stride == (1, 1)  # ResNet v1.5: the 3x3 strides
        assert network.layer2[0].conv2.stride == (2, 2)


@pytest.mark.parametrize("kind", [BasicBlock, Bottleneck])
def test_a_block_whose_branch_is_silent_passes_its_input_on(kind: type[BasicBlock | Bottleneck]) -> None:
    block = kind(16, 16 // kind.expansion, 1).eval()
    last = block.bn2 if isinstance(block, BasicBlock) else block.bn3
    torch.nn.init.zeros_(last.weight)
    x = torch.randn(1, 16, 5, 5)
    assert torch.equal(block(x), torch.relu(x))


def test_pixels_are_cast_moved_and_normalised() -> None:
    pixels = torch.zeros(1, 64, 64, 3, dtype=torch.uint8)
    pixels[0, 3, 5] = torch.tensor([255, 51, 0])
    small = build_backbone("small-cnn").normalise(pixels)
    assert small.shape == (1, 3, 64, 64)
    assert small[0, :, 3, 5].tolist() == pytest.approx([1.0, -0.6, -1.0])
    resnet = on_meta("resnet18")
    assert "mean:0.485000,0.456000,0.406000|std:0.229000,0.224000,0.225000" in build_backbone("resnet18").preprocessing
    assert "network.mean" not in resnet.state_dict()
    assert "mean" not in resnet.state_dict()


def test_lite0_opens_with_its_own_statistics_and_is_frozen() -> None:
    backbone = open_backbone("efficientnet-lite0")
    assert backbone.preprocessing.startswith("rgb|lanczos:224x224|mean:0.498039")  # 127 / 255
    assert not backbone.training
    assert not any(value.requires_grad for value in backbone.parameters())
    with torch.inference_mode():
        features = backbone(torch.randint(0, 256, (2, 224, 224, 3), dtype=torch.uint8))
    assert features.shape == (2, 1280)
    assert float(features.std()) > 0.05


@pytest.mark.parametrize("size", [64, 128])
def test_the_small_cnn_keeps_positions(size: int) -> None:
    backbone = build_backbone("small-cnn", image_size=size).eval()
    left = torch.zeros(1, size, size, 3, dtype=torch.uint8)
    left[:, 8:24, 8:24] = 255
    with torch.no_grad():
        features = backbone(torch.cat([left, left.flip(2)]))
    assert features.shape == (2, 2048)
    assert float((features[0] - features[1]).abs().max()) > 1e-3


def test_bad_names_and_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"no backbone is called 'resnet19'.*Choose of: small-cnn"):
        build_backbone("resnet19")
    with pytest.raises(ConfigError, match="multiple of 64"):
        build_backbone("small-cnn", image_size=100)
    with pytest.raises(ConfigError, match="vgg16 cannot read 64 pixels"):
        build_backbone("vgg16", image_size=64)
    with pytest.raises(ConfigError, match="16 pixels are too few"):
        build_backbone("resnet18", image_size=16)
    with pytest.raises(ConfigError, match=r"resnet50 needs weights.*torchvision"):
        open_backbone("resnet50")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_come_back_from_both_kinds_of_file(tmp_path: Path, suffix: str) -> None:
    source = build_backbone("small-cnn")
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": source.network.state_dict()}, path)
    else:
        save_file(source.network.state_dict(), path)
    assert weights_digest(open_backbone("small-cnn", weights=path)) == weights_digest(source)


def test_the_weights_inside_a_trained_captioner_serve_too(tmp_path: Path) -> None:
    source = build_backbone("small-cnn")
    inside = {f"backbone.network.{key}": value for key, value in source.network.state_dict().items()}
    save_file({**inside, "head.bias": torch.zeros(3)}, tmp_path / "model.safetensors")
    found = open_backbone("small-cnn", weights=tmp_path / "model.safetensors")
    assert weights_digest(found) == weights_digest(source)


def test_old_files_without_batch_counters_fit() -> None:
    backbone = build_backbone("small-cnn")
    state = {key: value for key, value in backbone.network.state_dict().items() if "num_batches" not in key}
    load_weights(build_backbone("small-cnn").network, state, where="w")


def test_keys_and_shapes_that_do_not_fit_are_named() -> None:
    state = build_backbone("small-cnn").network.state_dict()
    missing = {key: value for key, value in state.items() if key != "layers.0.weight"}
    with pytest.raises(EngineError, match=r"w: .*missing 'layers.0.weight'; unexpected 'conv1.weight'"):
        load_weights(build_backbone("small-cnn").network, {**missing, "conv1.weight": torch.zeros(1)}, where="w")
    with pytest.raises(EngineError, match="and 2 more"):
        load_weights(torch.nn.Identity(), {str(n): torch.zeros(1) for n in range(5)}, where="w")
    with pytest.raises(EngineError, match=r"'layers.0.weight' has the shape \(1,\), the network wants \(32, 3, 3, 3\)"):
        load_weights(build_backbone("small-cnn").network, {**state, "layers.0.weight": torch.zeros(1)}, where="w")
    state["layers.0.weight"][0] = torch.nan
    with pytest.raises(EngineError, match=r"'layers.0.weight' holds NaN"):
        load_weights(build_backbone("small-cnn").network, state, where="w")


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("bomb-went-off"),))  # type: ignore[return-value]


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"layers.0.weight": Bomb()}, tmp_path / "bad.pth")
    with pytest.raises(EngineError, match="not a file of plain tensors"):
        read_weights(tmp_path / "bad.pth")
    assert not (tmp_path / "bomb-went-off").exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt"])
@pytest.mark.parametrize("content", [b"", b"\x00" * 7, b"PK\x03\x04 broken", b"\xff" * 4096])
def test_damaged_files_are_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    with pytest.raises(EngineError, match="bad"):
        read_weights(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="no such file of weights"):
        read_weights(tmp_path / "none.safetensors")
    (tmp_path / "w.pkl").write_bytes(b"x")
    with pytest.raises(EngineError, match=r"kind '.pkl' are not read"):
        read_weights(tmp_path / "w.pkl")
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(EngineError, match="no state dict"):
        read_weights(tmp_path / "list.pth")


def test_the_digest_is_over_keys_types_shapes_and_bytes() -> None:
    module = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(module.weight, 2.0)
    by_hand = hashlib.sha256(b"weight|torch.float32|(1, 1)\n" + b"\x00\x00\x00\x40").hexdigest()
    assert weights_digest(module) == by_hand


def test_all_names_build() -> None:
    assert [on_meta(name).name for name in NAMES] == list(NAMES)
