"""Records one by one: tars, Parquet with its pictures, folders and tables, of this machine and of a store."""

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m4i_fast.data.bytes import ImageReader
from m4i_fast.data.readers import iter_records, open_records, read_records, read_table
from m4i_fast.data.readers.folder import image_names
from m4i_fast.data.readers.tar_members import tar_members
from m4i_fast.errors import DataError
from m4i_fast.record_file import RecordFile, write_record_stream
from m4i_fast.tables import write_records
from m4i_fast.types import Record


@pytest.fixture
def memory() -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


def tar_of(path: Path, *members: tuple[str, bytes] | tarfile.TarInfo, form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            tar.addfile(info, io.BytesIO(member[1]))
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def contents(records: list[Record]) -> list[bytes | str]:
    with ImageReader() as reader:
        return reader.read([record.image for record in records])


def test_webdataset(tmp_path: Path) -> None:
    path = tar_of(
        tmp_path / "s.tar",
        ("a/1.jpg", b"one"),
        ("a/1.txt", b"A dog runs.\nA brown dog.\n"),
        ("a/1.json", b'{"caption": "A dog runs.", "group": "g", "width": 3}'),
        ("a/2.cls", b"7"),
        ("a/2.PNG", b"two"),
        ("a/2.caption", "ünï".encode()),
        ("3.webp", b"three"),
        ("3.json", b'{"captions": ["x", "y"]}'),
        (".hidden.jpg", b"no"),
        ("notes.md", b"no sample"),
    )
    records = list(iter_records(path))
    assert [(each.id, each.references, each.group, each.error) for each in records] == [
        ("a/1", ("A dog runs.", "A brown dog."), "g", None),
        ("a/2", ("ünï",), "a/2", None),
        ("3", ("x", "y"), "3", None),
    ]
    assert contents(records) == [b"one", b"two", b"three"]
    assert records[0].image == f"tar:{path}#a/1.jpg@512+3"
    assert read_records(path) == records
    assert read_table(path).format == "webdataset"


def test_tar_of_images_alone(tmp_path: Path) -> None:
    (record,) = iter_records(tar_of(tmp_path / "s.tar", ("a.jpg", b"one")))
    assert (record.references, record.error) == ((), None)


def test_hostile_members_are_rows_with_a_reason(tmp_path: Path) -> None:
    path = tar_of(
        tmp_path / "s.tar",
        ("../../etc/passwd.jpg", b"x"),
        ("/etc/shadow.jpg", b"x"),
        special("link.jpg", tarfile.SYMTYPE, "/etc/passwd"),
        special("hard.jpg", tarfile.LNKTYPE, "good.jpg"),
        special("device.jpg", tarfile.CHRTYPE),
        special("fifo.jpg", tarfile.FIFOTYPE),
        special("folder.jpg", tarfile.DIRTYPE),
        ("twice.jpg", b"x"),
        ("twice.jpg", b"y"),
        ("two.jpg", b"x"),
        ("two.png", b"x"),
        ("empty.jpg", b""),
        ("none.txt", b"no picture"),
        ("text.jpg", b"x"),
        ("text.txt", b"\xff\xfe"),
        ("json.jpg", b"x"),
        ("json.json", b"{" * 9),
        ("deep.jpg", b"x"),
        ("deep.json", b'{"caption": ' + b"[" * 100_000),
        ("long.jpg", b"x"),
        ("long.txt", b"y" * ((1 << 20) + 1)),
        ("bell\a.jpg", b"x"),
        ("latin\udce9.jpg", b"x"),
        ("number.jpg", b"x"),
        ("number.json", b'{"caption": 7}'),
        ("good.jpg", b"good"),
    )
    records = read_records(path)
    assert {each.id: each.error for each in records} == {
        "../../etc/passwd": "the member's name leads out of the archive",
        "/etc/shadow": "the member's name leads out of the archive",
        "link": "the image is a link, not a file",
        "hard": "the image is a link, not a file",
        "device": "the image is a device, not a file",
        "fifo": "the image is a FIFO, not a file",
        "twice": "the tar holds this image twice",
        "two": "the sample holds two images",
        "empty": "image file is empty",
        "none": "the sample holds no image",
        "text": "its .txt cannot be read: not UTF-8 text (byte 0xff)",
        "json": "its .json cannot be read: not valid JSON (Expecting property name enclosed in double quotes)",
        "deep": "its .json cannot be read: JSON nested too deep",
        "long": "its .txt cannot be read: longer than 1 MiB",
        "bell\\x07": "the member's name holds a control character",
        "latin\\xe9": "the member's name is not UTF-8",
        "number": "a caption is not text but int",
        "good": None,
    }
    assert contents([each for each in records if each.id == "good"]) == [b"good"]
    write_records(tmp_path / "records.parquet", records)  # every one of them can be kept


def test_a_key_twice_in_the_shards_is_named(tmp_path: Path) -> None:
    tar_of(tmp_path / "s-0.tar", ("1.jpg", b"x"), ("2.jpg", b"x"))
    tar_of(tmp_path / "s-1.tar", ("2.jpg", b"y"))
    with pytest.raises(DataError, match="the id '2' is there twice"):
        write_record_stream(tmp_path / "r.parquet", iter_records(tmp_path / "s-{0..1}.tar"))
    with pytest.raises(DataError, match="the id '2' is there twice"):
        read_records(tmp_path / "s-*.tar")


def test_a_tar_that_is_cut_off_anywhere_is_said_to_be(tmp_path: Path) -> None:
    whole = tar_of(tmp_path / "s.tar", ("1.jpg", b"x" * 700), ("2.jpg", b"y" * 10)).read_bytes()
    end = 512 + 1024 + 512 + 512  # of the last member; then come blocks of zeros
    cut = tmp_path / "cut.tar"
    for length in (0, 100, 512, 600, 1211, 1212, 1500, 1536, 1600, 2048, 2050, end, end + 100):
        cut.write_bytes(whole[:length])
        records: list[Record] = []
        with pytest.raises(DataError, match=r"cut\.tar: the tar is cut off at byte \d+") as caught:
            records.extend(iter_records(cut, format="webdataset"))
        # A sample is out once the next one begins, and so the last whole one may be missing: the set is refused anyway.
        assert len(records) <= 2
        assert caught.value.exit_code == 2
    cut.write_bytes(whole[: end + 512])
    assert [each.id for each in iter_records(cut)] == ["1", "2"]


def test_damaged_and_other_archives(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "s.tar", ("1.jpg", b"x"), ("2.jpg", b"y"))
    content = bytearray(path.read_bytes())
    content[1024:1030] = b"ZZZZZZ"
    path.write_bytes(content)
    with pytest.raises(DataError, match="no tar, or damaged at byte 1024"):
        list(iter_records(path))
    with tarfile.open(tmp_path / "z.tar", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("a.jpg"))
    with pytest.raises(DataError, match="a compressed tar"):
        list(iter_records(tmp_path / "z.tar"))


def test_a_negative_size_does_not_go_in_circles(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "s.tar", ("1.jpg", b"x"))
    content = bytearray(path.read_bytes())
    content[124:136] = b"\xff" * 11 + b"\x00"  # -256 in base 256
    content[148:156] = b" " * 8
    content[148:156] = f"{sum(content[:512]):06o}\0 ".encode()
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged at byte 0: a member of negative size"):
        list(iter_records(path))


def test_a_header_that_claims_gigabytes(tmp_path: Path) -> None:
    info = special("long", tarfile.GNUTYPE_LONGNAME)
    info.size = 1 << 33
    path = tmp_path / "s.tar"
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT))
    with path.open("rb+") as file:
        file.truncate(1 << 33)
    with pytest.raises(DataError, match="a header of 8589934592 bytes at byte 0"):
        list(iter_records(path))


