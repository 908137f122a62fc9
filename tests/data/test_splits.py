import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m4i_fast.data.labels import read_ids
from m4i_fast.data.splits import (
    Split,
    ids_by_column,
    read_split,
    split_iid,
    split_paper,
    split_supplied,
    write_split,
)
from m4i_fast.errors import AuditError, ConfigError, DataError
from m4i_fast.tables import read_membership, read_records
from m4i_fast.types import Record

ROLES = ["target_member", "target_nonmember", "shadow_member", "shadow_nonmember", "encoder"]


def records(count: int, prefix: str = "r") -> list[Record]:
    return [
        Record(f"{prefix}{index:03d}", f"{index}.jpg", ("a cat",), f"{prefix}{index:03d}") for index in range(count)
    ]


def groups(*values: int) -> Any:
    return np.array(values, np.int64)


def test_iid_draws_disjoint_sets_of_the_wanted_sizes() -> None:
    sizes = {"target_member": 5, "target_nonmember": 4, "shadow_member": 3, "shadow_nonmember": 2, "encoder": 1}
    split = split_iid(records(20), sizes, seed=1)
    assert {role: len(ids) for role, ids in split.roles.items()} == sizes
    every = [id_ for ids in split.roles.values() for id_ in ids]
    assert len(set(every)) == 15
    assert split.counts == {
        "records": 20,
        "unreadable": 0,
        "without_references": 0,
        "near_duplicates": 0,
        "unused": 5,
        "used": 15,
    }
    assert (split.kind, split.seed) == ("iid", 1)
    assert split.ids("encoder") == split.roles["encoder"]


def test_iid_is_seeded_and_blind_to_the_order_of_the_records() -> None:
    sizes = {"target_member": 30, "target_nonmember": 30}
    first = split_iid(records(100), sizes, seed=7)
    assert first == split_iid(records(100)[::-1], sizes, seed=7)
    assert first != split_iid(records(100), sizes, seed=8)
    # A larger later role leaves the earlier ones as they are.
    more = split_iid(records(100), sizes | {"encoder": 40}, seed=7)
    assert more.roles["target_member"] == first.roles["target_member"]


def test_iid_is_a_fair_draw() -> None:
    drawn = np.zeros(10)
    for seed in range(2000):
        split = split_iid(records(10), {"target_member": 3, "target_nonmember": 3}, seed=seed)
        for id_ in split.roles["target_member"]:
            drawn[int(id_[1:])] += 1
    assert np.abs(drawn / 2000 - 0.3).max() < 0.045  # 0.3 +- 4 standard errors


def test_iid_keeps_one_of_each_group_of_copies() -> None:
    copies = groups(0, 1, 0, 1, 1, 5)
    split = split_iid(records(6), {"target_member": 2, "target_nonmember": 1}, seed=0, groups=copies)
    assert sorted(split.ids("target")) == ["r000", "r001", "r005"]
    assert split.counts["near_duplicates"] == 3
    # The copy that is kept does not hang on the order of the records either.
    turned = split_iid(records(6)[::-1], {"target_member": 2, "target_nonmember": 1}, seed=0, groups=copies[::-1])
    assert turned == split


def test_iid_leaves_out_and_counts_what_cannot_be_used() -> None:
    rows = records(6)
    rows[0] = Record("r000", "0.jpg", ("a",), "r000", "image file not found")
    rows[1] = Record("r001", "1.jpg", (), "r001")
    rows[2] = Record("r002", "2.jpg", ("a",), "r002", "image file not found")
    # An unreadable picture is no copy of a readable one that would be lost with it.
    split = split_iid(rows, {"target_member": 2, "target_nonmember": 1}, seed=0, groups=groups(0, 1, 3, 3, 4, 5))
    assert split.ids("target") == ("r003", "r004", "r005")
    assert split.counts | {"used": 0} == {
        "records": 6,
        "unreadable": 2,
        "without_references": 1,
        "near_duplicates": 0,
        "unused": 0,
        "used": 0,
    }
    pictures = split_iid(rows, {"target_member": 2, "target_nonmember": 2}, seed=0, need_references=False)
    assert "r001" in pictures.ids("target")


