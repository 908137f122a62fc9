"""Small files in the real formats: what every reader makes of them."""

import json
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from m4i_fast.data.readers import FORMATS, RecordSet, read_records, read_table
from m4i_fast.errors import DataError
from m4i_fast.tables import write_records
from m4i_fast.types import Record


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"an image, as far as a reader looks")


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


COCO = {
    "info": {"description": "COCO 2017 Dataset"},
    "licenses": [],
    "images": [
        {"license": 4, "file_name": "000000397133.jpg", "height": 427, "width": 640, "id": 397133},
        {"license": 1, "file_name": "000000037777.jpg", "height": 230, "width": 352, "id": 37777, "split": "val"},
    ],
    "annotations": [
        {"image_id": 37777, "id": 38, "caption": "The dining table near the kitchen has a bowl of fruit on it.\n"},
        {"image_id": 397133, "id": 370509, "caption": "A man is in a kitchen making pizzas."},
        {"image_id": 37777, "id": 182, "caption": "A small kitchen has various appliances and a table."},
    ],
}


def test_coco(tmp_path: Path) -> None:
    path = write(tmp_path / "captions_val2017.json", json.dumps(COCO))
    touch(tmp_path / "images/000000397133.jpg", tmp_path / "000000037777.jpg")
    table = read_table(path)
    assert table.format == "coco"
    assert table.records == (
        Record(
            "397133",
            str(tmp_path / "images/000000397133.jpg"),
            ("A man is in a kitchen making pizzas.",),
            "397133",
        ),
        Record(
            "37777",
            str(tmp_path / "000000037777.jpg"),
            (
                "The dining table near the kitchen has a bowl of fruit on it.",
                "A small kitchen has various appliances and a table.",
            ),
            "37777",
        ),
    )
    assert table.columns == {"split": (None, "val")}


def test_coco_in_its_published_folders(tmp_path: Path) -> None:
    path = write(tmp_path / "annotations/captions_val2017.json", json.dumps(COCO, indent=1))
    touch(tmp_path / "val2017/000000397133.jpg", tmp_path / "val2017/000000037777.jpg")
    records = read_records(path, images=tmp_path / "val2017")
    assert [record.image for record in records] == [
        str(tmp_path / "val2017/000000397133.jpg"),
        str(tmp_path / "val2017/000000037777.jpg"),
    ]
    assert [record.error for record in records] == [None, None]
    assert [record.error for record in read_records(path)] == ["image file not found"] * 2


def test_coco_image_without_captions_stays(tmp_path: Path) -> None:
    content = COCO | {"annotations": COCO["annotations"][1:2]}
    path = write(tmp_path / "c.json", json.dumps(content))
    assert [record.references for record in read_records(path)] == [("A man is in a kitchen making pizzas.",), ()]


FLICKR8K = (
    "1000268201_693b08cb0e.jpg#0\tA child in a pink dress is climbing up a set of stairs in an entry way .\n"
    "1000268201_693b08cb0e.jpg#1\tA girl going into a wooden building .\n"
    "2258277193_586949ec62.jpg.1#0\tpeople waiting for the subway\n"
    "1001773457_577c3a7d70.jpg#0\tA black dog and a spotted dog are fighting\n"
)


@pytest.mark.parametrize("folder", ["Flicker8k_Dataset", "images", ""])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_flickr8k(tmp_path: Path, folder: str, line_end: str) -> None:
    path = write(tmp_path / "Flickr8k.token.txt", FLICKR8K.replace("\n", line_end))
    touch(tmp_path / folder / "1000268201_693b08cb0e.jpg", tmp_path / folder / "1001773457_577c3a7d70.jpg")
    table = read_table(path)
    assert table.format == "flickr8k"
    assert [record.id for record in table.records] == [
        "1000268201_693b08cb0e.jpg",
        "2258277193_586949ec62.jpg.1",  # stands so in the published file, and no such image exists
        "1001773457_577c3a7d70.jpg",
    ]
    assert table.records[0].references == (
        "A child in a pink dress is climbing up a set of stairs in an entry way .",
        "A girl going into a wooden building .",
    )
    assert [record.error for record in table.records] == [None, "image file not found", None]


