"""Broken and hostile data files: each a message of what, where and cure, or a row with its reason; never a hang."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m4i_fast.data.readers import FORMATS, read_records, read_table
from m4i_fast.errors import DataError
from m4i_fast.tables import read_records as read_kept
from m4i_fast.tables import write_records

IMAGE = {"id": 1, "file_name": "1.jpg"}
CAPTION = {"image_id": 1, "id": 1, "caption": "a cat"}


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(path: Path, **options: Any) -> str:
    """The message, which must hold a place and a cure."""
    with pytest.raises(DataError) as caught:
        read_records(path, **options)
    assert caught.value.where
    assert caught.value.cure
    assert caught.value.exit_code == 2
    return str(caught.value).replace(f"{path}", "FILE").replace(f"{path.parent}/", "")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "", "FILE: the file is empty."),
        ("a.csv", "\n \n", "FILE: the file is empty."),
        ("a.parquet", "", "FILE: the file is empty."),
        ("a.json", '{"images": [\n  {"id": 1,}\n]}', "FILE:2:"),
        ("a.json", '{"images": [', "FILE:1:13: not valid JSON (Expecting value)"),
        ("a.jsonl", '{"image": "1.jpg"}\n{"image": }', "FILE:2:11: not valid JSON (Expecting value)"),
        ("a.jsonl", '{"image": "1.jpg"}\n[1]', "FILE:2: an object is wanted, not list"),
        ("a.json", "[" * 100_000, "FILE: JSON nested too deep"),
        ("a.json", '{"images": [{"id": NaN}]}', "FILE: not valid JSON (NaN is no JSON value)"),
        ("a.json", '{"images": [{"id": ' + "9" * 5000 + "}]}", "FILE: not valid JSON (Exceeds the limit"),
        ("a.json", '{"foo": 1}', "FILE: JSON of an unknown form, with the keys foo"),
        ("a.json", '{\n"images": 3, "annotations": []}', "FILE: no list 'images' at the top level"),
        ("a.json", '{"images": [1], "annotations": []}', "FILE: images[0]: an object is wanted, not int"),
        ("a.json", '{"images": [], "annotations": []}', "FILE: holds no records"),
        ("a.txt", "what is this\n", "FILE: neither of: coco, flickr8k, kaggle"),
        ("a.txt", "a.jpg#0\tone\nb.jpg#one\ttwo\n", "FILE:2:6: the line is not 'image.jpg#0<TAB>caption'"),
        ("a.txt", "a.jpg#0\tone\nb.jpg#1 two\n", "FILE:2:12: the line is not 'image.jpg#0<TAB>caption'"),
        ("a.txt", "image,caption\na.jpg,one\nb.jpg two\n", "FILE:3:10: the line is not 'image,caption'"),
        ("a.csv", "id,image,caption\n1,a.jpg,one\n2,b.jpg,red, green\n", "FILE:3 (row 2): the row has 4 cells"),
        ("a.csv", 'id,image,caption\n1,a.jpg,"one\n2,b.jpg,two\n', "FILE:2 (row 1): not valid CSV (unexpected end"),
        ("a.csv", 'id,image,caption\n1,a.jpg,"one" two\n', "FILE:2 (row 1): not valid CSV"),
        ("a.csv", "id,image,id\n1,a.jpg,1\n", "FILE:1: a column name is there twice"),
        ("a.csv", "id,picture,caption\n1,a.jpg,one\n", "FILE: the header has no column 'image'; it has: id, picture"),
        ("a.csv", "id,image,caption,captions\n1,a,b,[]\n", "FILE:2 (row 1): both caption and captions are given"),
        (
            "a.csv",
            "id,image,captions\n1,a.jpg,one\n",
            "FILE:2 (row 1): a cell of 'captions' must be a JSON list, not 'one'",
        ),
        ("a.csv", 'id,image,captions\n1,a.jpg,"[1,"\n', "FILE:2 (row 1): the cell of 'captions' is not valid JSON"),
        (
            "a.csv",
            "id,image,caption\n,a.jpg,one\n",
            "FILE:2 (row 1): the id must be text or a whole number, not nothing",
        ),
        ("a.csv", "id,image\n", "FILE: holds no records"),
        ("a.csv", "id,image,caption\n1,a.jpg,\n2,b.jpg, \n", "FILE: none of the 2 records has a caption"),
        ("a.jsonl", '{"id": 1.5, "image": "a"}', "FILE:1: the id must be text or a whole number, not float"),
        ("a.jsonl", '{"id": true, "image": "a"}', "FILE:1: the id must be text or a whole number, not bool"),
        ("a.jsonl", '{"id": "a\\u0000", "image": "a"}', "FILE:1: the id 'a\\x00' holds a control character"),
        ("a.jsonl", '{"id": "\\ud800", "image": "a"}', "FILE:1: the id '\\ud800' holds a control character"),
        ("a.jsonl", '{"id": 1, "image": 7}', "FILE:1: image must be a path, not int"),
        ("a.jsonl", '{"id": 1, "image": "a", "captions": "b"}', "FILE:1: captions must be a list, not str"),
        ("a.json", '{"train": {}}', "FILE: 'train' is not a list"),
        ("a.json", '{"test": [{"id": "s", "report": "r"}]}', "FILE: test[0]: study s has no list of image paths"),
        ("a.parquet", b"PAR1 and then nothing", "FILE: not a readable Parquet file"),
        ("a.jsonl", b'{"image": "\xe9.jpg"}', "FILE:1:12: not UTF-8 text (byte 0xe9)"),
        ("a.csv", b"id,image,caption\n1,a.jpg,ol\xe9\n", "FILE:2:11: not UTF-8 text (byte 0xe9)"),
        ("a.csv", "id,image\n1,a\n".encode("utf-16"), "FILE:1:1: not UTF-8 text (byte 0xff)"),
    ],
)
def test_refused_with_its_place(tmp_path: Path, name: str, content: Any, message: str) -> None:
    assert refusal(written(tmp_path, name, content)).startswith(message)


def test_double_ids_and_strangers(tmp_path: Path) -> None:
    def coco(images: list[Any], annotations: list[Any]) -> str:
        return refusal(written(tmp_path, "c.json", json.dumps({"images": images, "annotations": annotations})))

    assert coco([IMAGE, IMAGE | {"id": "1"}], [CAPTION]).startswith("FILE: images[1]: the id '1' is there twice.")
    stranger = coco([IMAGE], [CAPTION, CAPTION | {"image_id": 8}, CAPTION | {"image_id": 8}, CAPTION | {"image_id": 9}])
    assert stranger.startswith(
        "FILE: annotations[1]: captions of 2 images that are not listed under images, the first of image 8."
    )
    assert coco([IMAGE], []).startswith("FILE: none of the 1 records has a caption.")
    assert coco([IMAGE], [{"image_id": 1, "bbox": []}]).startswith(
        "FILE: annotations[0]: the annotation has no caption"
    )
    assert coco([{"id": 1}], [CAPTION]).startswith("FILE: images[0]: image 1 has no file_name")
    assert coco([{"file_name": "a"}], [CAPTION]).startswith("FILE: images[0]: the id must be text")


def test_double_ids_in_tables(tmp_path: Path) -> None:
    def table(*rows: dict[str, Any]) -> str:
        return refusal(written(tmp_path, "t.jsonl", "\n".join(map(json.dumps, rows))))

    one = {"id": 1, "image": "a.jpg", "caption": "x"}
    many = {"id": 1, "image": "a.jpg", "captions": ["x"]}
    assert table(one, one | {"image": "b.jpg"}).startswith("FILE:2: the id '1' has two images: 'a.jpg' and 'b.jpg'.")
    assert table(many, many).startswith("FILE:2: the id '1' is there twice.")
    assert table(many, one).startswith("FILE:2: the id '1' is there twice.")
    assert table(one, many).startswith("FILE:2: the id '1' is there twice.")
    assert table(one | {"split": "a"}, one | {"split": "b"}).startswith("FILE:2: the id '1' has two values of split:")
    assert table(one, one | {"group": "g"}).startswith("FILE:2: the id '1' has two values of group: '1' and 'g'.")
    study = {"id": "s", "report": "r", "image_path": ["a.png"]}
    path = written(tmp_path, "r.json", json.dumps({"train": [study], "test": [study]}))
    assert refusal(path).startswith("FILE: test[0]: the id 's#0' is there twice.")


def test_absent_folder_and_fifo(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent.json").startswith("FILE: no such file. Check the path.")
    os.mkfifo(tmp_path / "fifo.json")
    assert refusal(tmp_path / "fifo.json").startswith("FILE: cannot be read (a FIFO, not a file)")
    (tmp_path / "loop.json").symlink_to(tmp_path / "loop.json")
    assert refusal(tmp_path / "loop.json").startswith("FILE: cannot be read (Too many levels of symbolic links)")
    (tmp_path / "empty").mkdir()
    assert refusal(tmp_path / "empty").startswith("FILE: holds no records")
    assert refusal(tmp_path / "empty", format="coco").startswith("FILE: no annotation file of a known name")
    assert refusal(tmp_path / "empty", format="iapr-tc12").startswith("FILE: no .eng file in this folder")
    path = written(tmp_path, "d.csv", "image\na.jpg\n")
    assert refusal(path, images=tmp_path / "no").startswith("no: no such folder of images")
    for name in FORMATS:
        if name not in {"folder", "iapr-tc12"}:
            refusal(tmp_path / "fifo.json", format=name)


def test_broken_captions_stay_rows(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(b"x")
    rows = [
        {"id": 1, "image": "1.jpg", "captions": ["good", "", "  ", None]},
        {"id": 2, "image": "1.jpg", "captions": ["half \ud83d here"]},
        {"id": 3, "image": "1.jpg", "captions": ["nul \0 here", "whole"]},
        {"id": 4, "image": "1.jpg", "captions": [5]},
        {
            "id": 5,
            "image": "1.jpg",
            "captions": ["\u202eright to left\u200b", "=cmd|' /C calc'!A0", "<script>", "x" * 100_000],
        },
    ]
    path = written(tmp_path, "d.jsonl", "\n".join(map(json.dumps, rows)))
    table = read_table(path)
    broken = "a caption holds a NUL or a lone surrogate (half a character)"
    assert [record.error for record in table.records] == [None, broken, broken, "a caption is not text but int", None]
    assert table.records[0].references == ("good",)
    assert table.notes == {"empty captions": 3}
    assert table.records[1].references == ("half ? here",)
    assert table.records[2].references == ("nul \ufffd here", "whole")
    assert table.records[4].references == tuple(rows[4]["captions"])
    write_records(tmp_path / "kept.parquet", table.records)
    assert read_kept(tmp_path / "kept.parquet") == list(table.records)


def test_images_that_cannot_be_used_stay_rows(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"x")
    (tmp_path / "data-other").mkdir()
    (tmp_path / "data-other/x.jpg").write_bytes(b"x")
    (folder / "good.jpg").write_bytes(b"x")
    (folder / "empty.jpg").touch()
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    (folder / "folder.jpg").mkdir()
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    os.mkfifo(folder / "fifo.jpg")
    leaves = "image path leaves the data folder (name the images' folder with --images)"
    wanted = {
        "good.jpg": None,
        "./a/../good.jpg": None,
        "../data/good.jpg": None,
        "link.jpg": None,
        "absent.jpg": "image file not found",
        "good.jpg/x.jpg": "image file not found",
        "empty.jpg": "image file is empty",
        "loop.jpg": "image path is a loop of links",
        "folder.jpg": "image path is not a regular file",
        "fifo.jpg": "image path is not a regular file",
        "../secret.jpg": leaves,
        "images/../../secret.jpg": leaves,
        "../data-other/x.jpg": leaves,
        str(tmp_path / "secret.jpg"): leaves,
        str(folder / "good.jpg"): None,
        "": "no image is named",
        "nul\0.jpg": "image path is not valid Unicode",
        "half\ud800.jpg": "image path is not valid Unicode",
        "x" * 300 + ".jpg": "image file cannot be opened (File name too long)",
    }
    content = {
        "images": [{"id": index, "file_name": name} for index, name in enumerate(wanted)],
        "annotations": [{"image_id": index, "caption": "x"} for index in range(len(wanted))],
    }
    path = written(folder, "captions.json", json.dumps(content))
    records = read_records(path)
    assert dict(zip(wanted, [record.error for record in records], strict=True)) == wanted
    write_records(tmp_path / "kept.parquet", records)  # every path can be written
    # The folder that the user names may be used, from above too.
    errors = [record.error for record in read_records(path, images=tmp_path)]
    assert leaves not in errors


def test_absolute_paths_are_taken_in_tables_alone(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "x.jpg").write_bytes(b"x")
    rows = [{"id": 1, "image": str(tmp_path / "x.jpg"), "caption": "x"}, {"id": 2, "image": "../x.jpg", "caption": "x"}]
    path = written(tmp_path / "a", "d.jsonl", "\n".join(map(json.dumps, rows)))
    errors = [record.error for record in read_records(path)]
    assert errors == [None, "image path leaves the data folder (name the images' folder with --images)"]
    assert [record.error for record in read_records(path, images=tmp_path)] == [None, None]


def test_folder_with_names_that_are_not_utf8(tmp_path: Path) -> None:
    try:
        (tmp_path / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (tmp_path / "ok.jpg").write_bytes(b"x")
    records = read_records(tmp_path)
    assert [(record.id, record.error) for record in records] == [
        ("caf\\xe9.jpg", "the file's name is not UTF-8"),
        ("ok.jpg", None),
    ]
    write_records(tmp_path / "kept.parquet", records)


def test_folder_with_names_that_hold_control_characters(tmp_path: Path) -> None:
    for name in ("new\nline.jpg", "tab\t.jpg", "ok.jpg"):
        (tmp_path / name).write_bytes(b"x")
    records = read_records(tmp_path)
    assert [(record.id, record.error) for record in records] == [
        ("new\\nline.jpg", "the file's name holds a control character"),
        ("ok.jpg", None),
        ("tab\\t.jpg", "the file's name holds a control character"),
    ]
    write_records(tmp_path / "kept.parquet", records)


def test_truncated_parquet(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": list(range(1000)), "image": ["a"] * 1000}), tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    for end in (5, len(whole) // 2, len(whole) - 1):
        assert "not a readable Parquet file" in refusal(written(tmp_path, "b.parquet", whole[:end]))


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=80) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from(["a.json", "a.jsonl", "a.csv", "a.txt", "a.eng", "a.parquet", "a"]),
    st.sampled_from(["auto", *FORMATS]),
)
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: Any, name: str, form: str
) -> None:
    folder = tmp_path_factory.getbasetemp() / "any"
    folder.mkdir(exist_ok=True)
    path = written(folder, name, content)
    with contextlib.suppress(DataError):
        assert read_records(path, format="auto" if form == "folder" else form)
    path.unlink()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "images",
                    "annotations",
                    "id",
                    "file_name",
                    "image_id",
                    "caption",
                    "train",
                    "image_path",
                    "image",
                    "captions",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(json_values, st.sampled_from(["auto", "coco", "r2gen", "jsonl"]))
def test_any_json_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: Any, form: str) -> None:
    folder = tmp_path_factory.getbasetemp() / "any"
    folder.mkdir(exist_ok=True)
    path = written(folder, "any.json", json.dumps(content))
    with contextlib.suppress(DataError):
        assert read_records(path, format=form)
