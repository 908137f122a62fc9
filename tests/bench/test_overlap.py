"""The bench of ROUGE and BLEU: every figure of the promise is there, measured or with the reason why not."""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import os
import shutil
from typing import Any

import numpy as np
import pytest

from m4i_fast.bench import agreement as agreements
from m4i_fast.bench import overlap as bench
from m4i_fast.bench import rivals, stall
from m4i_fast.bench.agreement import agreement
from m4i_fast.bench.figures import Agreement, Findings
from m4i_fast.bench.harness import Race, quiet
from m4i_fast.bench.overlap import PROMISED, ROWS, names_of, overlap_bench
from m4i_fast.bench.rivals import DISTRIBUTIONS, RIVALS, encoded
from m4i_fast.bench.texts import Texts, made_captions, made_reports
from m4i_fast.errors import ConfigError
from m4i_fast.kernels import backend
from m4i_fast.text.overlap import overlaps

TARGETS = {
    "strings": ("rows/s", "≥", 2_000_000),
    "strings-ratio": ("x", "≥", 15),
    "prepared": ("rows/s", "≥", 3_500_000),
    "lcs": ("ns/pair", "≤", 8),
    "lcs-ratio": ("x", "≥", 25),
    "statistics": ("ns/pair", "≤", 20),
    "ptb": ("captions/s", "≥", 1_500_000),
    "ptb-ratio": ("x", "≥", 100),
    "reports-ratio": ("x", "≥", 10),
    "threads": ("x", "≥", 1.8),
    "sacrebleu-ratio": ("x", "≥", 100),
    "nltk-ratio": ("x", "≥", 100),
    "nearest": ("s", "≤", 3),
    "import": ("ms", "≤", 3),
}


@pytest.fixture(scope="module")
def tiny() -> Findings:
    return overlap_bench(rows=30, rounds=1, least_s=0.0)


def _figure(found: Findings, name: str) -> dict[str, Any]:
    (figure,) = (each.to_dict() for each in found.figures if each.name == name)
    return figure


def test_the_targets() -> None:
    assert {row.name: (row.unit, "≥" if row.at_least else "≤", row.target) for row in PROMISED} == TARGETS
    assert [row.target for row in ROWS if row.name not in TARGETS] == [None] * (len(ROWS) - len(TARGETS))


def test_every_rival_and_backend_has_a_figure() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert {*RIVALS, *(f"backend/{name}" for name in backend.BACKENDS)} <= set(names)
    assert {rival.module for rival in RIVALS.values()} == set(DISTRIBUTIONS)


def test_a_tiny_run_gives_all_figures(tiny: Findings) -> None:
    told = json.loads(json.dumps(tiny.to_dict(), allow_nan=False))
    assert [each["name"] for each in told["figures"]] == [row.name for row in ROWS]
    for each in told["figures"]:
        assert {"name", "value", "unit", "target", "holds"} <= set(each)
        if each["value"] is None:
            assert each["note"].startswith("not measured: ")
            assert each["holds"] is None
        else:
            assert 0 < each["low"] <= each["value"] <= each["high"] < math.inf
            assert each["rounds"] == 1
            if each["target"] is None:
                assert each["holds"] is None
    assert {"cpu", "cores", "clock", "governor", "python", "kernels", "compiler", "date", "load_average"} <= set(
        told["environment"]
    )
    assert told["environment"]["packages"].keys() == set(DISTRIBUTIONS.values())
    assert told["environment"]["captions"].startswith("made captions: 30 rows")
    assert told["method"]["rounds"] == 1


def test_our_own_figures_need_no_rival(tiny: Findings) -> None:
    values = {each.name: each.value for each in tiny.figures}
    assert values["strings"]
    assert values["lcs"]
    assert values["backend/reference"]
    if backend.core_in_use() is not None:
        assert values["import"]
        assert values["nearest"]


def test_rivals_that_are_here_agree(tiny: Findings) -> None:
    compared = {each.rival for each in tiny.agreement}
    measured = {each.name for each in tiny.figures if each.value is not None}
    known = {*RIVALS, *(f"{kind}/{name}" for kind in ("reports", "duplicates") for name in RIVALS)}
    assert compared == measured & known
    assert [each for each in tiny.agreement if each.differ] == []
    assert all(each.compared for each in tiny.agreement)