def test_a_study_never_stands_on_two_sides() -> None:
    rows = [Record(f"s{index // 3}#{index % 3}", "x", ("a",), f"s{index // 3}") for index in range(30)]
    for seed in range(20):
        split = split_iid(rows, {"target_member": 10, "target_nonmember": 8}, seed=seed)
        sides = [{id_.split("#")[0] for id_ in split.roles[role]} for role in ("target_member", "target_nonmember")]
        assert not sides[0] & sides[1]
        assert [len(split.roles[role]) for role in ("target_member", "target_nonmember")] == [10, 8]
        assert split.counts["unused"] == 12


def test_too_few_records() -> None:
    with pytest.raises(AuditError, match=r"wants 5 records \(target_member 3, target_nonmember 2\), and 4 can be used"):
        split_iid(records(5), {"target_member": 3, "target_nonmember": 2}, seed=0, groups=groups(0, 0, 2, 3, 4))
    with pytest.raises(AuditError, match="Ask for fewer"):
        split_iid([], {"target_member": 1}, seed=0)


def test_senseless_settings() -> None:
    with pytest.raises(ConfigError, match="unknown role 'members'"):
        split_iid(records(3), {"members": 1}, seed=0)
    with pytest.raises(ConfigError, match=r"split\.encoder: a size of -1"):
        split_iid(records(3), {"encoder": -1}, seed=0)
    with pytest.raises(DataError, match="there twice"):
        split_iid([*records(3), *records(1)], {"encoder": 1}, seed=0)
    with pytest.raises(DataError, match="2 near-duplicate groups for 3 records"):
        split_iid(records(3), {"encoder": 1}, seed=0, groups=groups(0, 1))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 12), st.booleans()), max_size=40),
    st.lists(st.integers(0, 6), min_size=5, max_size=5),
    st.integers(0, 100),
)
def test_any_draw_holds_the_promises(rows: list[tuple[int, int, bool]], sizes: list[int], seed: int) -> None:
    made = [
        Record(f"r{index}", "x", ("a",), f"s{study}", None if good else "broken")
        for index, (study, _, good) in enumerate(rows)
    ]
    copies = np.array([copy for _, copy, _ in rows], np.int64)
    wanted = dict(zip(ROLES, sizes, strict=True))
    try:
        split = split_iid(made, wanted, seed=seed, groups=copies)
    except AuditError:
        # Refused only where whole groups could not be dealt out generously enough.
        assert sum(sizes) > 0
        return
    where: dict[str, Any] = {"study": {}, "copy": {}}
    by_id = {record.id: index for index, record in enumerate(made)}
    seen = set()
    for role, ids in split.roles.items():
        assert len(ids) == wanted[role]
        for id_ in ids:
            index = by_id[id_]
            assert made[index].error is None
            assert id_ not in seen
            seen.add(id_)
            assert where["study"].setdefault(rows[index][0], role) == role
            assert where["copy"].setdefault(int(copies[index]), id_) == id_
    left_out = {"unreadable", "without_references", "near_duplicates", "unused"}
    assert sum(split.counts[name] for name in left_out) + len(seen) == len(rows)


SIZES = {"target_member": 3, "target_nonmember": 3, "shadow_member": 2, "shadow_nonmember": 2, "encoder": 1}


def test_paper_takes_non_members_from_the_other_set() -> None:
    split, together = split_paper(records(10, "a"), records(10, "b"), SIZES, seed=3)
    firsts = {role: {id_[0] for id_ in ids} for role, ids in split.roles.items()}
    assert firsts == {
        "target_member": {"a"},
        "target_nonmember": {"b"},
        "shadow_member": {"a"},
        "shadow_nonmember": {"b"},
        "encoder": {"a"},
    }
    assert [record.id for record in together] == [record.id for record in records(10, "a") + records(10, "b")]
    assert split.counts["unused"] == 9
    assert split.kind == "paper"
    kinder, _ = split_paper(records(10, "a"), records(10, "b"), SIZES, seed=3, shadow_from_others=False)
    assert {id_[0] for id_ in kinder.roles["shadow_nonmember"]} == {"a"}
    assert {id_[0] for id_ in kinder.roles["target_nonmember"]} == {"b"}
    assert len({id_ for ids in kinder.roles.values() for id_ in ids}) == 11