member_names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=300)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(member_names, st.binary(max_size=1100)), max_size=6),
    st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
)
def test_members_are_those_of_tarfile(
    tmp_path_factory: pytest.TempPathFactory, files: list[tuple[str, bytes]], form: int
) -> None:
    path = tar_of(tmp_path_factory.mktemp("t") / "s.tar", *files, form=form)
    with tarfile.open(path) as tar:
        wanted = [(each.name, each.offset_data, each.size) for each in tar if each.isfile()]
    found = [each for each in tar_members(path, contents=("",)) if each.kind != "folder"]
    assert [(each.name.rstrip("/"), each.offset, each.size) for each in found] == wanted
    data = path.read_bytes()
    assert all(each.content == data[each.offset :][: each.size] for each in found)


def hugging_face(path: Path, first: int = 0, rows: int = 5) -> Path:
    numbers = range(first, first + rows)
    table = pa.table(
        {
            "image": [{"bytes": bytes([number + 1]) * 3, "path": f"{number}.jpg"} for number in numbers],
            "text": [f"number {number}" for number in numbers],
            "split": ["train"] * rows,
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=2)
    return path


def test_parquet_with_its_pictures(tmp_path: Path) -> None:
    path = hugging_face(tmp_path / "train-0.parquet")
    records = list(iter_records(path))
    assert records[4] == Record(
        "train-0/000000004", f"parquet:{path}#image@4", ("number 4",), "train-0/000000004", None, None
    )
    assert contents(records) == [bytes([number + 1]) * 3 for number in range(5)]
    assert read_table(path).columns["split"] == ("train",) * 5
    assert [each.id for each in records] == sorted(each.id for each in records)


def test_parquet_columns_of_captions_and_ids(tmp_path: Path) -> None:
    table = {"ID": [7, 8], "IMG": [b"a", b"b"], "caption": [["one", "two"], []], "mask": [b"x", b"y"]}
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    assert [(each.id, each.references) for each in iter_records(tmp_path / "t.parquet")] == [
        ("7", ("one", "two")),
        ("8", ()),
    ]
    pq.write_table(pa.table({"jpg": [b"a"]}), tmp_path / "bare.parquet")
    assert contents(list(iter_records(tmp_path / "bare.parquet"))) == [b"a"]
    pq.write_table(pa.table({"mask": [b"a"]}), tmp_path / "other.parquet")
    with pytest.raises(DataError, match="no column 'image'"):
        list(iter_records(tmp_path / "other.parquet"))


def test_several_files(tmp_path: Path) -> None:
    for number in (0, 1, 2):
        hugging_face(tmp_path / f"d/t-{number}.parquet", number * 5)
    every = [each.id for each in iter_records(f"{tmp_path}/d/t-*.parquet")]
    assert every == [f"t-{number}/{row:09d}" for number in (0, 1, 2) for row in range(5)]
    assert [each.id for each in iter_records(f"{tmp_path}/d/t-{{0..1}}.parquet")] == every[:10]
    assert [each.id for each in iter_records(f"{tmp_path}/d/t-{{2,0}}.parquet")] == every[:5] + every[10:]
    with pytest.raises(DataError, match=r"t-3\.parquet: no such file"):
        list(iter_records(f"{tmp_path}/d/t-{{2..3}}.parquet"))
    with pytest.raises(DataError, match="no file matches"):
        iter_records(f"{tmp_path}/x-*.parquet")
    with pytest.raises(DataError, match="more than 100,000 files"):
        iter_records(f"{tmp_path}/{{0..99999999999}}.tar")
    with pytest.raises(DataError, match=r"Give one of them, or all as '.*/d/\*\.parquet'"):
        iter_records(tmp_path / "d")
    # A file that has this very name is no pattern.
    hugging_face(tmp_path / "t[0].parquet")
    assert len(read_records(tmp_path / "t[0].parquet")) == 5


def test_folder_of_tars(tmp_path: Path) -> None:
    for number in (1, 0):
        tar_of(tmp_path / f"{number}.tar", (f"{number}.jpg", b"x"))
    assert [each.id for each in iter_records(tmp_path)] == ["0", "1"]
    with pytest.raises(DataError, match="a tar of images needs no --images"):
        iter_records(tmp_path, images=tmp_path)


@settings(max_examples=40, deadline=None)
@given(st.sets(st.text("ab.-/", min_size=1, max_size=7).filter(lambda name: "//" not in name), max_size=12))
def test_folder_comes_sorted(tmp_path_factory: pytest.TempPathFactory, names: set[str]) -> None:
    folder = tmp_path_factory.mktemp("f")
    wanted = []
    for name in {name.strip("/") + ".jpg" for name in names}:
        if any(part.startswith(".") for part in name.split("/")):
            continue
        try:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"x")
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue
        wanted.append(name)
    assert list(image_names(folder)) == sorted(wanted)


