"""The demonstration: three audits of captioners that are trained here, on pictures that are drawn here.

One target memorises, one is held back, and the last audit asks the latter about non-members from another distribution.
Nothing is told in advance: each verdict is what the audit finds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from m4i_fast.config import write_toml
from m4i_fast.progress import say
from m4i_fast.runs import Run, open_run
from m4i_fast.stages.settings import DataSettings
from m4i_fast.types import Membership

__all__ = ["AUDITS", "run_demo"]

SIZE = 64
"""Height and width of a scene in pixels."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A range of scenes: ``start`` .. ``start + count`` of a world."""

    world: str
    start: int
    count: int


PARTS = {
    "overfitted_member": _Part("plain", 0, 500),
    "overfitted_nonmember": _Part("plain", 500, 500),
    "shadow_member": _Part("plain", 1000, 500),
    "shadow_nonmember": _Part("plain", 1500, 500),
    "encoder": _Part("plain", 2000, 1000),
    "generalising_member": _Part("plain", 3000, 2000),
    "generalising_nonmember": _Part("plain", 5000, 500),
    "shifted_nonmember": _Part("shifted", 0, 500),
}
"""Disjoint sets: no scene is drawn twice."""

TRAININGS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "overfitted": ("overfitted_member", {"epochs": 40}),
    "shadow": ("shadow_member", {"epochs": 40}),
    "generalising": ("generalising_member", {"epochs": 5, "dropout": 0.5}),
}
"""By captioner: what it is trained on and how, over the settings common to all."""

CAPTIONER: dict[str, Any] = {
    "backbone": "small-cnn",
    "image_size": SIZE,
    "embed": 128,
    "hidden": 256,
    "checkpoint_every": 1000,
}
TOWERS: dict[str, Any] = {"backbone": "small-cnn", "image_size": SIZE, "epochs": 12, "checkpoint_every": 1000}

AUDITS: Mapping[str, tuple[str, str, str, int]] = {
    "overfitted": ("overfitted", "overfitted_member", "overfitted_nonmember", 500),
    "generalising": ("generalising", "generalising_member", "generalising_nonmember", 500),
    "shifted": ("generalising", "generalising_member", "shifted_nonmember", 500),
}
"""By audit: the target, the parts that its members and non-members come from, and how many of each are asked about."""


def run_demo(out: Path, *, seed: int) -> dict[str, dict[str, Any]]:
    """Draw, train, export and audit into ``out``; gives each audit's ``result.json`` by name.

    Stopped or killed, the same call goes on where it stood.
    """
    from m4i_fast.extras import require
    from m4i_fast.stages.audit import load_settings, run_audit
    from m4i_fast.stages.export import export_stage
    from m4i_fast.stages.train import train_captioner_alone, train_encoders_alone

    for package in ("torch", "onnxscript", "onnx", "onnxruntime"):
        require(package, why="the demonstration")
    with open_run(out) as run:
        for name, part in PARTS.items():
            _draw(run, name, part, seed)
        for name, (members, settings) in TRAININGS.items():
            say(f"training the captioner '{name}'")
            checkpoint = run.path(f"models/{name}")
            train_captioner_alone(_data(run, members), checkpoint, CAPTIONER | settings | {"seed": seed})
            export_stage(run, f"export-{name}", checkpoint, run.path(f"engines/{name}.onnx"))
        say("training the encoder towers")
        towers = run.path("models/encoders")
        train_encoders_alone(_data(run, "encoder"), towers, TOWERS | {"seed": seed})
        export_stage(run, "export-encoders", towers, run.path("engines/encoders"))
        results = {}
        for name, (target, members, non_members, count) in AUDITS.items():
            say(f"auditing '{name}'")
            file = _write_audit(run, name, target, members, non_members, count, seed)
            results[name] = run_audit(load_settings(file))
        return results


def _data(run: Run, part: str) -> DataSettings:
    return DataSettings(path=str(run.path(f"data/{part}/captions.json")), format="coco")


def _draw(run: Run, name: str, part: _Part, seed: int) -> None:
    from m4i_fast.data.scenes import write_scenes
    from m4i_fast.runs import stage

    folder = run.path(f"data/{name}")
    settings: dict[str, Any] = {
        "world": part.world,
        "start": part.start,
        "count": part.count,
        "seed": seed,
        "size": SIZE,
    }
    stage(
        run,
        f"draw-{name}",
        settings=settings,
        inputs={},
        outputs=[f"data/{name}/captions.json"],
        work=lambda: _written(write_scenes(folder, prefix=f"{part.world}-", **settings)),
    )


def _written(path: Path) -> dict[str, Any]:
    return {"written": path.name}


def _write_audit(run: Run, name: str, target: str, members: str, non_members: str, count: int, seed: int) -> Path:
    """The audit's own settings file, with its records and labels beside it: it can be run again by itself."""
    from m4i_fast.data.readers import read_records
    from m4i_fast.tables import write_membership, write_records

    sides = {
        "target": (members, non_members, count),
        "shadow": ("shadow_member", "shadow_nonmember", PARTS["shadow_member"].count),
    }
    for side, (inside, outside, wanted) in sides.items():
        rng = np.random.default_rng([seed, len(side)])
        chosen, flags = [], []
        for part, member in ((inside, True), (outside, False)):
            records = read_records(Path(_data(run, part).path))
            rows = np.sort(rng.choice(len(records), size=min(wanted, len(records)), replace=False))
            chosen += [records[row] for row in rows]
            flags += [member] * len(rows)
        folder = run.path(f"{name}/data/{side}")
        write_records(folder / "records.parquet", chosen)
        write_membership(
            folder / "membership.parquet",
            Membership(tuple(record.id for record in chosen), np.array(flags, np.bool_)),
        )
    path = run.path(f"{name}/audit.toml")
    write_toml(
        path,
        {
            "out": ".",
            "title": name,
            "seed": seed,
            "target": {
                "engine": f"../engines/{target}.onnx",
                "data": {"path": "data/target/records.parquet"},
                "membership": "data/target/membership.parquet",
            },
            "shadow": {
                "engine": "../engines/shadow.onnx",
                "data": {"path": "data/shadow/records.parquet"},
                "membership": "data/shadow/membership.parquet",
            },
            "encoders": {"folder": "../engines/encoders"},
        },
    )
    return path