KAGGLE = """\
image,caption
1000268201_693b08cb0e.jpg,A child in a pink dress is climbing up a set of stairs in an entry way .
1000268201_693b08cb0e.jpg,"A girl , alone , going into a ""wooden"" building ."
1012212859_01547e3f17.jpg,A dog shakes its head near the shore , a red ball next to it .
1012212859_01547e3f17.jpg,"Fetch" is what the dog hears , it seems .
1012212859_01547e3f17.jpg,"Go" , she says , "now"
"""


def test_kaggle(tmp_path: Path) -> None:
    path = write(tmp_path / "captions.txt", KAGGLE)
    touch(tmp_path / "Images/1000268201_693b08cb0e.jpg", tmp_path / "Images/1012212859_01547e3f17.jpg")
    table = read_table(path)
    assert table.format == "kaggle"
    assert table.records == (
        Record(
            "1000268201_693b08cb0e.jpg",
            str(tmp_path / "Images/1000268201_693b08cb0e.jpg"),
            (
                "A child in a pink dress is climbing up a set of stairs in an entry way .",
                'A girl , alone , going into a "wooden" building .',
            ),
            "1000268201_693b08cb0e.jpg",
        ),
        Record(
            "1012212859_01547e3f17.jpg",
            str(tmp_path / "Images/1012212859_01547e3f17.jpg"),
            (
                "A dog shakes its head near the shore , a red ball next to it .",
                '"Fetch" is what the dog hears , it seems .',
                '"Go" , she says , "now"',
            ),
            "1012212859_01547e3f17.jpg",
        ),
    )


def eng(number: str, description: str, title: str = "Godchild Cristian Patricio Umaginga Tuaquiza") -> str:
    return (
        f"<DOC>\n<DOCNO>annotations/{number}.eng</DOCNO>\n<TITLE>{title}</TITLE>\n"
        f"<DESCRIPTION>{description}</DESCRIPTION>\n<NOTES></NOTES>\n<LOCATION>Quilotoa, Ecuador</LOCATION>\n"
        f"<DATE>April 2002</DATE>\n<IMAGE>images/{number}.jpg</IMAGE>\n"
        f"<THUMBNAIL>thumbnails/{number}.jpg</THUMBNAIL>\n</DOC>\n"
    )


@pytest.mark.parametrize("given", ["annotations_complete_eng", ""])
def test_iapr_tc12(tmp_path: Path, given: str) -> None:
    folder = tmp_path / "iaprtc12/annotations_complete_eng"
    write(
        folder / "00/112.eng",
        eng(
            "00/112",
            "a dark-skinned boy wearing a knitted woolly hat ; a house with a thatched roof in the background; ",
        ),
    )
    write(folder / "01/1000.eng", eng("01/1000", "the Bräu & the\ncaf&#233; at S&amp;P ;;  São Paulo"), "latin-1")
    write(folder / "01/1001.eng", eng("01/1001", ""), "latin-1")
    touch(tmp_path / "iaprtc12/images/00/112.jpg", tmp_path / "iaprtc12/images/01/1000.jpg")
    table = read_table(tmp_path / "iaprtc12" / given)
    images = tmp_path / "iaprtc12/images"
    assert table.format == "iapr-tc12"
    assert table.records == (
        Record(
            "00/112",
            str(images / "00/112.jpg"),
            ("a dark-skinned boy wearing a knitted woolly hat", "a house with a thatched roof in the background"),
            "00/112",
        ),
        # A number's entity is none that IAPR uses, so it is text, and ';' ends a sentence as ever.
        Record("01/1000", str(images / "01/1000.jpg"), ("the Bräu & the caf&#233", "at S&P", "São Paulo"), "01/1000"),
        Record("01/1001", str(images / "01/1001.jpg"), (), "01/1001", "image file not found"),
    )