def test_a_folder_that_cannot_be_listed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "b").mkdir()
    plain = os.scandir

    def refuse(path: Any) -> Any:
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied")
        return plain(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"/b: cannot be read \(Permission denied\)"):
        list(iter_records(tmp_path))


def test_rows_of_one_caption_may_lie_apart(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"x")
    lines = [("1", "a", "x"), ("1", "a", "y"), ("2", "b", "z"), ("1", "a", "w")]
    text = "".join(f'{{"id": "{id_}", "image": "{name}.jpg", "caption": "{said}"}}\n' for id_, name, said in lines)
    (tmp_path / "d.jsonl").write_text(text)
    stream = open_records(tmp_path / "d.jsonl")
    records = list(stream)
    assert [(each.id, each.references) for each in records] == [("1", ("x", "y")), ("2", ("z",)), ("1", ("w",))]
    assert stream.joins()
    write_record_stream(tmp_path / "r.parquet", records, join=stream.joins)
    with RecordFile(tmp_path / "r.parquet") as file:
        assert list(file) == read_records(tmp_path / "d.jsonl")
    (tmp_path / "d.jsonl").write_text(text + '{"id": "3", "image": "b.jpg", "captions": ["v"]}\n')
    stream = open_records(tmp_path / "d.jsonl")
    assert len(list(stream)) == 4
    assert not stream.joins()


