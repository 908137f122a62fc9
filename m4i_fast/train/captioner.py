"""Training a Show-and-Tell captioner: teacher-forced cross-entropy, over features that are computed once."""

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

from m4i_fast.nets.backbones import Backbone, weights_digest
from m4i_fast.nets.captioner import Captioner
from m4i_fast.nets.checkpoint import STATE, BackboneCard, CaptionerCard, own_weights, read_card, save_model
from m4i_fast.progress import progress
from m4i_fast.train import loop
from m4i_fast.train.pictures import Pictures
from m4i_fast.train.settings import CaptionerSettings
from m4i_fast.types import Record

__all__ = ["CaptionerReport", "train_captioner"]


@dataclass(frozen=True, slots=True)
class CaptionerReport:
    """What a training did.

    Attributes:
        folder: the checkpoint.
        images: pictures that were trained on.
        captions: their captions.
        unreadable: records left out since their picture cannot be read.
        vocabulary: number of token ids, the four specials included.
        epochs: passes done, earlier runs included.
        losses: mean loss by epoch, nats a token.
        precision: of the matrix products.
        kept: the training had been done before, and nothing was to do.
        wall_s: seconds of this call.
    """

    folder: Path
    images: int
    captions: int
    unreadable: int
    vocabulary: int
    epochs: int
    losses: tuple[float, ...]
    precision: str
    kept: bool
    wall_s: float