def test_a_figure_of_less_than_it_says_has_no_verdict(tiny: Findings) -> None:
    if backend.core_in_use() is None:
        pytest.skip("nearest needs the core")
    nearest = _figure(tiny, "nearest")
    assert nearest["holds"] is None
    assert nearest["note"] == "75 captions among 75 only: that is what there are"


def test_what_is_missing_is_told_with_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        rivals.importlib.util,  # type: ignore[attr-defined]
        "find_spec",
        lambda name, package=None: None if name in DISTRIBUTIONS else find(name, package),
    )
    found = overlap_bench(rows=4, rounds=1, least_s=0.0, only=["strings*", "rouge-rust", "nltk"])
    assert _figure(found, "strings")["value"] > 0
    for name, packages in {
        "strings-ratio": ["rouge-score-rs", "rouge-rust"],
        "rouge-rust": ["rouge-rust"],
        "nltk": ["nltk"],
    }.items():
        figure = _figure(found, name)
        assert (figure["value"], figure["holds"]) == (None, None)
        reasons = (f"{each} is not installed. Run: pip install -c constraints.txt '.[bench]'" for each in packages)
        assert figure["note"] == f"not measured: {' '.join(reasons)}"


def test_without_java_its_figures_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pycocoevalcap")
    monkeypatch.setattr(rivals.shutil, "which", lambda _: None)  # type: ignore[attr-defined]
    found = overlap_bench(rows=4, rounds=1, least_s=0.0, only=["java-ptb"])
    assert "Java is not installed" in _figure(found, "java-ptb")["note"]


def test_on_one_core_two_threads_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stall, "cores_here", lambda: (0,))
    found = overlap_bench(rows=4, rounds=1, least_s=0.0, only=["threads"])
    assert _figure(found, "threads")["note"] == "not measured: this process may use one core only."


def test_a_ratio_to_a_rival_that_says_something_else_has_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rapidfuzz")
    monkeypatch.setattr(bench, "agreement", lambda rival, texts: Agreement(rival, "lengths", len(texts), 1))
    found = overlap_bench(rows=4, rounds=1, least_s=0.0, only=["lcs*"])
    assert _figure(found, "lcs")["holds"] is not None
    ratio = _figure(found, "lcs-ratio")
    assert ratio["value"] > 0
    assert ratio["holds"] is None
    assert "rapidfuzz-ids says something else" in ratio["note"]


def test_nothing_is_left_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYON_NUM_THREADS", "3")
    monkeypatch.delenv("M4I_FAST_KERNELS", raising=False)
    before = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    overlap_bench(rows=4, rounds=1, least_s=0.0, only=["backend/*", "lcs"])
    assert os.environ["RAYON_NUM_THREADS"] == "3"
    assert "M4I_FAST_KERNELS" not in os.environ
    assert before == (sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [])


@pytest.mark.parametrize("forced", [None, "reference"])
def test_a_backend_is_timed_as_itself(forced: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(stall, "overlap", lambda *_: seen.append(backend.backend_name()))
    if forced:
        monkeypatch.setenv("M4I_FAST_KERNELS", forced)
    else:
        monkeypatch.delenv("M4I_FAST_KERNELS", raising=False)
    for name in backend.built_backends():
        stall.Stall(made_captions(4)).contender(f"backend/{name}").work()
        assert seen.pop() == name
        assert os.environ.get("M4I_FAST_KERNELS") == forced


def test_units_by_hand() -> None:
    cpu, wall = {"a": np.array([2e-9]), "b": np.array([8e-9])}, {"a": np.array([4e-9]), "b": np.array([8e-9])}
    for unit, value in {"rows/s": 5e8, "ns/pair": 2.0, "ms": 2e-6, "s": 2e-9}.items():
        assert bench._value(bench.Row("a", unit, ""), Race(cpu, wall)).median == pytest.approx(value)
    assert bench._value(bench.Row("c", "x", "", None, "a", ("b",)), Race(cpu, wall)).median == pytest.approx(4)
    assert bench._value(bench.Row("threads", "x", "", None, "a", ("b",)), Race(cpu, wall)).median == pytest.approx(2)


def test_names() -> None:
    assert names_of([]) == [row.name for row in ROWS]
    assert names_of(["lcs*", "import"]) == ["lcs", "lcs-ratio", "import"]
    with pytest.raises(ConfigError, match="'lsc' is no figure") as caught:
        names_of(["lcs", "lsc"])
    assert "strings-ratio" in str(caught.value.cure)


def test_a_backend_that_does_not_run_here_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stall.backend, "built_backends", lambda: ("rapidfuzz", "reference"))
    found = overlap_bench(rows=4, rounds=1, least_s=0.0, only=["backend/avx2", "import", "backend/reference"])
    assert "no such backend" in _figure(found, "backend/avx2")["note"]
    assert _figure(found, "import")["note"] == "not measured: the C++ core is not built."
    assert _figure(found, "backend/reference")["value"] > 0