def test_iapr_tc12_one_file_and_broken_ones(tmp_path: Path) -> None:
    folder = tmp_path / "eng"
    path = write(folder / "7.eng", eng("00/7", "a man ;"))
    touch(tmp_path / "images/00/7.jpg")
    (record,) = read_records(path)
    assert (record.id, record.error) == ("00/7", None)
    write(folder / "8.eng", "   ")
    write(folder / "9.eng", "no markup")
    (folder / "10.eng").mkdir()
    (folder / "11.eng").symlink_to(folder / "11.eng")
    assert {record.id: record.error for record in read_records(folder)} == {
        "00/7": None,
        "8": "annotation is empty",
        "9": "annotation has no <DOC>",
        "11": "annotation cannot be read (Too many levels of symbolic links)",
    }
    write(folder / "12.eng", eng("00/7", "again"))
    with pytest.raises(DataError, match=r"12\.eng|7\.eng.*'00/7' is there twice"):
        read_records(folder)


R2GEN = {
    "train": [
        {
            "id": "CXR2384_IM-0942",
            "report": "The heart size and pulmonary vascularity appear within normal limits .",
            "image_path": ["CXR2384_IM-0942/0.png", "CXR2384_IM-0942/1.png"],
            "split": "train",
        }
    ],
    "val": [],
    "test": [
        {
            "id": "02aa804e-bde0afdd",
            "study_id": 50414267,
            "subject_id": 10000032,
            "report": "no acute cardiopulmonary process .",
            "image_path": ["p10/p10000032/s50414267/02aa804e-bde0afdd.jpg"],
            "split": "test",
        }
    ],
}


@pytest.mark.parametrize("indent", [None, 2])
def test_r2gen(tmp_path: Path, indent: int | None) -> None:
    path = write(tmp_path / "annotation.json", json.dumps(R2GEN, indent=indent))
    touch(tmp_path / "images/CXR2384_IM-0942/0.png", tmp_path / "images/CXR2384_IM-0942/1.png")
    table = read_table(path)
    report = ("The heart size and pulmonary vascularity appear within normal limits .",)
    assert table.format == "r2gen"
    assert table.records == (
        Record("CXR2384_IM-0942#0", str(tmp_path / "images/CXR2384_IM-0942/0.png"), report, "CXR2384_IM-0942"),
        Record("CXR2384_IM-0942#1", str(tmp_path / "images/CXR2384_IM-0942/1.png"), report, "CXR2384_IM-0942"),
        Record(
            "02aa804e-bde0afdd#0",
            str(tmp_path / "p10/p10000032/s50414267/02aa804e-bde0afdd.jpg"),
            ("no acute cardiopulmonary process .",),
            "50414267",
            "image file not found",
        ),
    )
    assert table.columns == {"split": ("train", "train", "test")}


TWO = {"1": ("a cat", "a grey cat"), "b": ("un café , à Paris",)}


def check_two(table: RecordSet, folder: Path, name: str) -> None:
    assert table.format == name
    assert table.records == tuple(
        Record(id_, str(folder / f"images/{id_}.png"), TWO[id_], id_, None) for id_ in ("1", "b")
    )
    assert table.columns["split"] == ("train", "test")
    assert [str(value) for value in table.columns["is_member"]] == ["1", "0"]  # CSV knows text only


@pytest.fixture
def two_images(tmp_path: Path) -> Path:
    touch(tmp_path / "images/1.png", tmp_path / "images/b.png")
    return tmp_path


@pytest.mark.parametrize("suffix", ["jsonl", "json", "txt"])
def test_jsonl_captions(two_images: Path, suffix: str) -> None:
    rows = [
        {"id": 1, "image": "1.png", "captions": list(TWO["1"]), "split": "train", "is_member": 1},
        {"id": "b", "image": "images/b.png", "captions": list(TWO["b"]), "split": "test", "is_member": 0},
    ]
    text = "\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n"
    check_two(read_table(write(two_images / f"d.{suffix}", text)), two_images, "jsonl")
    check_two(read_table(write(two_images / "list.json", json.dumps(rows, indent=1))), two_images, "jsonl")


