"""The four kinds of split as an audit's settings name them."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from m4i_fast.config import convert
from m4i_fast.data.scenes import write_scenes
from m4i_fast.errors import AuditError, ConfigError, DataError
from m4i_fast.runs import open_run
from m4i_fast.stages.settings import DataSettings, SplitSettings
from m4i_fast.stages.split import split_stage, split_stage_alone
from m4i_fast.tables import read_membership, read_records


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("scenes"), count=24, seed=1, size=32)


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("others"), count=12, seed=2, size=32, world="shifted")


def _split(out: Path, data: Path, settings: dict[str, Any], seed: int = 0) -> dict[str, Any]:
    return split_stage_alone(
        out, DataSettings(path=str(data)), convert(settings, SplitSettings, where="split"), seed=seed
    )


def _roles(out: Path) -> dict[str, list[str]]:
    roles: dict[str, list[str]] = json.loads((out / "split.json").read_text())["roles"]
    return roles


IID = {"target_member": 5, "target_nonmember": 5, "shadow_member": 4, "shadow_nonmember": 4, "encoder": 3}


def test_iid_sets_are_disjoint_and_seeded(scenes: Path, tmp_path: Path) -> None:
    facts = _split(tmp_path / "a", scenes, IID, seed=3)
    assert {role: facts[role] for role in IID} == IID
    roles = _roles(tmp_path / "a")
    ids = [id_ for each in roles.values() for id_ in each]
    assert len(set(ids)) == len(ids) == 21
    assert facts["unused"] == 3
    _split(tmp_path / "b", scenes, IID, seed=3)
    assert _roles(tmp_path / "b") == roles
    _split(tmp_path / "c", scenes, IID, seed=4)
    assert _roles(tmp_path / "c") != roles


def test_a_near_duplicate_is_removed_and_counted_unless_it_is_kept(scenes: Path, tmp_path: Path) -> None:
    content = json.loads(scenes.read_text())
    twin = dict(content["images"][0], id="twin")
    content["images"].append(twin)
    content["annotations"].append({"id": 9999, "image_id": "twin", "caption": "the same picture again"})
    data = tmp_path / "captions.json"
    data.write_text(json.dumps(content))
    (tmp_path / "images").symlink_to(scenes.parent / "images")
    all_of_them = {"target_member": 12, "target_nonmember": 12}
    assert _split(tmp_path / "a", data, all_of_them)["near_duplicates"] == 1
    with pytest.raises(AuditError, match="25"):
        _split(tmp_path / "b", data, {"target_member": 13, "target_nonmember": 12})
    assert _split(tmp_path / "c", data, {"target_member": 13, "target_nonmember": 12, "near_duplicates": "keep"})


def test_paper_takes_non_members_from_the_other_set(scenes: Path, others: Path, tmp_path: Path) -> None:
    settings = {
        "kind": "paper",
        "target_member": 6,
        "target_nonmember": 6,
        "non_members": {"path": str(others)},
    }
    _split(tmp_path / "a", scenes, settings)
    records = {record.id: record for record in read_records(tmp_path / "a/target/records.parquet")}
    labels = read_membership(tmp_path / "a/target/membership.parquet")
    for id_, member in zip(labels.ids, labels.is_member, strict=True):
        assert (str(scenes.parent) in records[id_].image) == bool(member)
    with pytest.raises(ConfigError, match="needs a second set"):
        _split(tmp_path / "b", scenes, settings | {"non_members": None})


def test_paper_keeps_the_members_of_a_list(scenes: Path, others: Path, tmp_path: Path) -> None:
    wanted = [str(record.id) for record in read_coco(scenes)[:7]]
    (tmp_path / "ids.txt").write_text("\n".join(wanted))
    settings = {
        "kind": "paper",
        "target_member": str(tmp_path / "ids.txt"),
        "target_nonmember": 5,
        "non_members": {"path": str(others)},
    }
    _split(tmp_path / "a", scenes, settings)
    # Ids of the two sets collide, so each carries its set's name.
    assert sorted(id_.rpartition(":")[2] for id_ in _roles(tmp_path / "a")["target_member"]) == sorted(wanted)


def read_coco(path: Path) -> list[Any]:
    from m4i_fast.data.readers import read_records as read

    return read(path)


def test_lists_and_columns_are_taken_as_given(scenes: Path, tmp_path: Path) -> None:
    records = read_coco(scenes)
    lists: dict[str, Any] = {"kind": "lists"}
    with (tmp_path / "table.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "image", "caption", "split"])
        for row, record in enumerate(records):
            role = "in" if row < 10 else "out"
            table.writerow([record.id, record.image, record.references[0], role])
    for role, part in (("target_member", records[:10]), ("target_nonmember", records[10:])):
        (tmp_path / f"{role}.txt").write_text("".join(f"{record.id}\n" for record in part))
        lists[role] = str(tmp_path / f"{role}.txt")
    _split(tmp_path / "lists", scenes, lists)
    column = {"kind": "column", "target_member": "in", "target_nonmember": "out"}
    _split(tmp_path / "column", tmp_path / "table.csv", column)
    assert _roles(tmp_path / "lists") == _roles(tmp_path / "column")
    assert len(_roles(tmp_path / "lists")["target_member"]) == 10
    with pytest.raises(ConfigError, match="no column 'fold'; it has: split"):
        _split(tmp_path / "d", tmp_path / "table.csv", column | {"column": "fold"})
    with pytest.raises(ConfigError, match="a file of ids is wanted, not 5"):
        _split(tmp_path / "e", scenes, lists | {"target_member": 5})
    with pytest.raises(ConfigError, match="no such file of ids"):
        _split(tmp_path / "f", scenes, lists | {"target_member": str(tmp_path / "none.txt")})


def test_a_number_is_wanted_where_a_number_is_wanted(scenes: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a number is wanted, not 'many'"):
        _split(tmp_path / "a", scenes, {"target_member": "many", "target_nonmember": 2})
    with pytest.raises(DataError):
        _split(tmp_path / "b", tmp_path / "none.json", IID)
    assert not (tmp_path / "b").exists()


def test_it_is_kept_until_a_setting_changes_and_then_nothing_old_stays(scenes: Path, tmp_path: Path) -> None:
    assert _split(tmp_path / "a", scenes, IID)["kept"] is False
    assert _split(tmp_path / "a", scenes, IID)["kept"] is True
    assert _split(tmp_path / "a", scenes, {"target_member": 5, "target_nonmember": 5})["kept"] is False
    assert not (tmp_path / "a/shadow/records.parquet").exists()
    assert not (tmp_path / "a/encoder/records.parquet").exists()
    assert not (tmp_path / "a/ids/encoder.txt").exists()


def test_a_lost_file_of_a_split_is_drawn_again(scenes: Path, tmp_path: Path) -> None:
    _split(tmp_path / "a", scenes, IID)
    (tmp_path / "a/target/membership.parquet").unlink()
    with open_run(tmp_path / "a") as run:
        settings = convert(IID, SplitSettings, where="split")
        assert split_stage(run, DataSettings(path=str(scenes)), settings, seed=0, folder=".").kept is False
    assert (tmp_path / "a/target/membership.parquet").exists()
