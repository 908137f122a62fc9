"""Trained models on disk: safetensors and a JSON card; nothing is ever pickled.

A captioner's folder holds ``captioner.json`` and ``model.safetensors``, the towers' ``encoders.json`` and
``model.safetensors``. Each may hold:

- ``backbone.safetensors``: the frozen image network, where its weights came from a user's file. Those of
  efficientnet-lite0 lie in its package, and those of a trained network in ``model.safetensors``; the card keeps their
  hash in any case.
- ``sample.safetensors``: ``pixels`` uint8 [n, S, S, 3], a few training pictures for the parity check of the export.
- ``state.safetensors``: weights, optimiser and progress for going on with the training.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import torch
from torch import nn

from m4i_fast.errors import EngineError, RunError
from m4i_fast.nets.backbones import Backbone, build_backbone, load_weights, open_backbone, read_weights, weights_digest
from m4i_fast.nets.captioner import Captioner
from m4i_fast.nets.towers import ImageTower, TextTower
from m4i_fast.runs import atomic_path, read_json, sha256_of, write_json
from m4i_fast.text.vocabulary import Vocabulary

__all__ = [
    "BACKBONE",
    "MODEL",
    "SAMPLE",
    "STATE",
    "BackboneCard",
    "CaptionerCard",
    "LoadedCaptioner",
    "LoadedTowers",
    "TowersCard",
    "load_captioner",
    "load_towers",
    "own_weights",
    "read_card",
    "read_sample",
    "save_model",
    "save_tensors",
]

MODEL, BACKBONE, SAMPLE, STATE = "model.safetensors", "backbone.safetensors", "sample.safetensors", "state.safetensors"


class BackboneCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The image network. ``source``: where its weights are; ``weights_sha256``: over keys and bytes of its tensors."""

    name: str
    image_size: int
    source: Literal["trained", "file", "package"]
    weights_sha256: str


class CaptionerCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that is needed to build the captioner again, and how it came about.

    ``weights_sha256``: of the file ``model.safetensors``. ``losses``: mean training loss (nats a token) by epoch.
    """

    kind: Literal["captioner"] = "captioner"
    schema: Literal[1] = 1
    backbone: BackboneCard
    embed: int
    hidden: int
    max_tokens: int
    vocabulary: list[str]
    weights_sha256: str
    settings: dict[str, Any]
    data_sha256: str
    images: int
    captions: int
    unreadable: int
    epochs_done: int
    losses: list[float]


class TowersCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that is needed to build the two towers again; fields as in ``CaptionerCard``."""

    kind: Literal["encoders"] = "encoders"
    schema: Literal[1] = 1
    backbone: BackboneCard
    dim: int
    text_hidden: int
    unit: bool
    max_tokens: int
    vocabulary: list[str]
    weights_sha256: str
    settings: dict[str, Any]
    data_sha256: str
    images: int
    captions: int
    unreadable: int
    epochs_done: int
    losses: list[float]


class LoadedCaptioner(msgspec.Struct, frozen=True):
    """A captioner in evaluation mode, its card and vocabulary."""

    model: Captioner
    card: CaptionerCard
    vocabulary: Vocabulary


class LoadedTowers(msgspec.Struct, frozen=True):
    """The towers in evaluation mode, their card and vocabulary."""

    image: ImageTower
    text: TextTower
    card: TowersCard
    vocabulary: Vocabulary


Card = TypeVar("Card", CaptionerCard, TowersCard)


def load_captioner(folder: Path) -> LoadedCaptioner:
    """Build a trained captioner again.

    Raises:
        EngineError: the folder holds none, or its files do not belong together.
        RunError: its card is not JSON.
    """
    card = read_card(folder / "captioner.json", CaptionerCard)
    model = Captioner(
        _backbone(folder, card.backbone),
        len(card.vocabulary),
        embed=card.embed,
        hidden=card.hidden,
        max_tokens=card.max_tokens,
    )
    _load(folder, {"": model}, card)
    return LoadedCaptioner(model, card, Vocabulary(tuple(card.vocabulary)))


