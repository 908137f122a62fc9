"""Settings of an audit: paths, overrides, and faults that are named before anything is done."""

from pathlib import Path
from typing import Any

import pytest
import tomli_w

from m4i_fast.errors import ConfigError, UserError
from m4i_fast.stages.audit import load_settings, run_audit

SIDE = {"engine": "e.onnx", "data": {"path": "d.json", "images": "pictures"}, "membership": "m.csv"}


def _file(folder: Path, values: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "audit.toml"
    path.write_text(tomli_w.dumps(values))
    return path


def test_paths_of_the_file_start_at_the_file_and_those_of_flags_where_the_user_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    file = _file(tmp_path / "there", {"out": "run", "target": SIDE, "attack": {"heads": "~/heads"}})
    settings = load_settings(file, {"target": {"engine": "mine.onnx"}})
    there = tmp_path / "there"
    assert settings.out == str(there / "run")
    assert settings.target.data is not None
    assert (settings.target.data.path, settings.target.data.images) == (str(there / "d.json"), str(there / "pictures"))
    assert settings.target.engine == str(here / "mine.onnx")
    assert settings.attack.heads == str(Path("~/heads").expanduser())


def test_a_url_is_no_path(tmp_path: Path) -> None:
    file = _file(tmp_path, {"out": "run", "target": SIDE | {"engine": "https://example.org/v1"}})
    assert load_settings(file).target.engine == "https://example.org/v1"


def test_roles_are_paths_where_the_split_is_of_lists(tmp_path: Path) -> None:
    lists = {"kind": "lists", "target_member": "in.txt"}
    assert load_settings(_file(tmp_path, {"out": "r", "split": lists})).split.target_member == str(tmp_path / "in.txt")
    column = {"kind": "column", "target_member": "in"}
    assert load_settings(_file(tmp_path, {"out": "r", "split": column})).split.target_member == "in"


@pytest.mark.parametrize(
    ("settings", "where", "said"),
    [
        ({}, "target", "no model"),
        ({"target": {"engine": "e.onnx", "train": {}}}, "target", "two models: engine and train"),
        ({"target": {"engine": "e.onnx"}, "attack": {"heads": "."}}, "target", "no records"),
        ({"target": {"engine": "e.onnx", "data": {"path": "d.json"}}, "attack": {"heads": "."}}, "target.membership",
         "labels are missing"),
        ({"target": SIDE}, "shadow", "no model"),
        ({"target": SIDE, "attack": {"heads": "."}, "encoders": {}}, "encoders", "a folder or a training"),
        ({"target": SIDE, "attack": {"heads": ".", "names": ["fb_mlp"]}}, "attack.names", "needs encoders"),
        ({"target": SIDE, "attack": {"heads": "."}}, "target.data.path", "no such file"),
    ],
)  # fmt: skip
def test_faults_of_the_whole_are_named_first(settings: dict[str, Any], where: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said) as caught:
        run_audit(load_settings(_file(tmp_path, {"out": "run"} | settings)))
    assert caught.value.where == where
    assert not (tmp_path / "run").exists()


def test_a_split_without_a_shadow_says_which_setting_is_missing(tmp_path: Path) -> None:
    from m4i_fast.data.scenes import write_scenes

    write_scenes(tmp_path / "scenes", count=8, seed=0, size=32)
    train = {"backbone": "small-cnn"}
    settings = {
        "out": "run",
        "data": {"path": "scenes/captions.json"},
        "split": {"target_member": 4, "target_nonmember": 4},
        "target": {"train": train},
        "shadow": {"train": train},
    }
    with pytest.raises(ConfigError, match="no records for the shadow") as caught:
        run_audit(load_settings(_file(tmp_path, settings)))
    assert caught.value.where == "split.shadow_member"
