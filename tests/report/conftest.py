"""A small run folder with hostile texts in it, made from arrays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from m4i_fast import tables
from m4i_fast.report.curves import write_curves
from m4i_fast.report.schema import Provenance, Result, result_from, write_result
from m4i_fast.stats.set_level import Power, SetLevel
from m4i_fast.types import (
    AttackResult,
    Estimate,
    Generations,
    Membership,
    MembershipScores,
    OverlapScores,
    Record,
    RocCurve,
    Verdict,
)

HOSTILE = [
    "<script>alert(1)</script>",
    "\x1b]0;owned\x07\x1b[31mred\x1b[0m bell\x07 nul\x00",
    "=cmd|'/C calc'!A0",
    "right\u202eto left",
    '"><img src=x onerror=alert(2)>',
    "{{ 7 * 7 }} $\\frac{1}{0}$ &amp; </style></svg>",
]
ROWS = 24


def _judged(name: str, auc: float, *notes: str) -> AttackResult:
    half = Estimate(0.5, 0.4, 0.6)
    curve = RocCurve(np.array([0.0, 0.0, 0.25, 1.0]), np.array([0.0, 0.5, 0.75, 1.0]))
    rates = {"0.1": half, "0.01": half, "0.001": None}
    return AttackResult(name, Estimate(auc, auc - 0.02, auc + 0.02), half, rates, notes, curve)


def half(value: float) -> Estimate:
    """Something with an interval around it."""
    return Estimate(value, value / 2, (1 + value) / 2)


def _result_of(kind: str = "leak", *, blind: float = 0.5, reasons: tuple[str, ...] = ("Because.",)) -> Result:
    return result_from(
        [_judged("both", 0.9, "No figure at 0.1 %"), _judged("fb_mlp", 0.6, "No figure at 0.1 %")],
        [_judged("text", blind)],
        Verdict(kind, reasons),
        comparisons={"both": Estimate(0.4, 0.35, 0.45)},
        counts={"records": ROWS, "members": ROWS // 2, "non_members": ROWS // 2},
        recipes={"overlap": "rouge_l|recipe:coco"},
        provenance=Provenance(seed=7, versions={"numpy": "2"}, wall_s={"query": 1.5}, created="2025-01-31T12:00:00Z"),
        sets={"both": SetLevel(3e-9, (Power(5, half(0.4), half(0.012)), Power(20, half(0.97), half(0.009))))},
        unread={"<b>bad</b>": HOSTILE[1], "x2": HOSTILE[0]},
        settings={"seed": 7, "endpoint": {"api_key": "hunter2", "max_tokens": 20}},
    )


@pytest.fixture
def result_of() -> Callable[..., Result]:
    """``result_of(kind, blind=AUC of the blind baseline, reasons=...)``."""
    return _result_of


@pytest.fixture
def judged() -> Callable[..., AttackResult]:
    """``judged(name, auc, *notes)``."""
    return _judged


@pytest.fixture
def hostile() -> list[str]:
    return HOSTILE


@pytest.fixture
def membership() -> Membership:
    return Membership(tuple(_ids()), np.arange(ROWS) < ROWS // 2)


def _ids() -> list[str]:
    return HOSTILE + [f"r{index}" for index in range(len(HOSTILE), ROWS)]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Records 0 and 1 have good pictures, the others none; texts of the first six are hostile."""
    folder = tmp_path / "run"
    folder.mkdir()
    for index in range(2):
        Image.new("RGB", (300, 200), (200, 40 * index, 30)).save(folder / f"{index}.jpg")
    (folder / "2.jpg").write_bytes(b"no picture at all")
    names = _ids()
    records = [Record(id_, str(folder / f"{row}.jpg"), (HOSTILE[row % 6], "a dog")) for row, id_ in enumerate(names)]
    scores = np.linspace(1.0, 0.0, ROWS)
    tables.write_records(folder / "records.parquet", records)
    tables.write_generations(
        folder / "generations/part-00000.parquet",
        Generations(
            tuple(names),
            tuple(HOSTILE[row % 6] if row else "A DOG." for row in range(ROWS)),
            np.ones((ROWS, 3), np.int32),
            np.full(ROWS, 3, np.int32),
            None,
            (None,) * ROWS,
        ),
    )
    tables.write_overlap(
        folder / "overlap.parquet", OverlapScores(tuple(names), ("rouge_l",), scores[:, None], "rouge_l|recipe:coco")
    )
    tables.write_scores(
        folder / "scores.parquet",
        [MembershipScores("both", tuple(names), scores, 0.4), MembershipScores("fb_mlp", tuple(names), -scores)],
    )
    result = _result_of(reasons=("Because.", HOSTILE[0]))
    curve = RocCurve(np.array([0.0, 0.1, 1.0]), np.array([0.0, 0.6, 1.0]))
    write_curves(folder / "curves.parquet", {"both": curve, "fb_mlp": curve, "text": curve})
    (folder / "settings.toml").write_text('seed = 7\n[endpoint]\napi_key = "hunter2"\nname = "<script>"\n')
    write_result(folder / "result.json", result)
    return folder
