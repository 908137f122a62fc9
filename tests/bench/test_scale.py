"""The bench of several workers: all figures are there, and a rate leaves the start out."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest

from m4i_fast.bench import scale
from m4i_fast.bench.figures import Findings
from m4i_fast.bench.rivals import Unavailable
from m4i_fast.bench.scale import PROMISES, ScaleSizes, scale_bench
from m4i_fast.errors import ConfigError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def _figure(found: Findings, name: str) -> dict[str, Any]:
    (figure,) = (each.to_dict() for each in found.figures if each.name == name)
    return figure


def test_the_targets() -> None:
    assert {each.name: each.target for each in PROMISES if each.target} == {"workers": 1.85, "ray": 0.92}


def test_two_workers_of_a_small_network() -> None:
    for package in ("torch", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    if len(scale.cores_here()) < 2:
        pytest.skip("one core only")
    sizes = ScaleSizes(images=24, rounds=1, backbone="small-cnn", part=4)
    found = scale_bench(sizes=sizes, only=["workers", "images-?", "start-2"])
    assert [each.value is not None and each.value > 0 for each in found.figures] == [True] * 4
    ratio, one, two = (_figure(found, name)["value"] for name in ("workers", "images-1", "images-2"))
    assert ratio == pytest.approx(two / one)


def test_a_rate_begins_when_all_are_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "table"
    table.write_bytes(b"")

    def run(command: list[str], **_: Any) -> Any:
        parts = Path(command[3]) / "generations"
        parts.mkdir()
        for index, second in enumerate((10, 12, 14, 16, 22)):  # the last part ends in its own time
            (parts / f"part-{index:05d}.parquet").write_bytes(b"")
            os.utime(parts / f"part-{index:05d}.parquet", (second, second))
        return type("Done", (), {"returncode": 0, "stdout": '{"rows": 50}\n', "stderr": ""})

    monkeypatch.setattr(scale.subprocess, "run", run)  # type: ignore[attr-defined]
    monkeypatch.setattr(scale.time, "time", lambda: 3.0)  # type: ignore[attr-defined]
    folder = tmp_path / "run"
    folder.mkdir()
    took = scale._ran(folder, Path("e.onnx"), table, "workers", 2, 10)
    assert took.rate == pytest.approx(30 / (22 - 12))
    assert took.start_s == pytest.approx(12 - 3)
    (tmp_path / "other").mkdir()
    with pytest.raises(Unavailable, match="too few"):
        scale._ran(tmp_path / "other", Path("e.onnx"), table, "workers", 3, 10)


def test_without_ray_its_figures_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, package=None: None if name == "ray" else find(name, package)
    )
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    found = scale_bench(sizes=ScaleSizes(images=4, rounds=1), only=["ray", "start-ray"])
    for each in found.figures:
        assert each.value is None
        assert each.note.startswith("not measured: ")
        assert "'.[ray]'" in each.note


def test_few_images_have_no_verdict_and_no_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    took = scale._Took(10.0, 1.0)
    bench = scale._Bench(Path(), ScaleSizes(images=100), None)
    bench._took = {"workers-2": [took], "ray-2": [took]}
    monkeypatch.setattr(scale, "require", lambda *_, **__: None)
    told = bench.ray()["ray"]
    assert (told.spread.median, told.comparable, told.note) == (1.0, False, "100 images in place of 3,000")
    with pytest.raises(ConfigError, match="'rays' is no figure"):
        scale_bench(only=["rays"])
