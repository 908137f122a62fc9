"""What both trainings share: the records they take, batches, precision, progress that survives a kill."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from m4i_fast.errors import AuditError, ConfigError, EngineError, RunError
from m4i_fast.nets.backbones import Backbone, build_backbone, open_backbone, read_weights, weights_digest
from m4i_fast.nets.checkpoint import BACKBONE, SAMPLE, STATE, BackboneCard, own_weights, save_tensors
from m4i_fast.text.vocabulary import Vocabulary
from m4i_fast.train.pictures import Features, Pictures, frozen_features
from m4i_fast.types import Record

__all__ = [
    "Captions",
    "Material",
    "Progress",
    "batches",
    "by_length",
    "check_out",
    "data_digest",
    "gather",
    "low_precision",
    "prepare_backbone",
    "read_progress",
    "restore",
    "seeded",
    "settle_norms",
    "write_progress",
]

Int64 = npt.NDArray[np.int64]
SAMPLES = 32  # pictures kept beside the weights for the export's parity check


@dataclass(frozen=True, slots=True)
class Captions:
    """Captions as token ids. ``owner``: int64 [M], row of the picture; ``tokens``: int64 [M, T]; ``lengths``: [M]."""

    owner: torch.Tensor
    tokens: torch.Tensor
    lengths: torch.Tensor


@dataclass(frozen=True, slots=True)
class Material:
    """What a training reads.

    Attributes:
        pictures: by row.
        features: of the frozen image network, or None where it is trained.
        captions: of the readable pictures.
        vocabulary: of those captions.
        unreadable: number of records without a readable picture.
    """

    pictures: Pictures
    features: Features | None
    captions: Captions
    vocabulary: Vocabulary
    unreadable: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training is. ``tensors``: weights and optimiser state as they were."""

    epochs_done: int
    losses: tuple[float, ...]
    vocabulary: tuple[str, ...]
    tensors: dict[str, torch.Tensor]


def data_digest(records: Sequence[Record], digests: Sequence[str]) -> str:
    """SHA-256 over ids, references and picture contents, in order."""
    whole = hashlib.sha256()
    for record, digest in zip(records, digests, strict=True):
        whole.update(json.dumps([record.id, record.references, digest]).encode("utf-8", "surrogatepass"))
    return whole.hexdigest()


def prepare_backbone(
    name: str, weights: str | None, train: bool | None, image_size: int | None
) -> tuple[Backbone, BackboneCard]:
    """The image network of a training and its card; random and trainable, or with weights and frozen.

    Raises:
        ConfigError: it would be frozen without weights.
        EngineError: the weights do not fit.
    """
    trained = (name == "small-cnn" and weights is None) if train is None else train
    if trained and weights is None and name != "efficientnet-lite0":
        backbone = build_backbone(name, image_size=image_size)
    else:
        backbone = open_backbone(name, weights=weights, image_size=image_size)
        backbone.requires_grad_(requires_grad=trained)
    source: Any = "trained" if trained else "package" if weights is None else "file"
    digest = "0" * 64 if trained else weights_digest(backbone)
    return backbone, BackboneCard(name=name, image_size=backbone.image_size, source=source, weights_sha256=digest)


def gather(
    records: Sequence[Record],
    pictures: Pictures,
    digests: Sequence[str],
    backbone: Backbone,
    card: BackboneCard,
    *,
    max_tokens: int,
    min_count: int,
    cache: Path,
    out: Path,
) -> Material:
    """Read pictures and captions, and keep a sample of the pictures beside the weights.

    Raises:
        AuditError: fewer than two readable pictures with captions, or no word is frequent enough.
    """
    if card.source == "trained":
        features, errors = None, tuple(pictures.load())
    else:
        features = frozen_features(backbone, pictures, digests, cache)
        errors = features.errors
    good = [row for row, error in enumerate(errors) if error is None]
    with_text = [row for row in good if any(text.strip() for text in records[row].references)]
    if len(with_text) < 2:
        reasons = [error for error in errors if error is not None]
        raise AuditError(
            f"{len(with_text)} of {len(records)} records have a readable picture and a caption; two are needed"
            + (f" (the first reason: {reasons[0]})" if reasons else ""),
            where=out,
            cure="Look at them with: m4i-fast data inspect",
        )
    texts = [(row, text) for row in with_text for text in records[row].references if text.strip()]
    vocabulary = Vocabulary.from_captions([text for _, text in texts], min_count)
    if len(vocabulary) == 4:
        raise AuditError(
            f"no word occurs {min_count} times in the {len(texts)} captions", where=out, cure="Lower min_count."
        )
    tokens = torch.from_numpy(vocabulary.encode([text for _, text in texts], max_tokens).astype(np.int64))
    lengths = (tokens != 0).sum(dim=1)
    owner = torch.tensor([row for row, _ in texts])
    keep = lengths > 0  # a caption may hold no word at all: "!!!"
    if not (out / SAMPLE).is_file():
        pixels, _ = pictures.rows(with_text[:SAMPLES])
        save_tensors(out / SAMPLE, {"pixels": torch.from_numpy(pixels)})
    if card.source == "file" and not (out / BACKBONE).is_file():
        inner = backbone.network.state_dict()
        save_tensors(out / BACKBONE, {key.removeprefix("inner."): value for key, value in inner.items()})
    captions = Captions(owner[keep], tokens[keep], lengths[keep])
    return Material(pictures, features, captions, vocabulary, len(records) - len(good))


