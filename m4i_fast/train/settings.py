"""Settings of the two trainings, as plain structs without torch, so that ``audit.toml`` can embed them."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import msgspec

__all__ = ["BACKBONES", "BackboneName", "CaptionerSettings", "TowerSettings"]

BackboneName = Literal[
    "small-cnn",
    "efficientnet-lite0",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "vgg16",
]
BACKBONES: tuple[str, ...] = get_args(BackboneName)
"""Names of the image networks."""

Precision = Literal["auto", "float32", "bfloat16"]
Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Size = Annotated[int, msgspec.Meta(ge=32, le=1024)]
Rate = Annotated[float, msgspec.Meta(gt=0, le=10)]
Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]


class CaptionerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a Show-and-Tell captioner is built and trained.

    Attributes:
        backbone: the image network.
        weights: its weights, ``.safetensors`` or ``.pth``; not needed for ``efficientnet-lite0`` (its package brings
            them) nor for a backbone that is trained.
        train_backbone: train it jointly with the rest; None: only ``small-cnn`` without ``weights`` is trained.
        image_size: height and width in pixels; None: the backbone's own (64 for ``small-cnn``, else 224).
        embed: length of the image feature and of a word vector.
        hidden: length of the LSTM's state.
        max_tokens: words a caption has at most, in training (the rest is cut) and in decoding.
        min_count: a word enters the vocabulary when the training captions hold it so often.
        captions_per_image: captions of an image used in one epoch, drawn anew each time; None: all of them.
        epochs: passes over the training captions.
        batch: captions a step.
        optimizer: ``adam``, or ``sgd``: plain SGD as in the published code, whose schedule is ``sgd`` with
            ``pretrain_epochs`` equal to ``epochs`` (5 and 5).
        learning_rate: step size; None: 1e-3 for adam, 0.01 for sgd.
        weight_decay: L2 regularisation, one of the published defences.
        dropout: share of word vectors and LSTM outputs dropped in training.
        pretrain_epochs: epochs of the published pre-training of the image projection, mean exp(1/||f(x)-f(x')||^2).
        pretrain_rate: its SGD learning rate.
        precision: of the matrix products in training; ``auto``: bfloat16 where the processor computes it, which is
            several times faster there, else float32. Weights and sums are float32 in both.
        checkpoint_every: epochs between two checkpoints.
        seed: of the weights, the order and the dropout.
    """

    backbone: BackboneName = "efficientnet-lite0"
    weights: str | None = None
    train_backbone: bool | None = None
    image_size: Size | None = None
    embed: Positive = 256
    hidden: Positive = 512
    max_tokens: Annotated[int, msgspec.Meta(ge=1, le=512)] = 20
    min_count: Positive = 4
    captions_per_image: Positive | None = None
    epochs: Positive = 25
    batch: Annotated[int, msgspec.Meta(ge=2)] = 128
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: Rate | None = None
    weight_decay: NotNegative = 0.0
    dropout: Share = 0.0
    pretrain_epochs: Count = 0
    pretrain_rate: Rate = 0.01
    precision: Precision = "auto"
    checkpoint_every: Positive = 5
    seed: Count = 0


class TowerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the two encoder towers are built and trained.

    Attributes:
        backbone: the image network.
        weights: its weights, as for the captioner.
        train_backbone: train it with the towers; None: only ``small-cnn`` without ``weights`` is.
        image_size: height and width in pixels; None: the backbone's own.
        dim: length of the common vectors.
        text_hidden: width of the text tower's middle layer.
        max_tokens: words of a caption that are counted.
        min_count: a word enters the vocabulary when the encoder captions hold it so often.
        objective: ``mse``, as published, or ``contrastive`` (InfoNCE), whose vectors align image and text far better.
        temperature: of the contrastive objective.
        epochs: passes; in ``mse`` each updates the image tower first and the text tower then.
        batch: image-caption pairs a step.
        learning_rate: of Adam.
        weight_decay: L2 regularisation.
        dropout: share of inputs dropped in both towers in training.
        checkpoint_every: epochs between two checkpoints.
        seed: of the weights, the order and the dropout.
    """

    backbone: BackboneName = "efficientnet-lite0"
    weights: str | None = None
    train_backbone: bool | None = None
    image_size: Size | None = None
    dim: Positive = 256
    text_hidden: Positive = 512
    max_tokens: Annotated[int, msgspec.Meta(ge=1, le=512)] = 40
    min_count: Positive = 4
    objective: Literal["contrastive", "mse"] = "contrastive"
    temperature: Rate = 0.1
    epochs: Positive = 20
    batch: Annotated[int, msgspec.Meta(ge=2)] = 128
    learning_rate: Rate = 1e-3
    weight_decay: NotNegative = 0.0
    dropout: Share = 0.0
    checkpoint_every: Positive = 5
    seed: Count = 0