def test_jsonl_caption_rows_are_gathered(two_images: Path) -> None:
    rows = [
        {"id": "1", "image": "1.png", "caption": "a cat", "split": "train", "is_member": 1, "row": 0},
        {"id": "b", "image": "b.png", "caption": TWO["b"][0], "split": "test", "is_member": 0, "row": 1},
        {"id": 1, "image": "1.png", "caption": "a grey cat", "split": "train", "is_member": 1, "row": 2},
    ]
    table = read_table(write(two_images / "d.jsonl", "\n".join(map(json.dumps, rows))))
    assert table.columns["row"] == (None, 1)
    assert table.notes == {"records whose rows differ in column row (taken as absent)": 1}
    check_two(table, two_images, "jsonl")


def test_csv_captions(two_images: Path) -> None:
    text = (
        "\ufeffID, image ,captions,split,is_member\r\n"
        '1,1.png,"[""a cat"", ""a grey cat""]",train,1\r\n\r\n'
        'b,b.png,"[""un café , à Paris""]",test,0\r\n'
    )
    check_two(read_table(write(two_images / "d.csv", text)), two_images, "csv")


@pytest.mark.parametrize(("delimiter", "suffix"), [(",", "csv"), ("\t", "tsv")])
def test_csv_caption_rows_are_gathered(two_images: Path, delimiter: str, suffix: str) -> None:
    rows = [
        ["id", "image", "caption", "split", "is_member"],
        ["1", "1.png", "a cat", "train", "1"],
        ["1", "1.png", "a grey cat", "train", "1"],
        ["b", "b.png", '"un café , à Paris"', "test", "0"],
    ]
    text = "\n".join(delimiter.join(row) for row in rows)
    check_two(read_table(write(two_images / f"d.{suffix}", text)), two_images, "csv")


def test_csv_caption_over_two_lines_and_long(two_images: Path) -> None:
    text = 'id,image,caption\n1,1.png,"a\ncat"\nb,b.png,' + "x" * 200_000 + "\n"
    records = read_records(write(two_images / "d.csv", text))
    assert records[0].references == ("a\ncat",)
    assert len(records[1].references[0]) == 200_000


@pytest.mark.parametrize("whole", [pa.int64(), pa.float64()])
def test_parquet(two_images: Path, whole: Any) -> None:
    captions = pa.table(
        {
            "id": ["1", "b"],
            "image": ["1.png", "b.png"],
            "captions": [list(TWO["1"]), list(TWO["b"])],
            "split": ["train", "test"],
            "is_member": [1, 0],
        }
    )
    pq.write_table(captions, two_images / "d.parquet")
    check_two(read_table(two_images / "d.parquet"), two_images, "parquet")
    (two_images / "d.parquet").rename(two_images / "d.data")  # known by its first bytes, not its name
    check_two(read_table(two_images / "d.data"), two_images, "parquet")
    rows = pa.table({"id": pa.array([1, 1], whole), "image": ["1.png"] * 2, "caption": list(TWO["1"])})
    pq.write_table(rows, two_images / "e.parquet")
    assert [(each.id, each.references) for each in read_records(two_images / "e.parquet")] == [("1", TWO["1"])]


