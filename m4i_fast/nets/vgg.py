"""VGG-16 (Simonyan and Zisserman, 2014, arXiv 1409.1556, configuration D) with the state-dict keys of torchvision."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["Vgg16"]

_LAYOUT = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)  # 0: max pooling


class Vgg16(nn.Module):
    """VGG-16 up to its last pooling, flattened: 512 x 7 x 7 = 25,088 features.

    That is what the published VGG captioner of M4I reads (its classifier is replaced by the identity). ``classifier``
    is held for the sake of the keys and of the parameter count alone.
    """

    dim = 25_088

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inside = 3
        for width in _LAYOUT:
            if width == 0:
                layers.append(nn.MaxPool2d(2, stride=2))
            else:
                layers += [nn.Conv2d(inside, width, 3, padding=1), nn.ReLU()]
                inside = width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(self.dim, 4096),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(4096, 1000),
        )

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Features float32 [N, 25088] of normalised pixels float32 [N, 3, 224, 224]; other sizes do not fit."""
        x: torch.Tensor = self.features(pixels)
        return x.flatten(1)