def test_paper_prefixes_ids_that_clash() -> None:
    split, together = split_paper(
        records(4), records(4), {"target_member": 2, "target_nonmember": 4}, seed=0, names=("coco", "flickr8k")
    )
    assert [record.id for record in together][3:5] == ["coco:r003", "flickr8k:r000"]
    assert [record.group for record in together][3:5] == ["coco:r003", "flickr8k:r000"]
    assert split.roles["target_nonmember"] == ("flickr8k:r000", "flickr8k:r001", "flickr8k:r002", "flickr8k:r003")


def test_paper_removes_copies_across_the_sets() -> None:
    copies = groups(0, 1, 2, 0, 4, 4)  # b000 is a0's picture, b002 is b001's
    sizes = {"target_member": 3, "target_nonmember": 1}
    split, _ = split_paper(records(3, "a"), records(3, "b"), sizes, seed=0, groups=copies)
    assert split.roles["target_nonmember"] == ("b001",)
    assert split.counts["near_duplicates"] == 2
    with pytest.raises(AuditError, match="and 1 can be used"):
        split_paper(records(3, "a"), records(3, "b"), sizes | {"target_nonmember": 2}, seed=0, groups=copies)


def test_supplied() -> None:
    roles = {"target_nonmember": ["r002"], "target_member": ["r001", "r000"], "encoder": []}
    split = split_supplied(records(5), roles)
    assert split.roles == {"target_member": ("r000", "r001"), "target_nonmember": ("r002",)}
    assert split.counts == {"records": 5, "near_duplicates": 0, "unused": 2, "used": 3}
    assert split.seed is None


def test_supplied_leaves_out_copies_of_earlier_roles_only() -> None:
    roles = {"target_nonmember": ["r002", "r003", "r004"], "target_member": ["r000", "r001"]}
    split = split_supplied(records(5), roles, groups=groups(0, 0, 0, 3, 3))
    # r001 is a copy of r000: both were trained on, so both stay. r002 is one too, and thus no non-member.
    assert split.roles == {"target_member": ("r000", "r001"), "target_nonmember": ("r003", "r004")}
    assert split.counts["near_duplicates"] == 1


def test_supplied_is_checked() -> None:
    rows = records(4)
    with pytest.raises(AuditError, match="the id 'r001' is in target_member and in target_nonmember"):
        split_supplied(rows, {"target_nonmember": ["r001"], "target_member": ["r000", "r001"]})
    with pytest.raises(DataError, match="2 ids of encoder are of no record, the first is 'x'"):
        split_supplied(rows, {"target_member": ["r000"], "target_nonmember": ["r001"], "encoder": ["x", "y"]})
    with pytest.raises(AuditError, match="no record is target_nonmember"):
        split_supplied(rows, {"target_member": ["r000"]})
    with pytest.raises(ConfigError, match="unknown role 'member'"):
        split_supplied(rows, {"member": ["r000"]})


@pytest.mark.parametrize(
    ("values", "names", "wanted"),
    [
        (
            ["train", "test", None, "val"],
            {"target_member": "train", "target_nonmember": "test"},
            {"target_member": ("r000",), "target_nonmember": ("r001",)},
        ),
        (["target_member", "encoder", "", None], None, {"target_member": ("r000",), "encoder": ("r001",)}),
        ([1, 0, True, "non-member"], None, {"target_member": ("r000", "r002"), "target_nonmember": ("r001", "r003")}),
        ([7, 8, 7, 8], {"target_member": "7"}, {"target_member": ("r000", "r002")}),
    ],
)
def test_ids_by_column(values: list[Any], names: dict[str, str] | None, wanted: dict[str, tuple[str, ...]]) -> None:
    assert ids_by_column(records(4), values, names) == wanted