def batches(order: Int64, size: int) -> list[Int64]:
    """Cut ``order`` into batches; a rest of less than half a batch joins the last one, as BatchNorm needs company."""
    cuts = list(range(size, len(order), size))
    if cuts and len(order) - cuts[-1] < max(2, (size + 1) // 2):
        cuts.pop()
    return np.split(order, cuts)


def by_length(order: Int64, lengths: Int64, size: int, rng: np.random.Generator) -> list[Int64]:
    """Batches of captions of like length, so that little is padded: sorted in windows of 16 batches, then shuffled."""
    windows = batches(order, 16 * size)
    found = [part for window in windows for part in batches(window[np.argsort(lengths[window], kind="stable")], size)]
    return [found[place] for place in rng.permutation(len(found))]


def low_precision(wanted: str) -> bool:
    """Whether matrix products run in bfloat16; ``auto`` asks the processor."""
    if wanted == "auto":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())  # noqa: SLF001 - torch has no public question
    return wanted == "bfloat16"


@contextlib.contextmanager
def seeded(*parts: int) -> Iterator[np.random.Generator]:
    """Fix torch's generator inside the block, and give numpy's; the caller's torch generator is left as it was.

    Each epoch has a seed of its own, so a training that goes on needs no generator state.
    """
    rng = np.random.default_rng(parts)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**62)))
        yield rng


@torch.no_grad()
def settle_norms(modules: Sequence[nn.Module], feed: Callable[[], None]) -> None:
    """Set the statistics of all BatchNorm layers in training mode to the mean over what ``feed`` runs through them.

    The running averages lag: with the published momentum of 0.01 they still hold a third of their initial values after
    100 steps, and a short training would be judged by statistics it never saw.
    """
    norms = [
        each
        for module in modules
        for each in module.modules()
        if isinstance(each, nn.BatchNorm1d | nn.BatchNorm2d) and each.training
    ]
    # Dropout is off when the model is used, so the statistics are taken without it.
    drops = [each for module in modules for each in module.modules() if isinstance(each, nn.Dropout) and each.training]
    for drop in drops:
        drop.eval()
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative average
    feed()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    for drop in drops:
        drop.train()


def write_progress(
    path: Path,
    module: nn.Module,
    optimizers: Mapping[str, torch.optim.Optimizer],
    progress: Mapping[str, Any],
    *,
    with_backbone: bool,
) -> None:
    """Write weights, optimiser states and ``progress`` (JSON) as one file, whole or not at all."""
    tensors = {f"model|{key}": value for key, value in own_weights(module, with_backbone=with_backbone).items()}
    for name, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"{name}|{index}|{key}": torch.as_tensor(value) for key, value in state.items()}
    save_tensors(path, tensors, notes={"progress": json.dumps(progress)})


def read_progress(folder: Path, *, settings: Mapping[str, Any], data_sha256: str, again: bool) -> Progress | None:
    """How far an earlier, equal training in ``folder`` came; None where there was none.

    Raises:
        RunError: the folder holds a training of other settings or data; more epochs than then are no difference.
    """
    from safetensors import SafetensorError, safe_open

    path = folder / STATE
    if again:
        for stale in (path, folder / SAMPLE, folder / BACKBONE):
            stale.unlink(missing_ok=True)
        return None
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            notes = json.loads(file.metadata()["progress"])
        tensors = read_weights(path)
    except (SafetensorError, EngineError, KeyError, TypeError, ValueError, OSError) as error:
        raise RunError(
            f"the state of the earlier training cannot be read ({error})",
            where=path,
            cure=f"Remove {folder} and train again.",
        ) from error
    free = {"epochs", "checkpoint_every"}
    before, now = notes["settings"], json.loads(json.dumps(settings))
    differing = sorted(key for key in before.keys() | now.keys() if key not in free and before.get(key) != now.get(key))
    if differing or notes["data_sha256"] != data_sha256:
        what = f"other settings ({', '.join(differing)})" if differing else "other records"
        raise RunError(
            f"this folder holds a training with {what}", where=folder, cure="Choose another folder, or remove this one."
        )
    if notes["epochs_done"] > now["epochs"]:
        raise RunError(
            f"this folder holds a training of {notes['epochs_done']} epochs, and {now['epochs']} were asked for",
            where=folder,
            cure="Choose another folder, or remove this one.",
        )
    return Progress(notes["epochs_done"], tuple(notes["losses"]), tuple(notes["vocabulary"]), tensors)


def restore(module: nn.Module, optimizers: Mapping[str, torch.optim.Optimizer], tensors: Mapping[str, Any]) -> None:
    """Put back what ``write_progress`` wrote."""
    module.load_state_dict(
        {key.removeprefix("model|"): value for key, value in tensors.items() if key.startswith("model|")}, strict=False
    )
    for name, optimizer in optimizers.items():
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith(f"{name}|"):
                _, index, field = key.split("|")
                state.setdefault(int(index), {})[field] = value
        if state:
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def check_out(out: Path) -> None:
    """Raise ConfigError where ``out`` is a file."""
    if out.exists() and not out.is_dir():
        raise ConfigError("this is a file, not a checkpoint folder", where=out, cure="Choose another folder.")