def load_towers(folder: Path) -> LoadedTowers:
    """Build the two trained towers again.

    Raises:
        EngineError: the folder holds none, or its files do not belong together.
        RunError: their card is not JSON.
    """
    card = read_card(folder / "encoders.json", TowersCard)
    image = ImageTower(_backbone(folder, card.backbone), card.dim, unit=card.unit)
    text = TextTower(len(card.vocabulary), card.dim, hidden=card.text_hidden, unit=card.unit)
    _load(folder, {"image.": image, "text.": text}, card)
    return LoadedTowers(image, text, card, Vocabulary(tuple(card.vocabulary)))


def save_model(folder: Path, tensors: Mapping[str, torch.Tensor], card: Card) -> Card:
    """Write ``model.safetensors``, then the card with its hash; gives the card as written."""
    save_tensors(folder / MODEL, tensors)
    card = msgspec.structs.replace(card, weights_sha256=sha256_of(folder / MODEL))
    write_json(folder / f"{card.kind}.json", msgspec.to_builtins(card))
    return card


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor], *, notes: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file whole or not at all; ``notes`` go to its metadata."""
    from safetensors.torch import save_file

    plain = {key: value.detach().contiguous() for key, value in tensors.items()}
    with atomic_path(path) as temporary:
        save_file(plain, temporary, metadata=dict(notes or {}))


def own_weights(module: nn.Module, *, with_backbone: bool) -> dict[str, torch.Tensor]:
    """The state dict that goes to ``model.safetensors``: without the image network, unless it was trained."""
    return {key: value for key, value in module.state_dict().items() if with_backbone or "backbone." not in key}


def read_sample(folder: Path) -> torch.Tensor | None:
    """Pictures uint8 [n, S, S, 3] kept for the parity check, or None."""
    path = folder / SAMPLE
    return read_weights(path).get("pixels") if path.is_file() else None


def read_card(path: Path, kind: type[Card]) -> Card:
    """Read a card.

    Raises:
        EngineError: there is none, or it is not of this kind.
        RunError: it is not JSON.
    """
    if not path.is_file():
        noun = "captioner" if kind is CaptionerCard else "encoders"
        raise EngineError(
            f"no trained {noun} here: '{path.name}' is missing",
            where=path.parent,
            cure=f"Make one with: m4i-fast train {noun} DATA --out {path.parent}",
        )
    try:
        return msgspec.convert(read_json(path), kind)
    except msgspec.ValidationError as error:
        raise EngineError(f"not a card of this version ({error})", where=path, cure="Train it again.") from error


def _backbone(folder: Path, card: BackboneCard) -> Backbone:
    if card.source == "trained":
        return build_backbone(card.name, image_size=card.image_size)
    weights = folder / BACKBONE if card.source == "file" else None
    backbone = open_backbone(card.name, weights=weights, image_size=card.image_size)
    found = weights_digest(backbone)
    if found != card.weights_sha256:
        raise EngineError(
            f"the weights of {card.name} are not those of the training (hash {found[:12]}, was "
            f"{card.weights_sha256[:12]})",
            where=weights or card.name,
            cure="Install the same version of its package, or train again.",
        )
    return backbone


def _load(folder: Path, modules: Mapping[str, nn.Module], card: CaptionerCard | TowersCard) -> None:
    path = folder / MODEL
    if not path.is_file():
        raise EngineError(f"'{MODEL}' is missing", where=folder, cure="Run the training again; it goes on by itself.")
    if sha256_of(path) != card.weights_sha256:
        raise RunError(
            f"'{MODEL}' and '{card.kind}.json' are of different moments: the training was cut off between the two",
            where=folder,
            cure="Run the same training command again; it goes on where it stood.",
        )
    tensors = read_weights(path)
    trained = card.backbone.source == "trained"
    for prefix, module in modules.items():
        part = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        if not trained:
            part |= {key: value for key, value in module.state_dict().items() if key.startswith("backbone.")}
        load_weights(module, part, where=path)
        module.requires_grad_(requires_grad=False)
        module.eval()
