"""ResNet 18 to 152 (He et al., 2015, arXiv 1512.03385), with the state-dict keys of torchvision: its weights fit.

As in torchvision the bottleneck's stride stands in its 3x3 convolution ("ResNet v1.5").
"""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["RESNETS", "ResNet"]


class ResNet(nn.Module):
    """A residual network up to its pooled features.

    ``fc`` is held for the sake of the keys and of the parameter count alone; ``forward`` stops before it.

    Args:
        bottleneck: blocks of 1x1, 3x3, 1x1 convolutions, else of two 3x3.
        depths: number of blocks in each of the four stages.
    """

    def __init__(self, *, bottleneck: bool, depths: tuple[int, int, int, int]) -> None:
        super().__init__()
        block = Bottleneck if bottleneck else BasicBlock
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.dim = 64
        self.layer1 = self._stage(block, 64, depths[0], stride=1)
        self.layer2 = self._stage(block, 128, depths[1], stride=2)
        self.layer3 = self._stage(block, 256, depths[2], stride=2)
        self.layer4 = self._stage(block, 512, depths[3], stride=2)
        self.fc = nn.Linear(self.dim, 1000)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Features float32 [N, 512 or 2048] of normalised pixels float32 [N, 3, H, W]."""
        x: torch.Tensor = self.maxpool(torch.relu(self.bn1(self.conv1(pixels))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean(dim=(2, 3))

    def _stage(self, block: type[Bottleneck | BasicBlock], width: int, depth: int, *, stride: int) -> nn.Module:
        blocks: list[nn.Module] = []
        for index in range(depth):
            blocks.append(block(self.dim, width, stride if index == 0 else 1))
            self.dim = width * block.expansion
        return nn.Sequential(*blocks)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    expansion = 1

    def __init__(self, inside: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(inside, width, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The block's output [N, width, H / stride, W / stride]."""
        short = x if self.downsample is None else self.downsample(x)
        x = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(x)) + short)


class Bottleneck(nn.Module):
    """1x1 down, 3x3, 1x1 up around a shortcut."""

    expansion = 4

    def __init__(self, inside: int, width: int, stride: int) -> None:
        super().__init__()
        outside = width * self.expansion
        self.conv1 = nn.Conv2d(inside, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outside, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outside)
        self.downsample = _shortcut(inside, outside, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The block's output [N, 4 width, H / stride, W / stride]."""
        short = x if self.downsample is None else self.downsample(x)
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        return torch.relu(self.bn3(self.conv3(x)) + short)


def _shortcut(inside: int, outside: int, stride: int) -> nn.Module | None:
    if stride == 1 and inside == outside:
        return None
    return nn.Sequential(nn.Conv2d(inside, outside, 1, stride=stride, bias=False), nn.BatchNorm2d(outside))


RESNETS: dict[str, tuple[bool, tuple[int, int, int, int]]] = {
    "resnet18": (False, (2, 2, 2, 2)),
    "resnet34": (False, (3, 4, 6, 3)),
    "resnet50": (True, (3, 4, 6, 3)),
    "resnet101": (True, (3, 4, 23, 3)),
    "resnet152": (True, (3, 8, 36, 3)),
}
"""Name -> (bottleneck, depths)."""
