"""Training the two encoder towers, on records that neither the target nor the shadow saw.

``mse``: as published, mean squared error between the two vectors; each epoch updates the image tower in one pass and
the text tower in a second. Nothing in that loss tells one picture from another, and it falls fastest where BatchNorm's
scales shrink towards zero. ``contrastive``: InfoNCE over a batch of distinct pictures, on unit vectors.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F

from m4i_fast.nets.backbones import Backbone, weights_digest
from m4i_fast.nets.checkpoint import STATE, BackboneCard, TowersCard, own_weights, read_card, save_model
from m4i_fast.nets.towers import ImageTower, TextTower, contrastive_loss
from m4i_fast.progress import progress
from m4i_fast.train import loop
from m4i_fast.train.pictures import Pictures
from m4i_fast.train.settings import TowerSettings
from m4i_fast.types import Record

__all__ = ["EncodersReport", "train_encoders"]


@dataclass(frozen=True, slots=True)
class EncodersReport:
    """What a training did; fields as in ``train.captioner.CaptionerReport``; the losses are those of ``objective``."""

    folder: Path
    objective: str
    images: int
    captions: int
    unreadable: int
    vocabulary: int
    epochs: int
    losses: tuple[float, ...]
    kept: bool
    wall_s: float


def train_encoders(
    records: Sequence[Record],
    out: Path,
    settings: TowerSettings,
    *,
    pixels: npt.NDArray[np.uint8] | None = None,
    cache: Path | None = None,
    again: bool = False,
) -> EncodersReport:
    """Train the image and text towers, or go on where an equal training was cut off.

    Args:
        records: the encoder records; those whose picture cannot be read are left out and counted.
        out: folder of the checkpoint: ``model.safetensors``, ``encoders.json`` and what ``nets.checkpoint`` lists.
        settings: the architecture and the schedule.
        pixels: uint8 [N, S, S, 3], the pictures, where they are decoded already; S must be the network's size.
        cache: folder for frozen features, shared between trainings; None: ``out / "features"``.
        again: forget an earlier training in ``out``.

    Raises:
        AuditError: too few readable pictures with captions.
        RunError: ``out`` holds a training of other settings or records.
        ConfigError, EngineError: the image network cannot be had.
    """
    started = time.perf_counter()
    loop.check_out(out)
    plain = msgspec.to_builtins(settings)
    with loop.seeded(settings.seed, 10):
        backbone, backbone_card = loop.prepare_backbone(
            settings.backbone, settings.weights, settings.train_backbone, settings.image_size
        )
    pictures = Pictures(records, backbone.image_size, pixels)
    digests = pictures.digests()
    data_sha256 = loop.data_digest(records, digests)
    earlier = loop.read_progress(out, settings=plain, data_sha256=data_sha256, again=again)
    card_path = out / "encoders.json"
    if earlier is not None and earlier.epochs_done >= settings.epochs and card_path.is_file():
        card = read_card(card_path, TowersCard)
        if card.epochs_done == earlier.epochs_done:
            return _report(out, card, started, kept=True)
    material = loop.gather(
        records,
        pictures,
        digests,
        backbone,
        backbone_card,
        max_tokens=settings.max_tokens,
        min_count=settings.min_count,
        cache=cache or out / "features",
        out=out,
    )
    training = _Training(backbone, backbone_card, material, settings)
    losses: list[float] = []
    done = 0
    if earlier is not None:
        loop.restore(training.towers, training.optimizers, earlier.tensors)
        done, losses = earlier.epochs_done, list(earlier.losses)

    def keep() -> TowersCard:
        notes = {
            "settings": plain,
            "data_sha256": data_sha256,
            "epochs_done": done,
            "losses": losses,
            "vocabulary": list(material.vocabulary.words),
        }
        loop.write_progress(
            out / STATE, training.towers, training.optimizers, notes, with_backbone=training.trains_backbone
        )
        tensors, backbone_sha256 = training.settled_weights()
        card = TowersCard(
            backbone=msgspec.structs.replace(backbone_card, weights_sha256=backbone_sha256),
            dim=settings.dim,
            text_hidden=settings.text_hidden,
            unit=training.image.unit,
            max_tokens=settings.max_tokens,
            vocabulary=list(material.vocabulary.words),
            weights_sha256="",
            settings=plain,
            data_sha256=data_sha256,
            images=len(torch.unique(material.captions.owner)),
            captions=len(material.captions.owner),
            unreadable=material.unreadable,
            epochs_done=done,
            losses=losses,
        )
        return save_model(out, tensors, card)

    with progress("train encoders", settings.epochs - done) as advance:
        while done < settings.epochs:
            losses.append(training.epoch(done))
            done += 1
            advance(1, note=f"loss {losses[-1]:.3f}")
            if done % settings.checkpoint_every == 0 and done < settings.epochs:
                keep()
    return _report(out, keep(), started, kept=False)


class _Training:
    """The towers, their optimisers and the material, between two checkpoints."""

    def __init__(
        self, backbone: Backbone, backbone_card: BackboneCard, material: loop.Material, settings: TowerSettings
    ) -> None:
        self.material, self.settings = material, settings
        self.trains_backbone = backbone_card.source == "trained"
        self.backbone_sha256 = backbone_card.weights_sha256
        unit = settings.objective == "contrastive"
        with loop.seeded(settings.seed, 11):
            self.image = ImageTower(backbone, settings.dim, unit=unit, dropout=settings.dropout)
            self.text = TextTower(
                len(material.vocabulary),
                settings.dim,
                hidden=settings.text_hidden,
                unit=unit,
                dropout=settings.dropout,
            )
        self.towers = nn.ModuleDict({"image": self.image, "text": self.text})

        def adam(tower: nn.Module) -> torch.optim.Optimizer:
            free = [value for value in tower.parameters() if value.requires_grad]
            return torch.optim.Adam(free, settings.learning_rate, weight_decay=settings.weight_decay, fused=True)

        self.optimizers = {"image_optimizer": adam(self.image), "text_optimizer": adam(self.text)}

    def epoch(self, number: int) -> float:
        """One pass (``mse``: two); gives the mean loss a pair."""
        if self.settings.objective == "contrastive":
            return self._pass(number, 0, self._distinct, self._contrastive, tuple(self.optimizers))
        self._pass(number, 0, self._shuffled, self._squared, ("image_optimizer",))
        return self._pass(number, 1, self._shuffled, self._squared, ("text_optimizer",))

    def settled_weights(self) -> tuple[dict[str, torch.Tensor], str]:
        """The weights to keep, BatchNorm's statistics taken anew, and the hash of the image network."""
        state = self.towers.state_dict()
        before = {key: value.clone() for key, value in state.items() if "running_" in key or "num_batches" in key}
        self._train_mode()
        captions = self.material.captions
        pictures = torch.unique(captions.owner).numpy()

        def feed() -> None:
            for chosen in loop.batches(pictures, 256):
                self._image_vectors(torch.from_numpy(chosen))
            for chosen in loop.batches(np.arange(len(captions.owner)), 256):
                self.text(captions.tokens[torch.from_numpy(chosen)])

        loop.settle_norms([self.towers], feed)
        kept = own_weights(self.towers, with_backbone=self.trains_backbone)
        tensors = {key: value.clone() for key, value in kept.items()}
        digest = weights_digest(self.image.backbone) if self.trains_backbone else self.backbone_sha256
        self.towers.load_state_dict(before, strict=False)  # the training goes on as if nothing had been saved
        return tensors, digest

    def _pass(
        self,
        number: int,
        part: int,
        plan: Callable[[np.random.Generator], list[npt.NDArray[np.int64]]],
        objective: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        updated: tuple[str, ...],
    ) -> float:
        self._train_mode()
        captions = self.material.captions
        total, pairs = 0.0, 0
        with loop.seeded(self.settings.seed, 12, number, part) as rng:
            for chosen in plan(rng):
                rows = torch.from_numpy(chosen)
                width = int(captions.lengths[rows].max())
                loss = objective(self._image_vectors(captions.owner[rows]), self.text(captions.tokens[rows, :width]))
                for optimizer in self.optimizers.values():
                    optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]  # torch ships none
                for name in updated:
                    self.optimizers[name].step()
                total += loss.item() * len(rows)
                pairs += len(rows)
        return total / pairs

    def _contrastive(self, images: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        return contrastive_loss(images, texts, temperature=self.settings.temperature)

    @staticmethod
    def _squared(images: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        return F.mse_loss(images, texts)

    def _shuffled(self, rng: np.random.Generator) -> list[npt.NDArray[np.int64]]:
        return loop.batches(rng.permutation(len(self.material.captions.owner)), self.settings.batch)

    def _distinct(self, rng: np.random.Generator) -> list[npt.NDArray[np.int64]]:
        """All captions once, in rounds with one caption a picture: a batch never holds two captions of one picture,
        which would be counted as mismatched.
        """
        owner = self.material.captions.owner.numpy()
        order = rng.permutation(len(owner))
        order = order[np.argsort(owner[order], kind="stable")]
        first = np.searchsorted(owner[order], owner[order])
        turn = np.arange(len(order)) - first  # the caption's place among those of its picture
        found: list[npt.NDArray[np.int64]] = []
        for number in range(int(turn.max()) + 1):
            members = order[turn == number]
            if len(members) > 1:
                found += loop.batches(rng.permutation(members), self.settings.batch)
        return [found[place] for place in rng.permutation(len(found))]

    def _train_mode(self) -> None:
        self.towers.train()
        if not self.trains_backbone:
            self.image.backbone.eval()

    def _image_vectors(self, rows: torch.Tensor) -> torch.Tensor:
        if self.material.features is not None:
            return self.image.from_features(self.material.features.values[rows])
        pixels, _ = self.material.pictures.rows(rows.numpy())
        vectors: torch.Tensor = self.image(torch.from_numpy(pixels))
        return vectors


def _report(out: Path, card: TowersCard, started: float, *, kept: bool) -> EncodersReport:
    settings: dict[str, Any] = card.settings
    return EncodersReport(
        folder=out,
        objective=settings["objective"],
        images=card.images,
        captions=card.captions,
        unreadable=card.unreadable,
        vocabulary=len(card.vocabulary),
        epochs=card.epochs_done,
        losses=tuple(card.losses),
        kept=kept,
        wall_s=time.perf_counter() - started,
    )
