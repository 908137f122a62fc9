"""The two encoder towers of the feature-based attack ("MFE" in M4I's code): one space for images and texts."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn
from torch.nn import functional as F

from m4i_fast.nets.backbones import Backbone

__all__ = ["ImageTower", "TextTower", "contrastive_loss"]


class ImageTower(nn.Module):
    """Image network -> Linear 256 -> BatchNorm1d(256, momentum 0.01).

    Args:
        backbone: gives features [N, D].
        dim: length of the vectors.
        unit: scale the vectors to length 1 (contrastive towers; the published ones are left as they are).
        dropout: share of the features dropped in training.
    """

    def __init__(self, backbone: Backbone, dim: int = 256, *, unit: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        self.backbone = backbone
        self.project = nn.Linear(backbone.dim, dim)
        self.norm = nn.BatchNorm1d(dim, momentum=0.01)
        self.dropout = nn.Dropout(dropout)
        self.unit = unit

    def from_features(self, features: torch.Tensor) -> torch.Tensor:
        """Vectors float32 [N, dim] from backbone features float32 [N, D]."""
        return _scaled(self.norm(self.project(self.dropout(features))), unit=self.unit)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Vectors float32 [N, dim] of pictures uint8 [N, S, S, 3]."""
        return self.from_features(self.backbone(pixels))


class TextTower(nn.Module):
    """Word counts -> Linear 512 -> ReLU -> Linear 256 -> BatchNorm1d(256, momentum 0.01).

    Args:
        vocabulary_size: number V of token ids, the four specials included.
        dim: length of the vectors.
        hidden: width of the middle layer.
        unit: scale the vectors to length 1.
        dropout: share of the middle layer dropped in training.
    """

    def __init__(
        self,
        vocabulary_size: int,
        dim: int = 256,
        *,
        hidden: int = 512,
        unit: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.counts = nn.Linear(vocabulary_size, hidden)
        self.project = nn.Linear(hidden, dim)
        self.norm = nn.BatchNorm1d(dim, momentum=0.01)
        self.dropout = nn.Dropout(dropout)
        self.unit = unit

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Vectors float32 [N, dim] of texts int32 or int64 [N, L], padded with 0.

        The counts are taken inside: a count vector times the weights is the sum of the counted words' weight columns,
        so the [N, V] matrix of counts, nearly all zeros, is never made.
        """
        columns = F.embedding(tokens.to(torch.int64), self.counts.weight.t())
        present = (tokens != 0).to(columns.dtype)[:, :, None]
        middle = torch.relu((columns * present).sum(dim=1) + self.counts.bias)
        return _scaled(self.norm(self.project(self.dropout(middle))), unit=self.unit)


def contrastive_loss(images: torch.Tensor, texts: torch.Tensor, *, temperature: float) -> torch.Tensor:
    """Symmetric InfoNCE (van den Oord et al., 2018, arXiv 1807.03748) of unit vectors [N, dim], row i with row i."""
    similarity = images @ texts.t() / temperature
    own = torch.arange(len(images))
    return (F.cross_entropy(similarity, own) + F.cross_entropy(similarity.t(), own)) / 2


def _scaled(vectors: torch.Tensor, *, unit: bool) -> torch.Tensor:
    if not unit:
        return vectors
    return cast("torch.Tensor", vectors / vectors.norm(dim=1, keepdim=True).clamp_min(1e-6))
