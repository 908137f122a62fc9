"""The whole walk through the command line: every stage command on engines that the commands themselves made."""

import csv
import json
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

from m4i_fast.tables import read_scores
from tests.cli.conftest import House, m4i, m4i_command

ATTACKS = ["mb_threshold", "mb_svm", "fb_mlp", "both"]


@pytest.fixture(scope="module")
def walked(house: House, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run made by the stage commands one after another; until ``evaluate`` the target's labels lie nowhere near."""
    root = tmp_path_factory.mktemp("walk")
    split = root / "split"
    shutil.copytree(house.split, split)
    labels = root / "hidden" / "labels.parquet"
    labels.parent.mkdir()
    (split / "target/membership.parquet").rename(labels)
    (split / "split.json").unlink()
    shutil.rmtree(split / "ids")
    run, shadow = root / "run", root / "run/shadow"
    steps: list[tuple[object, ...]] = [
        ("query", split / "target/records.parquet", "--engine", house.engines / "target.onnx", "--out", run),
        ("query", split / "shadow/records.parquet", "--engine", house.engines / "shadow.onnx", "--out", shadow),
        *(("overlap", each) for each in (run, shadow)),
        *(("encode", each, "--encoders", house.engines / "encoders") for each in (run, shadow)),
        ("attack", "fit", shadow, "--membership", split / "shadow/membership.parquet", "--out", root / "heads"),
        ("attack", "score", run, "--heads", root / "heads"),
    ]
    for step in steps:
        assert not m4i(*step, "--json").json["kept"], step
    labels.rename(split / "target/membership.parquet")
    last = m4i("evaluate", run, "--membership", split / "target/membership.parquet", "--json")
    assert last.json == json.loads((run / "result.json").read_text())
    assert m4i("report", run, "--json").json["kept"] is False
    return run


def test_the_result_holds_what_it_must(walked: Path) -> None:
    result = json.loads((walked / "result.json").read_text())
    assert result["verdict"]["kind"] in {"leak", "no_evidence", "invalid"}
    assert result["verdict"]["reasons"]
    assert list(result["attacks"]) == ATTACKS
    assert list(result["blind"]) == ["text", "image", "text+image", "file"]
    for each in [*result["attacks"].values(), *result["blind"].values()]:
        for figure in (each["auc"], each["balanced_accuracy"], each["tpr_at_fpr"]["0.1"]):
            assert 0 <= figure["low"] <= figure["value"] <= figure["high"] <= 1
        # 40 non-members cannot show one false alarm in 1,000: null, and the reason beside it.
        assert each["tpr_at_fpr"]["0.001"] is None
        assert any("0.1% FPR is not given" in note for note in each["notes"])
    for each in result["attacks"].values():
        # 40 known non-members are a test, and no curve.
        assert 0 < each["as_set"]["p_value"] < 1
        assert each["as_set"]["power"] == []
    assert (result["counts"]["members"], result["counts"]["non_members"]) == (40, 40)
    assert result["recipes"]["overlap"].startswith("recipe:coco|tok:words|refs:max")
    provenance = result["provenance"]
    assert provenance["seed"] == 0
    assert len(provenance["hashes"]["query: engine"]) == 64
    assert provenance["wall_s"]["query"] > 0
    assert {"m4i-fast", "onnxruntime", "python"} <= provenance["versions"].keys()


def test_a_bound_on_epsilon_from_the_same_scores(walked: Path) -> None:
    labels = walked.parent / "split/target/membership.parquet"
    done = m4i("attack", "epsilon", walked, "--membership", labels, "--json").json
    assert list(done["bounds"]) == ATTACKS
    assert json.loads((walked / "epsilon.json").read_text())["bounds"] == done["bounds"]
    assert all(bound["epsilon"] >= 0 and bound["records"] == 80 for bound in done["bounds"].values())
    one = m4i("attack", "epsilon", walked, "--membership", labels, "--attack", "mb_svm", "--delta", "1e-6").out
    assert "mb_svm" in one
    assert "epsilon" in one
    refused = m4i("attack", "epsilon", walked, "--membership", labels, "--attack", "lira")
    assert refused.code == 2
    assert "'lira' has no scores" in refused.err
    refused = m4i("attack", "epsilon", walked, "--membership", labels, "--delta", "2")
    assert refused.code == 2
    assert "2.0 is no delta" in refused.err


def test_the_table_has_a_row_a_record(walked: Path) -> None:
    with (walked / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 80
    assert {"id", "is_member", "score:mb_threshold", "score:both", "rouge_l"} <= rows[0].keys()
    page = (walked / "report.html").read_text()
    assert "Content-Security-Policy" in page
    assert rows[0]["id"] in {row["id"] for row in rows}


@pytest.mark.parametrize(
    "command",
    [("overlap", "RUN"), ("attack", "score", "RUN", "--heads", "HEADS")],
    ids=" ".join,
)
def test_what_stands_is_kept(command: tuple[str, ...], walked: Path) -> None:
    names = {"RUN": walked, "HEADS": walked.parent / "heads"}
    before = (walked / "scores.parquet").stat().st_mtime_ns
    assert m4i(*(names.get(each, each) for each in command), "--json").json["kept"] is True
    assert "already done, kept" in m4i(*(names.get(each, each) for each in command)).out
    assert (walked / "scores.parquet").stat().st_mtime_ns == before
    assert m4i("report", walked, "--json").json["kept"] is True


def test_for_people_the_same_in_words(walked: Path) -> None:
    labels = walked.parent / "split/target/membership.parquet"
    said = m4i("evaluate", walked, "--membership", labels).out
    assert "verdict: " in said
    for name in [*ATTACKS, "blind: text"]:
        assert name in said


def _audit_file(folder: Path, house: House, **settings: Any) -> Path:
    side = {
        name: {
            "engine": str(house.engines / f"{name}.onnx"),
            "data": {"path": str(house.split / name / "records.parquet")},
            "membership": str(house.split / name / "membership.parquet"),
        }
        for name in ("target", "shadow")
    }
    path = folder / "audit.toml"
    values = {"out": "run", "encoders": {"folder": str(house.engines / "encoders")}} | side | settings
    path.write_text(tomli_w.dumps(values))
    return path


def _stamps(run: Path) -> dict[str, float]:
    paths = [*run.glob("stages/*.json"), *run.glob("shadow/stages/*.json"), *run.glob("heads/stages/*.json")]
    return {path.relative_to(run).as_posix(): json.loads(path.read_text())["ended"] for path in paths}


def _redone(before: dict[str, float], after: dict[str, float]) -> set[str]:
    return {name for name, ended in after.items() if before.get(name) != ended}


def test_one_file_does_the_same_as_the_stages(house: House, walked: Path, tmp_path: Path) -> None:
    result = m4i("audit", _audit_file(tmp_path, house), "--json").json
    by_stages = json.loads((walked / "result.json").read_text())
    assert result["attacks"] == by_stages["attacks"]
    assert result["blind"] == by_stages["blind"]
    assert result["verdict"] == by_stages["verdict"]


def test_captions_of_changed_pictures_bring_further_attacks(house: House, walked: Path, tmp_path: Path) -> None:
    result = m4i("audit", _audit_file(tmp_path, house, query={"augment": ["flip", "crop"]}), "--json").json
    assert list(result["attacks"]) == [*ATTACKS, "consistency", "pictures_only", "ensemble"]
    assert result["attacks"]["mb_svm"] == json.loads((walked / "result.json").read_text())["attacks"]["mb_svm"]
    assert result["recipes"]["views"] == "views|of:flipx1,cropx1|alike:rouge-score/words"
    heads = json.loads((tmp_path / "run/heads/stages/attack-fit.json").read_text())["facts"]["heads"]
    parts = {head["attack"]: head.get("parts", "") for head in heads}
    free = {"z", "alignment", "views"}  # and not the model's own certainty: that is more than text
    assert {part.split()[0] for part in parts["pictures_only"].split(", ")} == free
    assert {part.split()[0] for part in parts["ensemble"].split(", ")} == {"overlap", *free}
    # Heads that look at more than another run holds are refused, with what to do.
    refused = m4i("attack", "score", walked, "--heads", tmp_path / "run/heads")
    assert refused.code == 2
    assert "captions of changed pictures ('views'), which this run lacks" in refused.err
    assert "--augment flip,crop" in refused.err


def test_only_what_a_change_touches_is_done_again(house: House, tmp_path: Path) -> None:
    file = _audit_file(tmp_path, house)
    run = tmp_path / "run"
    assert m4i("audit", file, "--quiet").code == 0
    first = _stamps(run)
    assert set(first) == {
        *(f"{side}stages/{name}.json" for side in ("", "shadow/") for name in ("query", "overlap", "encode")),
        "heads/stages/attack-fit.json",
        *(f"stages/{name}.json" for name in ("attack-score", "evaluate", "report")),
    }

    assert "query (run): already done, kept" in m4i("audit", file).err
    second = _stamps(run)
    assert _redone(first, second) == set()

    assert m4i("audit", file, "--quiet", "--set", "evaluate.resamples=300").code == 0
    third = _stamps(run)
    assert _redone(second, third) == {"stages/evaluate.json", "stages/report.json"}

    assert m4i("audit", file, "--quiet", "--set", "overlap.recipe=rouge-score").code == 0
    again = _redone(third, _stamps(run))
    assert {"stages/overlap.json", "shadow/stages/overlap.json", "heads/stages/attack-fit.json"} <= again
    assert not {"stages/query.json", "shadow/stages/query.json", "stages/encode.json"} & again


def test_flags_win_and_the_merged_settings_stand_beside_the_output(house: House, tmp_path: Path) -> None:
    file = _audit_file(tmp_path, house, seed=1, title="from the file", query={"batch": 7})
    done = m4i(
        *("audit", file, "--quiet", "--seed", 5, "--out", tmp_path / "elsewhere"),
        *("--set", "query.batch=9", "--set", "attack.names=['mb_threshold']"),
    )
    assert done.code == 0, done.err
    assert not (tmp_path / "run").exists()
    merged = (tmp_path / "elsewhere/settings.toml").read_text()
    assert "seed = 5" in merged
    assert "batch = 9" in merged
    assert "from the file" in merged
    result = json.loads((tmp_path / "elsewhere/result.json").read_text())
    assert list(result["attacks"]) == ["mb_threshold"]
    assert result["settings"]["query"]["batch"] == 9
    assert result["provenance"]["seed"] == 5
    # What was merged is itself a file that does the same.
    assert "attack-score: already done, kept" in m4i("audit", tmp_path / "elsewhere/settings.toml").err


def test_heads_of_an_earlier_audit_need_no_shadow(house: House, walked: Path, tmp_path: Path) -> None:
    file = tmp_path / "audit.toml"
    side = {
        "engine": str(house.engines / "target.onnx"),
        "data": {"path": str(house.split / "target/records.parquet")},
        "membership": str(house.split / "target/membership.parquet"),
    }
    heads = {"heads": str(walked.parent / "heads")}
    encoders = {"folder": str(house.engines / "encoders")}
    file.write_text(tomli_w.dumps({"out": "run", "target": side, "attack": heads, "encoders": encoders}))
    result = m4i("audit", file, "--json").json
    assert result["attacks"] == json.loads((walked / "result.json").read_text())["attacks"]


def test_an_unreadable_picture_stays_a_row_with_its_reason(house: House, walked: Path, tmp_path: Path) -> None:
    records = [json.loads(line) for line in _as_jsonl(house, "target").splitlines()]
    broken, empty = tmp_path / "broken.png", tmp_path / "empty.png"
    broken.write_bytes(Path(records[0]["image"]).read_bytes()[:400])
    empty.write_bytes(b"")
    records[0]["image"], records[1]["image"] = str(broken), str(empty)
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(record) + "\n" for record in records))
    run = tmp_path / "run"
    asked = m4i("query", data, "--engine", house.engines / "target.onnx", "--out", run, "--json").json
    assert (asked["rows"], asked["errors"]) == (80, 2)
    assert m4i("overlap", run, "--json").json["scored"] == 78
    assert m4i("encode", run, "--encoders", house.engines / "encoders", "--quiet").code == 0
    assert m4i("attack", "score", run, "--heads", walked.parent / "heads", "--json").json["scored"] == dict.fromkeys(
        ATTACKS, 78
    )
    labels = house.split / "target/membership.parquet"
    result = m4i("evaluate", run, "--membership", labels, "--json").json
    assert [each["id"] for each in result["unread"]] == [records[0]["id"], records[1]["id"]]
    assert "truncated" in result["unread"][0]["reason"]
    assert "empty" in result["unread"][1]["reason"]
    assert result["counts"]["unreadable"] == 2
    assert m4i("report", run, "--quiet").code == 0
    with (run / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert len(rows) == 80
    assert rows[records[0]["id"]]["score:both"] == ""
    assert "truncated" in (run / "report.html").read_text()


def _as_jsonl(house: House, side: str) -> str:
    from m4i_fast.tables import read_records

    rows = read_records(house.split / side / "records.parquet")
    return "".join(
        json.dumps({"id": row.id, "image": row.image, "captions": list(row.references)}) + "\n" for row in rows
    )


def test_inspect_and_doctor_say_what_is_there(house: House) -> None:
    found = m4i("data", "inspect", house.data, "--json").json
    assert (found["format"], found["records"], found["captions"]) == ("coco", 230, 1150)
    shown = m4i("data", "inspect", house.data).out
    assert "230" in shown
    assert found["first"][0]["references"][0] in shown
    diagnosis = m4i("doctor", "--json").json
    assert diagnosis["providers"]["cpu"] == "starts"
    assert "kernels" in diagnosis
    assert "cpu" in m4i("doctor").out


def _whole_audit(folder: Path, house: House) -> Path:
    """An audit that splits, trains and exports everything itself."""
    train = {
        "backbone": "small-cnn",
        "image_size": 64,
        "epochs": 2,
        "min_count": 2,
        "checkpoint_every": 1,
    }
    small = {"embed": 32, "hidden": 48}
    file = folder / "audit.toml"
    file.write_text(
        tomli_w.dumps(
            {
                "out": "run",
                "seed": 2,
                "data": {"path": str(house.data)},
                "split": {
                    "target_member": 35,
                    "target_nonmember": 35,
                    "shadow_member": 35,
                    "shadow_nonmember": 35,
                    "encoder": 60,
                },
                "target": {"train": train | small},
                "shadow": {"train": train | small | {"seed": 1}},
                "encoders": {"train": train},
            }
        )
    )
    return file


@pytest.mark.slow
def test_a_killed_audit_goes_on_and_ends_with_the_same_scores(house: House, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    assert m4i("audit", _whole_audit(whole, house), "--quiet").code == 0
    file = _whole_audit(killed, house)
    # Killed in the target's training, in its export or just after, and when the shadow is asked.
    for mark in ("run/models/target/state.safetensors", "run/engines/target.onnx", "run/shadow/records.parquet"):
        with subprocess.Popen(m4i_command("audit", file, "--quiet"), stderr=subprocess.PIPE) as running:
            deadline = time.monotonic() + 120
            while not (killed / mark).exists() and running.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            running.send_signal(signal.SIGKILL)
            _, said = running.communicate(timeout=60)
        assert running.returncode == -signal.SIGKILL, (mark, said)
        assert not (killed / "run/result.json").exists()
    assert m4i("audit", file, "--quiet").code == 0
    for one, two in zip(
        read_scores(whole / "run/scores.parquet"), read_scores(killed / "run/scores.parquet"), strict=True
    ):
        assert (one.attack, one.ids, one.threshold) == (two.attack, two.ids, two.threshold)
        assert np.array_equal(one.values, two.values)
    results = [json.loads((each / "run/result.json").read_text()) for each in (whole, killed)]
    assert results[0]["attacks"] == results[1]["attacks"]
    assert {"train-target", "train-shadow", "train-encoders", "export-target", "split", "query"} <= set(
        results[0]["provenance"]["wall_s"]
    )
    assert not list(killed.rglob(".m4i-tmp-*"))


@pytest.mark.slow
def test_the_demonstration_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from m4i_fast.stages import demo

    starts = {"plain": 0, "shifted": 0}
    parts = {}
    for name, part in demo.PARTS.items():
        parts[name] = demo._Part(part.world, starts[part.world], 40)
        starts[part.world] += 40
    monkeypatch.setattr(demo, "PARTS", parts)
    quick = {name: (part, settings | {"epochs": 1}) for name, (part, settings) in demo.TRAININGS.items()}
    monkeypatch.setattr(demo, "TRAININGS", quick)
    monkeypatch.setattr(demo, "CAPTIONER", demo.CAPTIONER | {"embed": 16, "hidden": 16})
    monkeypatch.setattr(demo, "TOWERS", demo.TOWERS | {"epochs": 1, "dim": 16, "text_hidden": 16})
    results = m4i("demo", "--out", tmp_path / "demo", "--json").json
    assert list(results) == ["overfitted", "generalising", "shifted"]
    for name, result in results.items():
        assert result["counts"]["members"] == result["counts"]["non_members"] == 40
        for file in ("result.json", "report.html", "scores.csv"):
            assert (tmp_path / "demo" / name / file).stat().st_size > 0
    # Another world's words give the sets away, trained or not.
    assert results["shifted"]["verdict"]["kind"] == "invalid"
    assert results["shifted"]["blind"]["text"]["auc"]["low"] > 0.8
    stamp = (tmp_path / "demo/shifted/result.json").stat().st_mtime_ns
    table = m4i("demo", "--out", tmp_path / "demo", "--quiet")
    assert (tmp_path / "demo/shifted/result.json").stat().st_mtime_ns == stamp
    for name, result in results.items():
        assert any(name in line and result["verdict"]["kind"] in line for line in table.out.splitlines())


def test_old_files_of_a_captioner_asked_anew_are_not_judged(house: House, walked: Path, tmp_path: Path) -> None:
    """Ids still fit, so nothing but the stamps knows that scores are those of the captioner before."""
    run, heads = tmp_path / "run", walked.parent / "heads"
    shutil.copytree(walked, run)
    data, labels = house.split / "target/records.parquet", house.split / "target/membership.parquet"
    score = ("attack", "score", run, "--heads", heads)
    evaluate, report = ("evaluate", run, "--membership", labels), ("report", run)
    before = {each: (run / each).read_bytes() for each in ("result.json", "scores.csv", "report.html")}

    def refused(command: tuple[object, ...], cure: str) -> None:
        done = m4i(*command)
        assert done.code == 2, command
        assert f"Run first: m4i-fast {cure} {run}" in done.err
        assert before == {each: (run / each).read_bytes() for each in before}

    asked = m4i("query", data, "--engine", house.engines / "shadow.onnx", "--out", run, "--again", "--quiet")
    assert asked.code == 0
    for command in (score, evaluate, report):
        refused(command, "overlap")
    assert m4i("overlap", run).code == 0
    for command in (score, evaluate, report):
        refused(command, "encode")
    assert m4i("encode", run, "--encoders", house.engines / "encoders", "--quiet").code == 0
    for command in (evaluate, report):
        refused(command, "attack score")
    assert m4i(*score).code == 0
    refused(report, "evaluate")
    assert m4i(*evaluate).code == 0
    assert m4i(*report).code == 0
    assert (run / "scores.csv").read_bytes() != before["scores.csv"]


def test_scores_of_another_recipe_than_the_overlap_now_has_are_not_judged(
    house: House, walked: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(walked, run)
    assert m4i("overlap", run, "--recipe", "rouge-score").code == 0
    done = m4i("evaluate", run, "--membership", house.split / "target/membership.parquet")
    assert done.code == 2
    assert "overlap.parquet" in done.err
    assert "m4i-fast attack score" in done.err
