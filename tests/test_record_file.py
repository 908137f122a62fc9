"""records.parquet from a stream: sorted by id, whole or not at all, in memory that does not grow with it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m4i_fast import record_file
from m4i_fast.errors import DataError
from m4i_fast.record_file import RecordFile, write_record_stream
from m4i_fast.tables import read_records, write_records
from m4i_fast.types import Record


def record(number: int) -> Record:
    return Record(f"{number:06d}", f"/p/{number}.jpg", (f"caption {number}", "ü"), f"g{number % 3}", None, "ab" * 32)


@pytest.fixture
def small_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_file, "RUN_ROWS", 7)
    monkeypatch.setattr(record_file, "FAN", 3)
    monkeypatch.setattr(record_file, "PIECE", 2)


@pytest.mark.usefixtures("small_runs")
@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=3), unique=True, max_size=120))
def test_comes_back_sorted(tmp_path_factory: pytest.TempPathFactory, ids: list[str]) -> None:
    path = tmp_path_factory.mktemp("r") / "records.parquet"
    records = [Record(id_, f"/{id_}", (id_,), id_, None, None) for id_ in ids]
    assert write_record_stream(path, iter(records)) == len(ids)
    wanted = sorted(records, key=lambda each: each.id)
    assert read_records(path) == wanted
    with RecordFile(path) as file:
        assert list(file) == wanted
        assert len(file) == len(ids)
    assert [each.name for each in path.parent.iterdir()] == ["records.parquet"]


def test_blocks_and_ids(tmp_path: Path) -> None:
    path = tmp_path / "records.parquet"
    records = [record(number) for number in range(2500)]
    write_record_stream(path, reversed(records))
    with RecordFile(path) as file:
        for start, stop in ((0, 1), (1000, 1100), (1023, 1025), (0, 2500), (2400, 9999), (5, 5), (7, 3), (2500, 2600)):
            assert file.block(start, stop) == records[start:stop]
            assert file.ids(start, stop) == [each.id for each in records[start:stop]]
    write_records(path, records)  # a list is written alike
    with RecordFile(path) as file:
        assert file.block(1000, 1030) == records[1000:1030]


@pytest.mark.usefixtures("small_runs")
def test_an_id_twice_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / "records.parquet"
    for places in ((0, 1), (0, 90), (50, 99)):
        records = [record(number) for number in range(100)]
        records[places[1]] = record(places[0])
        with pytest.raises(DataError, match=f"the id '{places[0]:06d}' is there twice"):
            write_record_stream(path, records)
        assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("small_runs")
def test_captions_that_lie_apart_are_joined_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "records.parquet"
    rows = [Record(str(number % 10), f"/{number % 10}", (f"c{number}",), "g") for number in range(50)]
    assert write_record_stream(path, rows, join=lambda: True) == 10
    assert read_records(path)[3] == Record("3", "/3", ("c3", "c13", "c23", "c33", "c43"), "g")
    with pytest.raises(DataError, match="the id '3' has two values of image: '/3' and '/other'"):
        write_record_stream(path, [*rows, Record("3", "/other", ("x",), "g")], join=True)
    assert len(read_records(path)) == 10  # what stood there stands


def test_a_stream_that_fails_leaves_what_stood(tmp_path: Path) -> None:
    path = tmp_path / "records.parquet"
    write_record_stream(path, [record(1)])

    def failing() -> Iterator[Record]:
        yield record(2)
        raise DataError("the tar is cut off")

    with pytest.raises(DataError, match="cut off"):
        write_record_stream(path, failing())
    with pytest.raises(DataError, match="not valid Unicode"):
        write_record_stream(path, [Record("\ud800", "/a")])
    assert [each.name for each in tmp_path.iterdir()] == ["records.parquet"]
    assert read_records(path) == [record(1)]


def test_what_is_no_record_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        RecordFile(tmp_path / "none.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        RecordFile(tmp_path / "bad.parquet")


MEASURED = """
import json, random, resource, sys
from pathlib import Path
from m4i_fast import record_file
from m4i_fast.record_file import RecordFile, write_record_stream
from m4i_fast.types import Record
record_file.RUN_ROWS = 8192  # both counts are runs on disk
count, path = int(sys.argv[1]), Path(sys.argv[2])
rng = random.Random(0)
def records():
    for number in range(count):
        key = f"{rng.getrandbits(64):016x}"
        image = f"tar:s3://bucket/{number // 1000:06d}.tar#{key}.jpg@{number}+99999"
        yield Record(key, image, ("a man rides a horse",) * 3, key)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
base = peak()
written = write_record_stream(path, records())
with RecordFile(path) as file:
    read = sum(1 for _ in file)
print(json.dumps([written, read, base, peak()]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss is in KiB on Linux alone")
def test_memory_does_not_grow_with_the_records(tmp_path: Path) -> None:
    peaks = []
    for count in (20_000, 200_000):
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, str(count), str(tmp_path / f"{count}.parquet")],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        written, read, base, peak = json.loads(done.stdout)
        assert written == read == count
        peaks.append(peak - base)
    assert peaks[1] - peaks[0] < 25, f"MB over the start, of 20,000 and of 200,000 records: {peaks}"
