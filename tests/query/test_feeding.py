import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from m4i_fast.data.bytes import ImageReader
from m4i_fast.query import feeding as room
from m4i_fast.query import pictures
from m4i_fast.query.asks import PLAIN, Ask
from m4i_fast.query.feeding import AHEAD, feeding
from m4i_fast.query.pictures import Batch, Filled, Wanted, fill
from m4i_fast.types import Record


def _batches(count: int, rows: int = 1) -> Iterator[Batch]:
    for start in range(0, count * rows, rows):
        yield [Wanted(row, Record(str(row), "x.png"), PLAIN) for row in range(start, start + rows)]


def _numbered(rows: Batch, pixels: Any) -> Filled:
    for row, wanted in enumerate(rows):
        pixels[row] = wanted.question
    return Filled([None] * len(rows), [str(wanted.question).encode() for wanted in rows], 0.25, 0.5)


def _alive() -> bool:
    return any(thread.name.startswith("m4i-decode") for thread in threading.enumerate())


def test_batches_come_whole_and_in_order() -> None:
    slow = iter([0.05, 0.0, 0.03, 0.0, 0.02] * 100)

    def work(rows: Batch, pixels: Any) -> Filled:
        time.sleep(next(slow))
        return _numbered(rows, pixels)

    with feeding(_batches(5, rows=9), 2, threads=3, work=work) as feed:
        for number, fed in enumerate(feed):
            rows = list(range(9 * number, 9 * number + 9))
            assert [wanted.question for wanted in fed.batch] == rows
            assert fed.images.ids == tuple(map(str, rows))
            assert fed.images.pixels.shape == (9, 2, 2, 3)
            assert fed.images.pixels[:, 1, 1, 2].tolist() == rows
            assert fed.sha256 == [str(row).encode() for row in rows]
            assert fed.images.errors == (None,) * 9
        assert number == 4
        # 9 rows are three pieces of work: 4, 4 and 1.
        assert (feed.read_s, feed.decode_s) == (5 * 3 * 0.25, 5 * 3 * 0.5)
    assert not _alive()


def test_no_more_batches_are_made_ready_than_allowed() -> None:
    taken: list[int] = []

    def counted() -> Iterator[Batch]:
        for batch in _batches(20):
            taken.append(batch[0].question)
            yield batch

    with feeding(counted(), 2, threads=4, work=_numbered) as feed:
        assert taken == [], "nothing before the first is asked for"
        for number, _ in enumerate(feed):
            time.sleep(0.01)
            assert len(taken) == min(20, number + 1 + AHEAD)
    assert not _alive()


def test_pictures_are_made_ready_while_the_model_works() -> None:
    second = threading.Event()

    def work(rows: Batch, pixels: Any) -> Filled:
        if rows[0].question == 1:
            second.set()
        return _numbered(rows, pixels)

    with feeding(_batches(3), 2, threads=1, work=work) as feed:
        for number, _ in enumerate(feed):
            if number == 0:
                assert second.wait(10), "batch 1 must be made ready while batch 0 is in use"
        assert feed.wait_s >= 0


def test_the_rows_of_a_batch_are_made_ready_by_several_threads() -> None:
    together = threading.Barrier(3, timeout=10)

    def work(rows: Batch, pixels: Any) -> Filled:
        together.wait()
        return _numbered(rows, pixels)

    with feeding(_batches(1, rows=3 * room.CHUNK), 2, threads=3, work=work) as feed:
        assert len(list(feed)) == 1


def test_waiting_for_pictures_is_timed() -> None:
    def work(rows: Batch, pixels: Any) -> Filled:
        time.sleep(0.03)
        return _numbered(rows, pixels)

    with feeding(_batches(3), 2, threads=1, work=work) as feed:
        assert len(list(feed)) == 3
        assert feed.wait_s > 0.05


def test_a_buffer_is_used_again_and_never_while_it_is_lent() -> None:
    buffers: list[Any] = []
    with feeding(_batches(40, rows=2), 2, threads=2, work=_numbered) as feed:
        for fed in feed:
            time.sleep(0.001)
            assert fed.images.pixels[:, 0, 0, 0].tolist() == [wanted.question for wanted in fed.batch]
            buffers.append(fed.images.pixels.base)  # held, so that no two can have one address
    assert len({id(buffer) for buffer in buffers}) <= AHEAD + 2