def test_without_the_core_the_bench_still_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("M4I_FAST_KERNELS", "rapidfuzz")
    found = overlap_bench(rounds=1, least_s=0.0, only=["strings", "statistics", "prepared", "nearest"])
    assert found.environment["kernels"] == "rapidfuzz (as M4I_FAST_KERNELS says)"
    assert found.environment["captions"].startswith("made captions: 100 rows")
    assert [each.value is not None for each in found.figures] == [True, True, True, False]


# --- what rivals are given, and whether a difference would be seen


def test_ids_become_characters() -> None:
    assert encoded([[65, 0], [], [0xD7FF, 0xD800]]) == ["A\0", "", "\ud7ff\ue000"]


@pytest.mark.parametrize("name", sorted(RIVALS))
def test_a_rival_that_differs_would_be_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(RIVALS[name].module)
    if name == "java-ptb" and shutil.which("java") is None:
        pytest.skip("Java is not installed")
    texts = made_captions(24)
    found = agreement(name, texts)
    assert found is not None
    assert found.differ == 0
    assert found.compared > 0

    class Shifted:
        def __init__(self, values: Any) -> None:
            self.values = values * (1 + 1e-6)

    ours, lengths = agreements.overlap, agreements.subsequence_lengths
    monkeypatch.setattr(agreements, "overlap", lambda *a, **b: Shifted(ours(*a, **b).values))
    monkeypatch.setattr(agreements, "subsequence_lengths", lambda *a: lengths(*a) + np.int32(1))
    monkeypatch.setattr(agreements, "ptb_tokenise", lambda captions: [f"{each} x" for each in captions])
    changed = agreement(name, texts)
    assert changed is not None
    assert 0 < changed.differ <= changed.compared == found.compared


@pytest.mark.parametrize("name", sorted(set(RIVALS) - {"java-ptb"}))
def test_what_is_timed_is_what_agrees(name: str) -> None:
    """A contender's answer has a row, or a pair, for each unit that it is credited with."""
    rival = RIVALS[name]
    pytest.importorskip(rival.module)
    contender = rival.contender(name, made_captions(6))
    assert contender.units == (30 if rival.unit == "ns/pair" else 6)
    if contender.reset is not None:
        contender.reset()
    with quiet():
        answer: Any = contender.work()
    pairs = {"rouge-score-rs-batch", "rouge-rust", "rapidfuzz", "rapidfuzz-ids"}
    if name == "rouge-rust":
        assert [len(column) for column in answer] == [30, 30, 30]
    elif name == "pycocoevalcap":
        (_, bleu), (_, rouge) = answer
        assert [len(column) for column in (*bleu, rouge)] == [6] * 5
    else:
        assert len(answer) == (30 if name in pairs else 6)


def test_sacrebleu_is_not_timed_on_texts_that_it_remembers() -> None:
    pytest.importorskip("sacrebleu")
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    contender = RIVALS["sacrebleu"].contender("sacrebleu", made_captions(6))
    assert contender.reset is not None
    contender.work()
    assert Tokenizer13a.__call__.cache_info().currsize > 0
    contender.reset()
    assert Tokenizer13a.__call__.cache_info().currsize == 0


def test_long_texts_meet_the_same_rivals() -> None:
    stalls = stall.Stall(made_captions(4), reports=3)
    assert stalls.texts_of("reports/rouge-rust") == made_reports(3)
    assert stalls.texts_of("rouge-rust") == stalls.captions
    assert isinstance(stalls.texts_of("duplicates"), Texts)
    assert stalls.rival("reports/rouge-rust") == "rouge-rust"
    assert stalls.rival("recipe/sacrebleu") is None


def test_what_is_promised_of_captions_is_what_a_user_can_call() -> None:
    texts = made_captions(30)
    expected = overlaps(texts.hypotheses, texts.references, stall.ALL_SCORES)
    for name in ("strings", "prepared"):
        found: Any = stall.Stall(texts).contender(name).work()
        assert [table.recipe for table in found] == [table.recipe for table in expected]
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one.values, other.values)
