"""``m4i-fast train captioner`` and ``train encoders``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from m4i_fast.cli import options

__all__ = ["app", "captioner", "encoders"]

app = typer.Typer(help="Train a captioner or the two encoder towers (extra: train).", no_args_is_help=True)


class Backbone(StrEnum):
    """Image networks."""

    small_cnn = "small-cnn"
    efficientnet_lite0 = "efficientnet-lite0"
    resnet18 = "resnet18"
    resnet34 = "resnet34"
    resnet50 = "resnet50"
    resnet101 = "resnet101"
    resnet152 = "resnet152"
    vgg16 = "vgg16"


class Objective(StrEnum):
    """What the towers learn."""

    contrastive = "contrastive"
    mse = "mse"


class Optimizer(StrEnum):
    """Steps of the training."""

    adam = "adam"
    sgd = "sgd"


BackboneOption = Annotated[
    Backbone | None,
    typer.Option(help="Image network; small-cnn is trained here, efficientnet-lite0 brings ImageNet weights."),
]
Weights = Annotated[
    Path | None,
    typer.Option(help="Its weights: .safetensors, or .pth with tensors only.", show_default=False),
]
Only = Annotated[Path | None, typer.Option(help="Train on the ids in this file only (one a line).", show_default=False)]
Labels = Annotated[
    Path | None,
    typer.Option(help="Train on the members in these labels only (CSV 'id,is_member' or Parquet).", show_default=False),
]
Assign = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any other setting, for example dropout=0.5 (repeatable)."),
]
SettingsFile = Annotated[
    Path | None, typer.Option("--settings", help="Settings as TOML; flags win.", show_default=False)
]


@app.command("captioner", short_help="Train a Show-and-Tell captioner.")
def captioner(
    data: options.DataFile,
    out: Annotated[Path, typer.Option(help="Checkpoint folder. The same command goes on where it stood.")],
    only: Only = None,
    membership: Labels = None,
    backbone: BackboneOption = None,
    weights: Weights = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the captions. [default: 25]")] = None,
    optimizer: Annotated[Optimizer | None, typer.Option(help="[default: adam]")] = None,
    dropout: Annotated[float | None, typer.Option(min=0, max=0.99, help="A regulariser. [default: 0]")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="[default: 0]")] = None,
    settings: SettingsFile = None,
    assign: Assign = None,
    images: options.Images = None,
    format: options.Format = "auto",  # noqa: A002 - the option's name
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a Show-and-Tell captioner: frozen (or small, trained) image network, LSTM 512.

    Writes model.safetensors and captioner.json; features of a frozen network are cached, so that epochs cost seconds.
    """
    from m4i_fast.stages.train import train_captioner_alone

    flags = {
        "backbone": backbone.value if backbone else None,
        "weights": str(weights) if weights else None,
        "epochs": epochs,
        "optimizer": optimizer.value if optimizer else None,
        "dropout": dropout,
        "seed": seed,
    }
    _train(train_captioner_alone, data, out, only, membership, settings, flags, assign, images, format, json, quiet)


@app.command("encoders", short_help="Train the image and text towers.")
def encoders(
    data: options.DataFile,
    out: Annotated[Path, typer.Option(help="Checkpoint folder. The same command goes on where it stood.")],
    only: Only = None,
    membership: Labels = None,
    backbone: BackboneOption = None,
    weights: Weights = None,
    objective: Annotated[
        Objective | None, typer.Option(help="mse as published, or contrastive. [default: contrastive]")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the pairs. [default: 20]")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="[default: 0]")] = None,
    settings: SettingsFile = None,
    assign: Assign = None,
    images: options.Images = None,
    format: options.Format = "auto",  # noqa: A002 - the option's name
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train the image and text towers of the feature-based attack, on records that neither target nor shadow saw."""
    from m4i_fast.stages.train import train_encoders_alone

    flags = {
        "backbone": backbone.value if backbone else None,
        "weights": str(weights) if weights else None,
        "objective": objective.value if objective else None,
        "epochs": epochs,
        "seed": seed,
    }
    _train(train_encoders_alone, data, out, only, membership, settings, flags, assign, images, format, json, quiet)


def _train(
    work: Any,
    data: str,
    out: Path,
    only: Path | None,
    membership: Path | None,
    settings: Path | None,
    flags: dict[str, Any],
    assign: list[str] | None,
    images: str | None,
    form: str,
    json: bool,
    quiet: bool,
) -> None:
    from m4i_fast.cli import render
    from m4i_fast.config import merge, parse_assignment, read_toml
    from m4i_fast.progress import hush
    from m4i_fast.stages.settings import DataSettings

    hush(quiet or json)
    base = read_toml(settings) if settings else {}
    merged = merge(base, *(parse_assignment(text) for text in assign or ()), flags)
    source = DataSettings(path=data, images=images, format=form)
    facts = work(source, out, merged, only=only, membership=membership, where=settings or "the command line")
    if json:
        render.emit_json(facts)
    else:
        render.facts("", facts)
        print(f"next: m4i-fast export {out} --out ENGINE")
