"""``m4i-fast bench overlap`` as its users meet it."""

import json
from pathlib import Path

from tests.cli.conftest import m4i

FEW = ("--rows", 20, "--rounds", 1, "--only", "lcs", "--only", "prepar*")


def test_json_and_the_file_hold_the_same(tmp_path: Path) -> None:
    done = m4i("bench", "overlap", *FEW, "--json", "--out", tmp_path / "found.json")
    assert [each["name"] for each in done.json["figures"]] == ["prepared", "lcs", "prepared-coco"]
    assert done.json == json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert done.err == ""


def test_a_missed_target_is_a_result_and_no_error() -> None:
    done = m4i("bench", "overlap", *FEW, "--quiet")
    assert done.code == 0
    assert "≤ 8 ns/pair" in done.out
    assert "made captions: 20 rows" in done.out
    assert "targets: " in done.out


def test_the_page() -> None:
    done = m4i("bench", "overlap", *FEW, "--markdown", "--quiet")
    assert done.out.startswith("# bench overlap\n")
    assert "| prepared | " in done.out
    assert "## Environment" in done.out


def test_captions_of_the_users_own(tmp_path: Path) -> None:
    rows = [{"image": f"{i}.jpg", "captions": [f"caption {n} of {i}" for n in range(5)]} for i in range(4)]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done = m4i("bench", "overlap", "--data", tmp_path / "mine.jsonl", *FEW, "--json")
    assert "mine.jsonl: 4 rows with 5 references" in done.json["environment"]["captions"]


def test_bad_input(tmp_path: Path) -> None:
    done = m4i("bench", "overlap", "--only", "speed")
    assert done.code == 2
    assert "'speed' is no figure of this bench" in done.err
    done = m4i("bench", "overlap", "--data", tmp_path / "absent.json", *FEW)
    assert done.code == 2
    assert "absent.json" in done.err
    assert m4i("bench", "overlap", "--rounds", "0").code == 2


def test_the_benches_of_queries() -> None:
    done = m4i("bench", "query", "--only", "overhead", "--records", 1000, "--rounds", 1, "--json")
    assert done.code == 0
    assert [(each["name"], each["rounds"]) for each in done.json["figures"]] == [("overhead", 1)]
    assert done.json["method"]["records"] == 1000
    assert done.err == ""
    done = m4i("bench", "scale", "--only", "speed")
    assert done.code == 2
    assert "'speed' is no figure of this bench" in done.err


def test_pictures_of_the_users_own_are_too_few(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text('{"image": "a.jpg", "captions": ["a dog"]}\n', encoding="utf-8")
    done = m4i("bench", "scale", "--data", tmp_path / "mine.jsonl", "--only", "images-1", "--images", 2, "--markdown")
    assert done.code == 0
    assert "not measured: " in done.out
    done = m4i("bench", "query", "--data", tmp_path / "absent.json", "--only", "ready")
    assert done.code == 2
    assert "absent.json" in done.err
