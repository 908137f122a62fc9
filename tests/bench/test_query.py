"""The bench of queries: every figure of the promise is there, measured or with the reason why not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from m4i_fast.bench import answering, materials, query
from m4i_fast.bench.answering import answer_all, free_captioner
from m4i_fast.bench.figures import Findings
from m4i_fast.bench.loopback import LATENCY_S, asked, serving
from m4i_fast.bench.promises import Found, Promise, chosen, figures_of
from m4i_fast.bench.query import PROMISES, Sizes, query_bench
from m4i_fast.bench.rivals import Unavailable
from m4i_fast.errors import ConfigError, DataError
from m4i_fast.query.records import FiledRecords
from m4i_fast.runs import open_run
from m4i_fast.tables import read_generations
from m4i_fast.types import Record

TARGETS = {
    "whole-path": ("x", True, 0.95),
    "plain-script": ("x", True, 2.0),
    "endpoint": ("x", True, 0.90),
    "overhead": ("us/record", False, 30),
    "resume": ("s", False, 5),
    "memory": ("x", False, 1.1),
    "memory-peak": ("MB", False, 700),
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def _figure(found: Findings, name: str) -> dict[str, Any]:
    (figure,) = (each.to_dict() for each in found.figures if each.name == name)
    return figure


def test_the_targets() -> None:
    promised = {each.name: (each.unit, each.at_least, each.target) for each in PROMISES if each.target is not None}
    assert promised == TARGETS


def test_paths_of_a_small_network() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    sizes = Sizes(images=6, rounds=1, backbone="small-cnn")
    found = query_bench(sizes=sizes, only=["whole-path*", "plain-script", "images*"])
    assert [each.name for each in found.figures] == [
        "whole-path", "plain-script", "whole-path-cpu", "images", "images-bare", "images-script",
    ]  # fmt: skip
    assert all(each.value is not None and each.value > 0 for each in found.figures)
    (compared,) = found.agreement
    assert (compared.rival, compared.compared, compared.differ) == ("plain-script", 6, 0)
    assert found.environment["pictures"] == "6 drawn, 500 x 375 pixels"
    assert found.method["rounds"] == 1
    ratio, whole, bare = (_figure(found, name)["value"] for name in ("whole-path", "images", "images-bare"))
    assert ratio == pytest.approx(whole / bare)


def test_a_script_that_says_something_else_has_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Found(query.spread([3.0]), "it says something else", comparable=False)
    (figure,) = figures_of([PROMISES[1]], {"paths": lambda: {"plain-script": told}})
    assert (figure.value, figure.holds, figure.note) == (3.0, None, "it says something else")


def test_long_runs_that_are_short() -> None:
    found = query_bench(sizes=Sizes(records=2048, rounds=1), only=["resume*", "memory*", "overhead*"])
    for each in found.figures:
        assert each.value is not None
        assert each.value > 0
    assert _figure(found, "resume")["holds"] is None, "two thousand records are no million"
    assert "2,048 records in place of 1,000,000" in _figure(found, "memory")["note"]
    assert _figure(found, "overhead")["note"].startswith("204 records")


def test_an_endpoint() -> None:
    pytest.importorskip("httptools")
    if len(query.cores_here()) < 2:
        pytest.skip("one core only")
    found = query_bench(sizes=Sizes(queries=300, rounds=1), only=["endpoint", "queries"])
    ratio, rate = (_figure(found, name)["value"] for name in ("endpoint", "queries"))
    assert 0 < ratio < 1
    assert ratio == pytest.approx(rate / 4000)
    assert _figure(found, "endpoint")["note"].endswith("0 refused")


def test_the_endpoint_takes_its_time(tmp_path: Path) -> None:
    pytest.importorskip("httptools")
    materials.table_of(tmp_path / "records.parquet", 8, materials.drawn_photos(2, size=(32, 24)))
    cores = query.cores_here()
    with serving(cores[:1]) as port:
        told = asked(port, tmp_path, cores[-1:])
    assert told["queries"] == 8
    # One after the other: two looks of the canary, six questions, the other two, and the last look. (Six: the limit is
    # four at first, and each look raises it by one.)
    assert told["wall_s"] > 5 * LATENCY_S
    said = read_generations(sorted((tmp_path / "generations").glob("*.parquet")))
    assert set(said.texts) == {"a brown dog runs along a wide beach with a red ball"}


def test_the_free_engine_goes_the_whole_way(tmp_path: Path) -> None:
    table = materials.table_of(tmp_path / "records.parquet", 1500)
    with open_run(tmp_path) as run:
        clock = answer_all(
            run, FiledRecords(table), free_captioner(), decode_threads=1, work=answering._free_pictures, stop=1100
        )
        assert clock.write_s > 0
        assert [path.name for path in (tmp_path / "generations").iterdir()] == ["part-00000.parquet"]
    # The first question of what is left, in a process that ends there; it changes nothing.
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-m", "m4i_fast.bench.answering", str(tmp_path), "0", "first"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(done.stdout)["rows"] == 32 - 1120 % 32
    with open_run(tmp_path) as run:
        answer_all(run, FiledRecords(table), free_captioner(), decode_threads=1, work=answering._free_pictures)
    said = read_generations(sorted((tmp_path / "generations").glob("*.parquet")))
    assert len(said.texts) == 1500
    assert all(len(text.split()) == 12 for text in said.texts)


def test_what_cannot_be_measured_says_why() -> None:
    def absent() -> dict[str, Found]:
        raise Unavailable("there is no moon.")

    def wrong() -> dict[str, Found]:
        raise DataError("no such file", cure="Make it.")

    rows = [Promise("tide", "moon", "x", "", 1.0), Promise("file", "disk", "s", "")]
    tide, file = figures_of(rows, {"moon": absent, "disk": wrong})
    assert (tide.value, tide.holds, tide.target, tide.note) == (None, None, 1.0, "not measured: there is no moon.")
    assert file.note == "not measured: no such file. Make it."


def test_one_core_and_too_few_pictures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(query, "cores_here", lambda: (0,))
    found = query_bench([Record("a", str(tmp_path / "a.jpg"))], sizes=Sizes(images=2), only=["endpoint", "ready"])
    assert "one core only" in _figure(found, "endpoint")["note"]
    assert _figure(found, "ready")["note"] == "not measured: 2 pictures are wanted, and there are 1: see --images."


def test_names() -> None:
    assert [each.name for each in chosen(["memory*"], PROMISES)] == ["memory", "memory-peak"]
    with pytest.raises(ConfigError, match="'speed' is no figure"):
        chosen(["speed"], PROMISES)


def test_photos_are_drawn_once_and_alike() -> None:
    first = materials.drawn_photos(4)
    sizes = []
    for path in first:
        with Image.open(path) as picture:
            sizes.append(picture.size)
    assert sizes == [(375, 500), (500, 375), (500, 375), (375, 500)]
    assert all(25_000 < path.stat().st_size < 160_000 for path in first)
    before = [path.stat().st_mtime_ns for path in first]
    assert [path.stat().st_mtime_ns for path in materials.drawn_photos(4)] == before
    assert len({path.read_bytes() for path in first}) == 4
    pixels = materials._drawn(50, 40, 7)
    np.testing.assert_array_equal(pixels, materials._drawn(50, 40, 7))