def test_ids_by_column_is_checked() -> None:
    with pytest.raises(
        DataError, match=r"no row has the value 'dev' that encoder asks for; there are: 'train', 'test'"
    ):
        ids_by_column(records(3), ["train", "train", "test"], {"target_member": "train", "encoder": "dev"})
    with pytest.raises(AuditError, match="target_member and encoder are the same value 'train'"):
        ids_by_column(records(1), ["train"], {"target_member": "train", "encoder": "train"})
    with pytest.raises(DataError, match="record r001: there is the label 'maybe', which is unknown"):
        ids_by_column(records(2), ["1", "maybe"])
    with pytest.raises(DataError, match="1 values for 2 records"):
        ids_by_column(records(2), ["1"])


def test_membership_and_order_tell_nothing() -> None:
    split = Split("supplied", {"target_member": ("b", "d"), "target_nonmember": ("a", "c")}, {})
    labels = split.membership("target")
    assert labels.ids == split.ids("target") == ("a", "b", "c", "d")
    assert labels.is_member.tolist() == [False, True, False, True]
    assert split.ids("shadow") == ()


def test_files(tmp_path: Path) -> None:
    split = split_iid(records(20), dict.fromkeys(ROLES, 2), seed=4)
    write_split(tmp_path, split, records(20))
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()) == [
        "encoder/records.parquet",
        *(f"ids/{role}.txt" for role in sorted(ROLES)),
        "shadow/membership.parquet",
        "shadow/records.parquet",
        "split.json",
        "target/membership.parquet",
        "target/records.parquet",
    ]
    for side in ("target", "shadow", "encoder"):
        assert tuple(record.id for record in read_records(tmp_path / side / "records.parquet")) == split.ids(side)
    labels = read_membership(tmp_path / "target/membership.parquet")
    assert {id_ for id_, member in zip(labels.ids, labels.is_member, strict=True) if member} == set(
        split.roles["target_member"]
    )
    assert read_ids(tmp_path / "ids/target_member.txt") == split.roles["target_member"]
    assert read_split(tmp_path) == read_split(tmp_path / "split.json") == split
    assert json.loads((tmp_path / "split.json").read_text())["seed"] == 4


def test_sides_without_records_are_not_written(tmp_path: Path) -> None:
    write_split(tmp_path, split_iid(records(3), {"target_member": 1, "target_nonmember": 1}, seed=0), records(3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ids", "split.json", "target"]
    assert sorted(path.stem for path in (tmp_path / "ids").iterdir()) == ["target_member", "target_nonmember"]
    write_split(tmp_path, split_iid(records(3), {"encoder": 1}, seed=0), records(3))
    assert [path.stem for path in (tmp_path / "ids").iterdir()] == ["encoder"]  # no list of the split before


GOOD = {"schema": 1, "kind": "iid", "seed": 0, "counts": {}, "roles": {"encoder": ["a"]}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD | {"schema": 2}, "no split of version 1"),
        ([], "no split of version 1"),
        (GOOD | {"roles": {"encoder": "a"}}, "'roles' is not lists of ids by role"),
        (GOOD | {"roles": {"members": ["a"]}}, "'roles' is not lists of ids by role"),
        (GOOD | {"roles": {"encoder": ["a"], "target_member": ["a"]}}, "an id is there twice"),
        (GOOD | {"seed": "x"}, "'counts' or 'seed' is of the wrong type"),
        (GOOD | {"counts": {"used": "many"}}, "'counts' or 'seed' is of the wrong type"),
    ],
)
def test_broken_split_files(tmp_path: Path, content: Any, message: str) -> None:
    (tmp_path / "split.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        read_split(tmp_path)


def test_absent_split_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"split\.json: no such file"):
        read_split(tmp_path)