def test_batches_of_any_size_fit_their_buffers() -> None:
    sizes = [3, 1, 5, 2, 5, 1, 8, 3]

    def batches() -> Iterator[Batch]:
        for size in sizes:
            yield [Wanted(size, Record(str(row), "x.png"), PLAIN) for row in range(size)]

    with feeding(batches(), 2, threads=2, work=_numbered) as feed:
        for size, fed in zip(sizes, feed, strict=True):
            assert fed.images.pixels.shape == (size, 2, 2, 3)
            assert (fed.images.pixels == size).all()


def test_an_error_reaches_the_caller_at_its_batch() -> None:
    def work(rows: Batch, pixels: Any) -> Filled:
        if rows[0].question == 2:
            raise MemoryError("no room")
        return _numbered(rows, pixels)

    seen: list[int] = []
    with pytest.raises(MemoryError, match="no room"), feeding(_batches(5), 2, threads=2, work=work) as feed:
        seen.extend(fed.batch[0].question for fed in feed)
    assert seen == [0, 1]
    assert not _alive()


def test_an_error_of_the_batches_reaches_the_caller() -> None:
    def broken() -> Iterator[Batch]:
        yield from _batches(4)
        raise OSError("the list cannot be read")

    with (
        pytest.raises(OSError, match="the list cannot be read"),
        feeding(broken(), 2, threads=2, work=_numbered) as feed,
    ):
        list(feed)
    assert not _alive()


def test_a_caller_that_leaves_early_leaves_no_thread_and_does_not_wait_for_the_rest() -> None:
    begun: list[int] = []

    def work(rows: Batch, pixels: Any) -> Filled:
        begun.append(rows[0].question)
        time.sleep(0.05)
        return _numbered(rows, pixels)

    with feeding(_batches(50, rows=40), 2, threads=1, work=work) as feed:
        assert next(iter(feed)).batch[0].question == 0
        assert _alive()
    assert not _alive()
    assert len(begun) <= 10 + 2, "of 30 pieces that had been handed out"


def test_bad_records_are_blank_rows_with_reasons(picture_records: Any) -> None:
    records = picture_records([10, 20, 30], broken=(1,))
    records.append(Record("last", "", error="no image is named"))
    Path(records[0].image).with_name("empty.png").touch()
    records.append(Record("empty", str(Path(records[0].image).with_name("empty.png"))))
    pixels = np.full((5, 4, 4, 3), 99, np.uint8)
    with ImageReader() as reader:
        filled = fill([Wanted(row, record, PLAIN) for row, record in enumerate(records)], pixels, reader)
    assert pixels[:, 0, 0, 0].tolist() == [10, 0, 30, 0, 0]
    assert filled.errors == [
        None,
        "not an image, or of an unknown format",
        None,
        "no image is named",
        "image file is empty",
    ]
    assert filled.sha256[:2] == [hashlib.sha256(Path(records[row].image).read_bytes()).digest() for row in (0, 1)]
    assert filled.sha256[3:] == [None, None]
    assert filled.read_s > 0
    assert filled.decode_s > 0


def test_each_row_is_the_variant_that_was_asked_for_and_a_record_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    halves = np.zeros((4, 4, 3), np.uint8)
    halves[:, :2] = 200
    Image.fromarray(halves).save(tmp_path / "a.png")
    Image.fromarray(255 - halves).save(tmp_path / "b.png")
    read: list[str] = []
    real = pictures.open_regular

    def noted(path: str) -> Any:
        read.append(Path(path).stem)
        return real(path)

    monkeypatch.setattr(pictures, "open_regular", noted)
    a, b = (Record(name, str(tmp_path / f"{name}.png")) for name in "ab")
    rows = [(a, ""), (a, "flip"), (b, "flip"), (b, "")]
    into = np.zeros((4, 4, 4, 3), np.uint8)
    with ImageReader() as reader:
        filled = fill([Wanted(row, record, Ask(variant)) for row, (record, variant) in enumerate(rows)], into, reader)
    assert into[:, 0, :, 0].tolist() == [[200, 200, 0, 0], [0, 0, 200, 200], [255, 255, 55, 55], [55, 55, 255, 255]]
    assert read == ["a", "b"]
    assert filled.sha256[0] == filled.sha256[1] != filled.sha256[2]
