"""Training a captioner or the towers on the members of a set, from the command line or within an audit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from m4i_fast.config import convert
from m4i_fast.errors import DataError
from m4i_fast.extras import require
from m4i_fast.runs import Run, StageReport, stage
from m4i_fast.stages.records import load_records
from m4i_fast.stages.settings import DataSettings
from m4i_fast.train.settings import CaptionerSettings, TowerSettings
from m4i_fast.types import Record

__all__ = ["train_captioner_alone", "train_encoders_alone", "train_stage", "training_records"]


def train_captioner_alone(
    data: DataSettings,
    out: Path,
    values: Mapping[str, Any],
    *,
    only: Path | None = None,
    membership: Path | None = None,
    where: object = "train",
    cache: Path | None = None,
) -> dict[str, Any]:
    """Train a captioner on ``data`` (or the ids in ``only``, or the members in ``membership``); gives its report."""
    settings = convert(values, CaptionerSettings, where=where)
    require("torch", why="training a captioner")
    from m4i_fast.train.captioner import train_captioner

    records = training_records(data, only=only, membership=membership)
    return _facts(train_captioner(records, out, settings, cache=cache))


def train_encoders_alone(
    data: DataSettings,
    out: Path,
    values: Mapping[str, Any],
    *,
    only: Path | None = None,
    membership: Path | None = None,
    where: object = "train",
    cache: Path | None = None,
) -> dict[str, Any]:
    """Train the two encoder towers; the data as for a captioner."""
    settings = convert(values, TowerSettings, where=where)
    require("torch", why="training the encoder towers")
    from m4i_fast.train.encoders import train_encoders

    records = training_records(data, only=only, membership=membership)
    return _facts(train_encoders(records, out, settings, cache=cache))


def train_stage(
    run: Run,
    name: str,
    train: Callable[..., dict[str, Any]],
    data: DataSettings,
    values: Mapping[str, Any],
    *,
    membership: Path | None = None,
    cache: Path | None = None,
) -> StageReport:
    """A training as a stage of an audit: ``models/<name>``, with its wall time and hashes in the run's stamps.

    Args:
        run: the audit's run.
        name: of the side, ``target``, ``shadow`` or ``encoders``.
        train: ``train_captioner_alone`` or ``train_encoders_alone``; it goes on at its last checkpoint by itself.
        data: what to train on.
        values: settings of the training.
        membership: labels whose members are trained on; None: all of ``data``.
        cache: folder of frozen features.
    """
    import msgspec

    inputs = {role: path for role, path in {"data": Path(data.path), "membership": membership}.items() if path}
    return stage(
        run,
        f"train-{name}",
        settings={"data": msgspec.to_builtins(data), "train": dict(values)},
        inputs={role: path for role, path in inputs.items() if path.is_file()},
        outputs=[f"models/{name}/model.safetensors"],
        work=lambda: train(
            data, run.path(f"models/{name}"), values, membership=membership, where=f"{name}.train", cache=cache
        ),
    )


def training_records(data: DataSettings, *, only: Path | None, membership: Path | None) -> list[Record]:
    """The records to train on.

    Raises:
        DataError: an id in ``only`` is of no record, or nothing is left.
    """
    from m4i_fast.data.labels import read_ids, read_membership_file

    records = load_records(data)
    if membership is not None:
        labels = read_membership_file(membership)
        members = {identity for identity, member in zip(labels.ids, labels.is_member, strict=True) if member}
        records = [record for record in records if record.id in members]
    if only is not None:
        wanted = set(read_ids(only))
        unknown = sorted(wanted - {record.id for record in records})
        if unknown:
            raise DataError(f"{len(unknown)} ids are of no record, the first is '{unknown[0]}'", where=only)
        records = [record for record in records if record.id in wanted]
    if not records:
        raise DataError("no record is left to train on", where=data.path, cure="Check the ids and labels given.")
    return records


def _facts(report: Any) -> dict[str, Any]:
    import msgspec

    facts: dict[str, Any] = msgspec.to_builtins(report, enc_hook=str)  # str: for the paths in it
    losses = facts.pop("losses")
    return facts | {"last_loss": round(losses[-1], 4) if losses else None}
