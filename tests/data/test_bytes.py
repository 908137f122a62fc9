"""Bytes of pictures from files, objects, tars and Parquet: each the same as lies there, or a reason."""

import hashlib
import io
import os
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from m4i_fast.data import bytes as room
from m4i_fast.data.bytes import EMPTY, TOO_LONG, ImageReader
from m4i_fast.data.duplicates import identical_files, image_groups
from m4i_fast.data.fingerprints import image_digests
from m4i_fast.data.images import decode, decode_bytes
from m4i_fast.data.locators import Cell, Member, format_locator
from m4i_fast.types import Record


@pytest.fixture
def memory() -> Iterator[Any]:
    """The store ``memory://``, empty before and after."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


@pytest.fixture
def reader() -> Iterator[ImageReader]:
    with ImageReader() as opened:
        yield opened


def png(shade: int, side: int = 8) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (shade, 0, 255 - shade)).save(buffer, "PNG")
    return buffer.getvalue()


def tar_of(path: Path, contents: dict[str, bytes]) -> list[str]:
    """A tar, and the locators of its members."""
    with tarfile.open(path, "w") as tar:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    with tarfile.open(path) as tar:
        return [format_locator(Member(str(path), each.name, each.offset_data, each.size)) for each in tar]


def test_files_tars_and_cells_in_any_order(tmp_path: Path, memory: Any, reader: ImageReader) -> None:
    contents = [bytes([index]) * (index + 1) for index in range(40)]
    files = []
    for index, content in enumerate(contents):
        (tmp_path / f"{index}#.jpg").write_bytes(content)
        files.append(str(tmp_path / f"{index}#.jpg"))
        memory.pipe_file(f"/box/{index}.jpg", content)
    objects = [f"memory://box/{index}.jpg" for index in range(40)]
    members = tar_of(tmp_path / "s#1.tar", {f"{index}.jpg": content for index, content in enumerate(contents)})
    structs = [{"bytes": content, "path": None} for content in contents]
    pq.write_table(pa.table({"plain": contents, "image": structs}), tmp_path / "t.parquet", row_group_size=7)
    cells = [format_locator(Cell(str(tmp_path / "t.parquet"), "image", row)) for row in range(40)]
    plain = [format_locator(Cell(str(tmp_path / "t.parquet"), "plain", row)) for row in range(40)]
    asked = [(place, index) for index in range(40) for place in (files, objects, members, cells, plain)]
    np.random.default_rng(0).shuffle(asked)
    assert reader.read([place[index] for place, index in asked]) == [contents[index] for _, index in asked]
    # The same one by one, forth and back, and a locator asked for twice.
    assert [reader.read([cells[row]])[0] for row in (3, 39, 0, 0, 8)] == [contents[row] for row in (3, 39, 0, 0, 8)]
    assert reader.read([members[5], members[5]]) == [contents[5]] * 2


def test_containers_in_a_store(tmp_path: Path, memory: Any, reader: ImageReader) -> None:
    members = tar_of(tmp_path / "s.tar", {"a.jpg": b"one", "b.jpg": b"two"})
    pq.write_table(pa.table({"image": [b"three", None]}), tmp_path / "t.parquet")
    for name in ("s.tar", "t.parquet"):
        memory.pipe_file(f"/box/{name}", (tmp_path / name).read_bytes())
    moved = [each.replace(str(tmp_path), "memory://box") for each in members]
    cells = [format_locator(Cell("memory://box/t.parquet", "image", row)) for row in (0, 1, 2)]
    assert reader.read([*moved, *cells]) == [
        b"one",
        b"two",
        b"three",
        EMPTY,
        "the Parquet file has no row 2 (it has 2) (t.parquet)",
    ]


def test_what_cannot_be_read_is_a_reason(tmp_path: Path, memory: Any, reader: ImageReader) -> None:
    (tmp_path / "empty.jpg").touch()
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    (member,) = tar_of(tmp_path / "s.tar", {"a.jpg": b"content"})
    pq.write_table(pa.table({"image": [b"x"], "caption": ["y"]}), tmp_path / "t.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and then nothing at all")
    memory.pipe_file("/box/empty.jpg", b"")
    cell = format_locator(Cell(str(tmp_path / "t.parquet"), "image", 0))
    expected = {
        str(tmp_path / "none.jpg"): "image file not found",
        str(tmp_path / "empty.jpg"): EMPTY,
        str(tmp_path / "fifo.jpg"): "image path is a FIFO, not a file",
        str(tmp_path / "loop.jpg"): "image path is a loop of links",
        str(tmp_path): "image path is a folder, not a file",
        "/a\0b.jpg": "image path is not a valid file name (embedded null byte)",
        "memory://box/none.jpg": "image file not found",
        "memory://box/empty.jpg": EMPTY,
        "https://example.org/a.jpg": "URLs of https:// are not read",
        "file:///etc/passwd": "URLs of file:// are not read",
        "s3://key:secret@bucket/a.jpg": "a URL must hold no password",
        "simplecache::s3://bucket/a.jpg": "image file not found",
        "s3://bucket/x::file:///etc/passwd": "chained URLs are not read",
        "tar:https://example.org/s.tar#a@0+4": "URLs of https:// are not read",
        member.replace("+7", "+0"): EMPTY,
        member.replace("+7", "+999999"): "the tar ends before this image does (truncated or replaced)",
        member.replace("+7", "+999999999999"): TOO_LONG,
        member.replace("s.tar", "none.tar"): "tar file not found",
        cell.replace("@0", "@1"): "the Parquet file has no row 1 (it has 1) (t.parquet)",
        cell.replace("#image", "#caption"): "the Parquet file has no column 'caption' of image bytes (t.parquet)",
        cell.replace("t.parquet", "none.parquet"): "image file not found",
    }
    assert dict(zip(expected, reader.read(list(expected)), strict=True)) == expected
    (bad,) = reader.read([cell.replace("t.parquet", "bad.parquet")])
    assert isinstance(bad, str)
    assert bad.startswith("not a readable Parquet file")
    assert reader.read([cell, member]) == [b"x", b"content"]  # and the reader is as good as before


def test_a_file_that_is_too_long_is_not_read_into_memory(tmp_path: Path, reader: ImageReader) -> None:
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(1 << 40)  # a hole: it takes no room on the disk
    assert reader.read([str(tmp_path / "huge.jpg")]) == [TOO_LONG]
    assert decode([str(tmp_path / "huge.jpg")], 4).errors == (TOO_LONG,)


def test_neighbours_are_one_request(tmp_path: Path, memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    members = tar_of(tmp_path / "s.tar", {f"{index}.jpg": bytes([index]) * 1000 for index in range(50)} | {
        "far.bin": bytes(room.GAP + 1024), "last.jpg": b"last"})  # fmt: skip
    memory.pipe_file("/box/s.tar", (tmp_path / "s.tar").read_bytes())
    moved = [each.replace(str(tmp_path), "memory://box") for each in members]
    asked: list[tuple[int, int]] = []
    plain = type(memory).cat_file

    def counted(self: Any, path: str, start: int, end: int, **more: Any) -> Any:
        asked.append((start, end))
        return plain(self, path, start=start, end=end, **more)

    monkeypatch.setattr(type(memory), "cat_file", counted)
    with ImageReader() as reader:
        found = reader.read([*moved[:50], moved[51]])
    assert found == [bytes([index]) * 1000 for index in range(50)] + [b"last"]
    assert len(asked) == 2


def test_what_may_pass_is_tried_again_and_not_for_ever(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PAUSE_S", 0.001)
    memory.pipe_file("/box/a.jpg", b"content")
    tries = {"left": 2}

    def failing(self: Any, path: str, start: int | None = None, end: int | None = None) -> bytes:
        if tries["left"]:
            tries["left"] -= 1
            raise TimeoutError("no answer\nsecond line")
        return b"content"

    monkeypatch.setattr(type(memory), "cat_file", failing)
    with ImageReader() as reader:
        assert reader.read(["memory://box/a.jpg"]) == [b"content"]
        tries["left"] = 99
        assert reader.read(["memory://box/a.jpg"]) == ["image file could not be fetched (no answer)"]
        assert tries["left"] == 99 - room.TRIES


def test_few_files_are_open_at_a_time(tmp_path: Path) -> None:
    members = [tar_of(tmp_path / f"{index}.tar", {"a.jpg": bytes([index + 1])})[0] for index in range(30)]
    handles = Path("/proc/self/fd")
    before = len(list(handles.iterdir())) if handles.exists() else None
    with ImageReader(threads=2, open_files=3) as reader:
        for _ in range(2):
            assert reader.read(members) == [bytes([index + 1]) for index in range(30)]
        if before is not None:
            assert len(list(handles.iterdir())) - before <= 3
    if before is not None:
        assert len(list(handles.iterdir())) == before


def test_several_threads_at_once(tmp_path: Path) -> None:
    contents = [os.urandom(2000) for _ in range(64)]
    pq.write_table(pa.table({"image": contents}), tmp_path / "t.parquet", row_group_size=16)
    places = [
        tar_of(tmp_path / "s.tar", {f"{index}.jpg": content for index, content in enumerate(contents)}),
        [format_locator(Cell(str(tmp_path / "t.parquet"), "image", row)) for row in range(64)],
    ]
    wrong: list[int] = []
    with ImageReader(threads=4, open_files=1) as reader:

        def work(seed: int) -> None:
            rng = np.random.default_rng(seed)
            for _ in range(15):
                rows = rng.integers(0, 64, 10)
                place = places[int(rng.integers(2))]
                if reader.read([place[row] for row in rows]) != [contents[row] for row in rows]:
                    wrong.append(seed)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert not wrong


def test_pixels_do_not_depend_on_the_place(tmp_path: Path, memory: Any) -> None:
    shades = (0, 90, 200)
    files = []
    for shade in shades:
        (tmp_path / f"{shade}.png").write_bytes(png(shade))
        memory.pipe_file(f"/box/{shade}.png", png(shade))
        files.append(str(tmp_path / f"{shade}.png"))
    members = tar_of(tmp_path / "s.tar", {f"{shade}.png": png(shade) for shade in shades})
    mixed = [files[0], "memory://box/90.png", members[2], "memory://box/none.png"]
    wanted = decode(files, 5)
    found = decode(mixed, 5, threads=2)
    assert found.errors == (None, None, None, "image file not found")
    assert np.array_equal(found.pixels[:3], wanted.pixels)
    assert not found.pixels[3].any()
    from_bytes = decode_bytes([png(0), "a reason", b"", png(200)[:40]], 5)
    assert from_bytes.errors[:3] == (None, "a reason", EMPTY)
    assert from_bytes.errors[3]
    assert np.array_equal(from_bytes.pixels[0], wanted.pixels[0])


def test_copies_and_digests_of_what_is_no_file(tmp_path: Path, memory: Any) -> None:
    (tmp_path / "a.png").write_bytes(png(10))
    memory.pipe_file("/box/b.png", png(200))
    members = tar_of(tmp_path / "s.tar", {"c.png": png(10), "d.png": png(90)})
    images = [str(tmp_path / "a.png"), "memory://box/b.png", *members]
    assert identical_files(images) == [(0, 2)]
    assert image_groups(images).tolist() == [0, 1, 0, 3]
    records = [Record(str(index), image) for index, image in enumerate(images)]
    first = hashlib.sha256(png(10)).hexdigest()
    assert image_digests(records) == [first, None, None, None]
    with ImageReader() as reader:
        whole = image_digests(records, reader=reader)
    assert whole == [first, hashlib.sha256(png(200)).hexdigest(), first, hashlib.sha256(png(90)).hexdigest()]


def test_a_reader_that_is_stopped_begins_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Down:
        def cat_file(self, path: str, start: int, end: int) -> bytes:
            asked.append(f"{path} {start} {end}")
            reader.stop()
            raise OSError("no route to the store")

    monkeypatch.setattr("m4i_fast.data.bytes.filesystem", lambda url: (Down(), url))
    began = time.perf_counter()
    with ImageReader(threads=1) as reader:
        found = reader.read([f"s3://box/{row}.jpg" for row in range(50)])
    assert len(asked) == 1
    assert time.perf_counter() - began < 5, "nobody waits to try again"
    assert all(isinstance(reason, str) and reason.startswith("image file could not be fetched") for reason in found)