def train_captioner(
    records: Sequence[Record],
    out: Path,
    settings: CaptionerSettings,
    *,
    pixels: npt.NDArray[np.uint8] | None = None,
    cache: Path | None = None,
    again: bool = False,
) -> CaptionerReport:
    """Train a captioner on all captions of ``records``, or go on where an equal training was cut off.

    The same records, settings and machine give the same weights, in one piece or in many.

    Args:
        records: the members; those whose picture cannot be read are left out and counted.
        out: folder of the checkpoint: ``model.safetensors``, ``captioner.json`` and what ``nets.checkpoint`` lists.
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
    low = loop.low_precision(settings.precision)
    plain = msgspec.to_builtins(settings) | {"precision": "bfloat16" if low else "float32"}
    with loop.seeded(settings.seed, 0):
        backbone, backbone_card = loop.prepare_backbone(
            settings.backbone, settings.weights, settings.train_backbone, settings.image_size
        )
    pictures = Pictures(records, backbone.image_size, pixels)
    digests = pictures.digests()
    data_sha256 = loop.data_digest(records, digests)
    earlier = loop.read_progress(out, settings=plain, data_sha256=data_sha256, again=again)
    card_path = out / "captioner.json"
    if earlier is not None and earlier.epochs_done >= settings.epochs and card_path.is_file():
        card = read_card(card_path, CaptionerCard)
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
    training = _Training(backbone, backbone_card, material, settings, low=low)
    losses: list[float] = []
    done = 0
    if earlier is not None:
        loop.restore(training.model, training.optimizers, earlier.tensors)
        done, losses = earlier.epochs_done, list(earlier.losses)
    else:
        training.pretrain()

    def keep() -> CaptionerCard:
        notes = {
            "settings": plain,
            "data_sha256": data_sha256,
            "epochs_done": done,
            "losses": losses,
            "vocabulary": list(material.vocabulary.words),
        }
        loop.write_progress(
            out / STATE, training.model, training.optimizers, notes, with_backbone=training.trains_backbone
        )
        tensors, backbone_sha256 = training.settled_weights()
        card = CaptionerCard(
            backbone=msgspec.structs.replace(backbone_card, weights_sha256=backbone_sha256),
            embed=settings.embed,
            hidden=settings.hidden,
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

    with progress("train captioner", training.steps * (settings.epochs - done)) as advance:
        while done < settings.epochs:
            losses.append(training.epoch(done, advance))
            done += 1
            if done % settings.checkpoint_every == 0 and done < settings.epochs:
                keep()
    return _report(out, keep(), started, kept=False)


class _Training:
    """The model, its optimiser and the material, between two checkpoints."""

    def __init__(
        self,
        backbone: Backbone,
        backbone_card: BackboneCard,
        material: loop.Material,
        settings: CaptionerSettings,
        *,
        low: bool,
    ) -> None:
        self.material, self.settings, self.low = material, settings, low
        self.trains_backbone = backbone_card.source == "trained"
        self.backbone_sha256 = backbone_card.weights_sha256
        with loop.seeded(settings.seed, 1):
            self.model = Captioner(
                backbone,
                len(material.vocabulary),
                embed=settings.embed,
                hidden=settings.hidden,
                max_tokens=settings.max_tokens,
                dropout=settings.dropout,
            )
        free = [value for value in self.model.parameters() if value.requires_grad]
        decay = settings.weight_decay
        optimizer: torch.optim.Optimizer
        if settings.optimizer == "adam":
            optimizer = torch.optim.Adam(free, settings.learning_rate or 1e-3, weight_decay=decay, fused=True)
        else:
            optimizer = torch.optim.SGD(free, settings.learning_rate or 0.01, weight_decay=decay)
        self.optimizers = {"optimizer": optimizer}
        owner = material.captions.owner.numpy()
        self.owned = np.split(np.argsort(owner, kind="stable"), np.flatnonzero(np.diff(np.sort(owner))) + 1)
        self.lengths = material.captions.lengths.numpy()
        captions = sum(min(len(part), settings.captions_per_image or len(part)) for part in self.owned)
        self.steps = max(1, round(captions / settings.batch))  # an epoch; the bar's length, not a promise

    def epoch(self, number: int, advance: Callable[..., Any]) -> float:
        """One pass; gives the mean loss a token."""
        settings, captions = self.settings, self.material.captions
        self._train_mode()
        total = torch.zeros((), dtype=torch.float64)
        tokens = 0
        with loop.seeded(settings.seed, 2, number) as rng:
            plan = self._plan(rng)
            for step, chosen in enumerate(plan):
                rows = torch.from_numpy(chosen)
                lengths = captions.lengths[rows]
                words = captions.tokens[rows, : int(lengths.max())]
                with torch.autocast("cpu", torch.bfloat16, enabled=self.low):
                    loss = self.model.loss(self._feature(captions.owner[rows]), words, lengths)
                self.optimizers["optimizer"].zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]  # torch ships none
                self.optimizers["optimizer"].step()
                weight = int(lengths.sum()) + len(rows)
                total += loss.detach().double() * weight
                tokens += weight
                if step < self.steps:
                    advance(1, note=f"epoch {number + 1}/{settings.epochs} loss {float(total) / tokens:.3f}")
            advance(max(0, self.steps - len(plan)))
        return float(total) / tokens

    def pretrain(self) -> None:
        """The published pre-training of the image projection: pictures apart, mean exp(1 / ||f(x) - f(x')||^2)."""
        settings = self.settings
        if not settings.pretrain_epochs:
            return
        self._train_mode()
        model = self.model
        parts = [*model.project.parameters(), *model.norm.parameters()]
        parts += [value for value in model.backbone.parameters() if value.requires_grad]
        optimizer = torch.optim.SGD(parts, settings.pretrain_rate)
        images = np.unique(self.material.captions.owner.numpy())
        with progress("pre-train the projection", settings.pretrain_epochs) as advance:
            for number in range(settings.pretrain_epochs):
                with loop.seeded(settings.seed, 3, number) as rng:
                    for chosen in loop.batches(rng.permutation(images), settings.batch):
                        feature = model.image_feature(self._backbone_features(torch.from_numpy(chosen)))
                        # x': the next picture of a random order, so never x itself
                        squared = (feature - feature.roll(1, dims=0)).square().sum(dim=1)
                        loss = torch.exp(1.0 / squared.clamp_min(0.05)).mean()  # exp(20): large, and finite
                        optimizer.zero_grad(set_to_none=True)
                        loss.backward()  # type: ignore[no-untyped-call]  # torch ships none
                        optimizer.step()
                advance(1, note=f"loss {loss.item():.4f}")

    def settled_weights(self) -> tuple[dict[str, torch.Tensor], str]:
        """The weights to keep, BatchNorm's statistics taken anew, and the hash of the image network."""
        model = self.model
        state = model.state_dict()
        before = {key: value.clone() for key, value in state.items() if "running_" in key or "num_batches" in key}
        self._train_mode()
        images = np.unique(self.material.captions.owner.numpy())

        def feed() -> None:
            for chosen in loop.batches(images, 256):
                model.image_feature(self._backbone_features(torch.from_numpy(chosen)))

        loop.settle_norms([model], feed)
        tensors = {key: value.clone() for key, value in own_weights(model, with_backbone=self.trains_backbone).items()}
        backbone_sha256 = weights_digest(model.backbone) if self.trains_backbone else self.backbone_sha256
        model.load_state_dict(before, strict=False)  # the training itself goes on as if nothing had been saved
        return tensors, backbone_sha256

    def _train_mode(self) -> None:
        self.model.train()
        if not self.trains_backbone:
            self.model.backbone.eval()

    def _plan(self, rng: np.random.Generator) -> list[npt.NDArray[np.int64]]:
        limit = self.settings.captions_per_image
        owned = self.owned if limit is None else [rng.permutation(part)[:limit] for part in self.owned]
        if not self.trains_backbone:
            return loop.by_length(rng.permutation(np.concatenate(owned)), self.lengths, self.settings.batch, rng)
        # A picture's captions stay in one batch, so that it runs through the image network once an epoch.
        mean = sum(len(part) for part in owned) / len(owned)
        groups = loop.batches(rng.permutation(len(owned)), max(2, round(self.settings.batch / mean)))
        return [np.concatenate([owned[picture] for picture in group]) for group in groups]

    def _feature(self, owner: torch.Tensor) -> torch.Tensor:
        if not self.trains_backbone:
            return self.model.image_feature(self._backbone_features(owner))
        pictures, place = torch.unique(owner, return_inverse=True)
        return self.model.image_feature(self._backbone_features(pictures))[place]

    def _backbone_features(self, rows: torch.Tensor) -> torch.Tensor:
        if self.material.features is not None:
            return self.material.features.values[rows]
        pixels, _ = self.material.pictures.rows(rows.numpy())
        features: torch.Tensor = self.model.backbone(torch.from_numpy(pixels))
        return features


def _report(out: Path, card: CaptionerCard, started: float, *, kept: bool) -> CaptionerReport:
    return CaptionerReport(
        folder=out,
        images=card.images,
        captions=card.captions,
        unreadable=card.unreadable,
        vocabulary=len(card.vocabulary),
        epochs=card.epochs_done,
        losses=tuple(card.losses),
        precision=card.settings["precision"],
        kept=kept,
        wall_s=time.perf_counter() - started,
    )