def test_a_runs_own_records_can_be_read_again(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere/1.png")
    records = [
        Record("1", str(tmp_path / "elsewhere/1.png"), ("a", "b"), "study"),
        Record("2", str(tmp_path / "elsewhere/2.png"), (), "2", "a reason of its own"),
    ]
    (tmp_path / "run").mkdir()
    write_records(tmp_path / "run/records.parquet", records)
    assert read_records(tmp_path / "run/records.parquet") == records


def test_tables_without_captions_or_ids_are_pictures_only(two_images: Path) -> None:
    path = write(two_images / "d.csv", "image,note\n1.png,x\nb.png,y\n")
    table = read_table(path)
    assert [(each.id, each.references, each.error) for each in table.records] == [
        ("1.png", (), None),
        ("b.png", (), None),
    ]
    assert table.columns == {"note": ("x", "y")}


def test_group_column(two_images: Path) -> None:
    path = write(two_images / "d.csv", "id,image,caption,group\n1,1.png,a,s\nb,b.png,b,\n")
    assert [record.group for record in read_records(path)] == ["s", "b"]


def test_folder_of_images(tmp_path: Path) -> None:
    touch(tmp_path / "b.JPG", tmp_path / "a/2.png", tmp_path / "a/10.png", tmp_path / ".hidden/x.png")
    touch(tmp_path / ".thumb.png", tmp_path / "readme.md")
    (tmp_path / "empty.png").touch()
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    table = read_table(tmp_path)
    assert table.format == "folder"
    assert [(record.id, record.error) for record in table.records] == [
        ("a/10.png", None),
        ("a/2.png", None),
        ("b.JPG", None),
        ("empty.png", "image file is empty"),
    ]
    assert table.records[2].image == str(tmp_path / "b.JPG")


def test_folder_of_a_data_set(tmp_path: Path) -> None:
    write(tmp_path / "captions.json", json.dumps(COCO))
    touch(tmp_path / "images/000000397133.jpg")
    assert read_table(tmp_path).format == "coco"
    assert read_table(tmp_path, format="coco").format == "coco"
    assert [record.id for record in read_records(tmp_path, format="folder")] == ["images/000000397133.jpg"]
    write(tmp_path / "more.csv", "image\nx.png\n")
    with pytest.raises(DataError, match=r"several annotation files: captions\.json, more\.csv"):
        read_records(tmp_path)


def test_forms_can_be_named(tmp_path: Path) -> None:
    whole, by_rows = FORMATS[:5], FORMATS[5:]
    assert whole == ("coco", "flickr8k", "kaggle", "iapr-tc12", "r2gen")
    assert by_rows == ("jsonl", "csv", "parquet", "folder", "webdataset")
    path = write(tmp_path / "captions.txt", "image,caption\na.jpg,one\n")
    assert read_table(path).format == "kaggle"
    assert read_table(path, format="csv").format == "csv"
    with pytest.raises(DataError, match=r"--format: unknown format 'coc'\. One of: auto, coco, flickr8k"):
        read_records(path, format="coc")


def test_order_of_folders_and_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "data/d.csv", "id,image,caption\n1,1.png,x\n")
    touch(tmp_path / "data/images/1.png", tmp_path / "other/1.png")
    monkeypatch.chdir(tmp_path)
    (record,) = read_records(Path("data/d.csv"))
    assert record.image == str(tmp_path / "data/images/1.png")  # absolute: a run can be used from anywhere
    (record,) = read_records(Path("data/d.csv"), images=Path("other"))
    assert record.image == str(tmp_path / "other/1.png")


def test_eight_thousand_records_in_a_second(tmp_path: Path) -> None:
    count = 8091
    (tmp_path / "images").mkdir()
    for index in range(count):
        (tmp_path / f"images/{index}.jpg").write_bytes(b"x")
    content = {
        "images": [{"id": index, "file_name": f"{index}.jpg"} for index in range(count)],
        "annotations": [
            {"image_id": index % count, "id": index, "caption": "a dog runs ."} for index in range(5 * count)
        ],
    }
    path = write(tmp_path / "captions.json", json.dumps(content))
    started = time.process_time()
    records = read_records(path)
    assert time.process_time() - started < 1
    assert len(records) == count
    assert all(len(record.references) == 5 and record.error is None for record in records)


def test_a_parquet_file_in_a_folder_is_its_annotation_where_there_is_no_other(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    pq.write_table(pa.table({"image": ["a.png"], "caption": ["one"]}), tmp_path / "mine.parquet")
    found = read_table(tmp_path)
    assert (found.format, [record.references for record in found.records]) == ("parquet", [("one",)])
    (tmp_path / "captions.txt").write_text("image,caption\na.png,other\n")
    assert read_table(tmp_path).format == "kaggle"


def test_a_table_may_say_which_bytes_its_pictures_have(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("image,caption,image_sha256\na.png,one,00ff\na.png,two,00ff\n")
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    (record,) = read_records(tmp_path / "a.csv")
    assert record.image_sha256 == "00ff"
    assert record.references == ("one", "two")
