import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from m4i_fast.data.labels import read_ids, read_membership_file
from m4i_fast.errors import DataError
from m4i_fast.tables import write_membership
from m4i_fast.types import Membership


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def labels(path: Path) -> dict[str, bool]:
    found = read_membership_file(path)
    assert found.is_member.dtype == np.bool_
    return dict(zip(found.ids, found.is_member.tolist(), strict=True))


@pytest.mark.parametrize(
    ("yes", "no"),
    [
        ("1", "0"),
        ("true", "false"),
        ("TRUE", "False"),
        ("member", "non-member"),
        ("Member", "nonmember"),
        ("yes", "no"),
    ],
)
def test_csv_in_all_spellings(tmp_path: Path, yes: str, no: str) -> None:
    path = write(tmp_path / "m.csv", f"id,is_member\nb,{yes}\n7, {no}\n\nc d,{yes}\n")
    assert labels(path) == {"b": True, "7": False, "c d": True}


def test_other_columns_and_order_do_not_matter(tmp_path: Path) -> None:
    assert labels(write(tmp_path / "m.csv", "note,Is_Member,ID\nx,0,a\ny,1,b\n")) == {"a": False, "b": True}


def test_parquet(tmp_path: Path) -> None:
    write_membership(tmp_path / "a.parquet", Membership(("a", "b"), np.array([True, False])))
    assert labels(tmp_path / "a.parquet") == {"a": True, "b": False}
    pq.write_table(pa.table({"id": [1, 2, 3], "is_member": [1, 0, 1]}), tmp_path / "b.parquet")
    assert labels(tmp_path / "b.parquet") == {"1": True, "2": False, "3": True}
    pq.write_table(pa.table({"id": [1, 2], "is_member": [1.0, 0.0]}), tmp_path / "c.parquet")
    assert labels(tmp_path / "c.parquet") == {"1": True, "2": False}


def test_json(tmp_path: Path) -> None:
    rows = [{"id": 1, "is_member": True}, {"id": "b", "is_member": 0}]
    assert labels(write(tmp_path / "a.json", '{"1": true, "b": "non-member"}')) == {"1": True, "b": False}
    assert labels(write(tmp_path / "b.json", json.dumps(rows))) == {"1": True, "b": False}
    assert labels(write(tmp_path / "c.jsonl", "\n".join(map(json.dumps, rows)))) == {"1": True, "b": False}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.csv", "id,is_member\na,1\nb,2\n", r"m\.csv:3 \(row 2\): there is the label '2', which is unknown\. Wanted"),
        ("m.csv", "id,is_member\na,1\nb,\n", r"m\.csv:3 \(row 2\): there is no label"),
        ("m.csv", "id,is_member\na,nan\n", r"m\.csv:2 \(row 1\): there is the label 'nan'"),
        ("m.csv", "id,is_member\na,1\na,1\n", r"m\.csv:3 \(row 2\): the id 'a' is there twice"),
        ("m.csv", "id,is_member\n,1\n", r"m\.csv:2 \(row 1\): the id must be text"),
        ("m.csv", "id,member\na,1\n", r"m\.csv:2 \(row 1\): no column 'is_member'; there are: id, member"),
        ("m.csv", "a,1\nb,0\n", r"m\.csv:2 \(row 1\): no column 'id'"),
        ("m.csv", "id,is_member\n", r"m\.csv: holds no labels"),
        ("m.csv", "", r"m\.csv: the file is empty"),
        ("m.json", '{"a": true, "a": false}', r"m\.json: the id 'a' is there twice"),
        ("m.json", '{"a": 2}', r'm\.json: "a": there is the label .2.'),
        ("m.json", '{"a": null}', r'm\.json: "a": there is no label'),
        ("m.json", "3", r"m\.json: neither an object of labels by id nor a list of rows"),
        ("m.json", '[{"id": 1}]', r"m\.json: \[0\]: no column 'is_member'"),
        ("m.json", '{"a": true', r"m\.json:1:11: not valid JSON"),
        ("m.jsonl", '{"id": 1, "is_member": 1}\n7', r"m\.jsonl:2: an object is wanted, not int"),
        ("m.parquet", "PAR1", r"m\.parquet: not a readable Parquet file"),
    ],
)
def test_broken_labels(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_membership_file(write(tmp_path / name, text))


def test_absent_and_fifo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.csv")
    for read in (read_membership_file, read_ids):
        with pytest.raises(DataError, match="no such file"):
            read(tmp_path / "absent.csv")
        with pytest.raises(DataError, match="a FIFO, not a file"):
            read(tmp_path / "fifo.csv")


def test_id_lists(tmp_path: Path) -> None:
    assert read_ids(write(tmp_path / "a.txt", "\ufeffb.jpg\r\n\n  7 \n#3\nc d\n")) == ("b.jpg", "7", "#3", "c d")
    assert read_ids(write(tmp_path / "a.json", '["b", 7]')) == ("b", "7")
    assert read_ids(write(tmp_path / "b.txt", '["b", 7]')) == ("b", "7")
    assert read_ids(write(tmp_path / "a.csv", "id,x\nb,1\n7,2\n")) == ("b", "7")
    assert read_ids(write(tmp_path / "a.jsonl", '{"id": "b"}\n{"id": 7}\n')) == ("b", "7")
    pq.write_table(pa.table({"id": ["b", "7"]}), tmp_path / "a.parquet")
    assert read_ids(tmp_path / "a.parquet") == ("b", "7")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "b\nc\nb\n", r"a\.txt:3: the id 'b' is there twice"),
        ("a.txt", "b\n\0\n", r"a\.txt:2: the id '\\x00' holds a control character"),
        ("a.txt", " \n", r"a\.txt: the file is empty"),
        ("a.json", "{}", r"a\.json: not a list of ids"),
        ("a.json", "[]", r"a\.json: holds no ids"),
        ("a.json", "[[1]]", r"a\.json: \[0\]: the id must be text or a whole number, not list"),
        ("a.csv", "b\nc\n", r"a\.csv:2 \(row 1\): no column 'id'"),
    ],
)
def test_broken_id_lists(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_ids(write(tmp_path / name, text))