def test_jsonl_faults_have_their_place(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    good = b'{"id": 1, "image": "a.jpg", "caption": "x"}\n'
    for line, message in (
        (b"nonsense", r"d\.jsonl:3:1: not valid JSON"),
        (b"7", r"d\.jsonl:3: an object is wanted"),
        (b'{"image": "\xe9"}', r"d\.jsonl:3:12: not UTF-8"),
        (b"[" * 100_000, r"d\.jsonl:3: JSON nested too deep"),
    ):
        path.write_bytes(b"\xef\xbb\xbf" + good + b"\r\n" + line)
        with pytest.raises(DataError, match=message):
            list(iter_records(path))


def test_a_store_gives_what_the_disk_gives(tmp_path: Path, memory: Any) -> None:
    folder = tmp_path / "d"
    hugging_face(folder / "p/t.parquet")
    tar_of(folder / "s-0.tar", ("1.jpg", b"one"), ("1.txt", b"said"))
    tar_of(folder / "s-1.tar", ("2.jpg", b"two"))
    for name in ("pics/b.jpg", "pics/a/x.jpg", "pics/a.jpg", "pics/a-b.jpg", "pics/.hid.jpg", "pics/no.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(name.encode())
    (folder / "pics/empty.jpg").touch()
    rows = '{"image": "pics/b.jpg", "caption": "x"}\n{"image": "../../etc/k", "caption": "y"}\n'
    (folder / "d.jsonl").write_text(rows)
    coco = '{"images": [{"id": 1, "file_name": "b.jpg"}], "annotations": [{"image_id": 1, "caption": "x"}]}'
    (folder / "coco.json").write_text(coco)
    for path in folder.rglob("*"):
        if path.is_file():
            memory.pipe_file(f"/box/{path.relative_to(folder).as_posix()}", path.read_bytes())
    home = str(folder)
    for name in ("p/t.parquet", "s-{0..1}.tar", "s-*.tar", "pics", "d.jsonl"):
        local, found = list(iter_records(f"{home}/{name}")), list(iter_records(f"memory://box/{name}"))
        assert [(each.id, each.references, each.error) for each in found] == [
            (each.id, each.references, each.error) for each in local
        ]
        good = [place for place, each in enumerate(local) if each.error is None]
        assert [found[place].image for place in good] == [
            local[place].image.replace(home, "memory://box") for place in good
        ]
        assert contents([found[place] for place in good]) == contents([local[place] for place in good])
        assert good
    (record,) = iter_records("memory://box/coco.json", images="memory://box/pics")
    assert contents([record]) == [b"pics/b.jpg"]
    (record,) = iter_records(folder / "coco.json", images="memory://box/pics/")
    assert record.image == "memory://box/pics/b.jpg"
    assert contents([record]) == [b"pics/b.jpg"]
    with pytest.raises(DataError, match=r"memory://box/none\.json: no such file"):
        iter_records("memory://box/none.json")


def test_a_table_names_urls_but_a_stores_table_names_no_file(tmp_path: Path, memory: Any) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"mine")
    images = [
        str(tmp_path / "secret.jpg"),
        "memory://box/a.jpg",
        f"tar:{tmp_path}/s.tar#a.jpg@512+3",
        "tar:memory://box/s.tar#a.jpg@512+3",
        "https://example.org/a.jpg",
        "s3://me:secret@bucket/a.jpg",
        "../up.jpg",
    ]
    pq.write_table(pa.table({"id": list("1234567"), "image": images}), tmp_path / "t.parquet")
    memory.pipe_file("/box/t.parquet", (tmp_path / "t.parquet").read_bytes())
    leaves = "image path leaves the data folder (name the images' folder with --images)"
    refused = ["URLs of https:// are not read", "a URL must hold no password", leaves]
    local, remote = read_records(tmp_path / "t.parquet"), read_records("memory://box/t.parquet")
    assert [each.error for each in local] == [None, None, None, None, *refused]
    assert [each.error for each in remote] == [leaves, None, leaves, None, *refused]
    assert all("secret@" not in each.image for each in local)
    coco = '{{"images": [{{"id": 1, "file_name": "{}"}}], "annotations": [{{"image_id": 1, "caption": "x"}}]}}'
    for name in images[1:4]:
        (tmp_path / "c.json").write_text(coco.format(name))
        assert read_records(tmp_path / "c.json")[0].error == leaves


def test_a_url_that_is_not_read(tmp_path: Path) -> None:
    for url, reason in (
        ("https://example.org/d.json", "URLs of https:// are not read"),
        ("s3://key:secret@bucket/d.json", r"^s3://\*\*\*@bucket/d\.json: a URL must hold no password"),
        ("s3://bucket/d.json::file:///etc/passwd", "chained URLs are not read"),
    ):
        with pytest.raises(DataError, match=reason) as caught:
            iter_records(url)
        assert "secret" not in str(caught.value)
