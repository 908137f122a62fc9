import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from m4i_fast.data.images import resized
from m4i_fast.data.variants import varied
from m4i_fast.engines import open_captioner
from m4i_fast.engines.onnx import OnnxCaptioner
from m4i_fast.errors import ConfigError, DataError, EngineError, RunError
from m4i_fast.query import Asks, query
from m4i_fast.query.parts import identify
from m4i_fast.query.records import ListedRecords
from m4i_fast.runs import open_run
from m4i_fast.tables import read_generations, read_metadata, read_repeats, write_records
from m4i_fast.types import Generations, ImageBatch, Record

VALUES = [0, 1, 2, 9, 255, 77, 78]
TEXTS = ("red", "green blue", "blue white black", "blue", "white", "red green blue", "green")


def _parts(root: Path) -> list[Path]:
    return sorted((root / "generations").glob("part-*.parquet"))


def _read(root: Path) -> Generations:
    return read_generations(_parts(root))


def test_every_record_gets_its_caption_in_order(graphs: Any, picture_records: Any, tmp_path: Path) -> None:
    records = picture_records(VALUES)
    with open_run(tmp_path / "run") as run:
        report = query(run, records, graphs.captioner(), batch=2, part_rows=3)
    said = _read(tmp_path / "run")
    assert said.ids == tuple(record.id for record in records)
    assert said.texts == TEXTS
    assert said.log_probs is not None
    assert said.log_probs[4].tolist() == pytest.approx([-255 / 256, 0, 0])
    assert [path.name for path in _parts(tmp_path / "run")] == [f"part-0000{index}.parquet" for index in range(3)]
    assert [read_metadata(path)[0] for path in _parts(tmp_path / "run")] == [3, 3, 1]
    assert (report.rows, report.errors, report.asked, report.kept, report.parts) == (7, 0, 7, 0, 3)
    assert report.provider == "cpu"
    assert 0 < report.clock.infer_s < report.wall_s
    assert report.clock.decode_s > 0
    assert report.clock.write_s > 0
    assert report.facts()["rows"] == 7


@pytest.mark.parametrize("batch", [1, 3, 100, "auto"])
@pytest.mark.parametrize("part_rows", [1, 4, 1024])
def test_batches_and_parts_change_no_answer(
    graphs: Any, picture_records: Any, tmp_path: Path, batch: Any, part_rows: int
) -> None:
    with open_run(tmp_path / "run") as run:
        query(run, picture_records(VALUES), graphs.captioner(), batch=batch, part_rows=part_rows)
    assert _read(tmp_path / "run").texts == TEXTS


def test_an_unreadable_picture_stays_a_row_with_its_reason(graphs: Any, picture_records: Any, tmp_path: Path) -> None:
    records = picture_records(VALUES, broken=(1, 4, 5))
    records[2] = Record(records[2].id, "", error="no image is named")
    Path(records[3].image).unlink()
    with open_run(tmp_path / "run") as run:
        report = query(run, records, graphs.captioner(), batch=2, part_rows=4)
        assert report.errors == 5
        assert query(run, records, graphs.captioner(), batch=2, part_rows=4).errors == 5
    said = _read(tmp_path / "run")
    assert said.texts == ("red", "", "", "", "", "", "green")
    assert [error is None for error in said.errors] == [True, False, False, False, False, False, True]
    assert said.errors[2] == "no image is named"
    assert said.log_probs is not None, "a part without one good row must not take them from the others"


def test_not_a_number_is_an_error_of_its_row(graphs: Any, picture_records: Any, tmp_path: Path) -> None:
    with open_run(tmp_path / "run") as run:
        report = query(run, picture_records(VALUES), graphs.captioner(poison=9), batch=4)
    assert report.errors == 1
    assert _read(tmp_path / "run").errors[3] == "the model gave a log-probability that is not a number"


def test_blank_pictures_are_not_sent_to_the_model(
    graphs: Any, picture_records: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from m4i_fast.engines.onnx_session import Session

    seen: list[int] = []
    real = Session.run

    def counting(self: Session, value: np.ndarray[Any, Any]) -> Any:
        seen.append(len(value))
        return real(self, value)

    monkeypatch.setattr(Session, "run", counting)
    with open_run(tmp_path / "run") as run:
        query(run, picture_records(VALUES, broken=(0, 1, 2)), graphs.captioner(), batch=2)
    assert seen == [1, 2, 1]


def _count_generated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    asked: list[str] = []
    real = OnnxCaptioner.generate

    def generate(self: OnnxCaptioner, batch: Any) -> Generations:
        asked.extend(batch.ids)
        return real(self, batch)

    monkeypatch.setattr(OnnxCaptioner, "generate", generate)
    return asked


def test_only_what_is_missing_is_asked_again(
    graphs: Any, picture_records: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records, engine = picture_records(VALUES), graphs.captioner()
    asked = _count_generated(monkeypatch)
    with open_run(tmp_path / "run") as run:
        query(run, records, engine, batch=2, part_rows=3)
        before = [path.read_bytes() for path in _parts(run.root)]
        del asked[:]
        report = query(run, records, engine, batch=2, part_rows=3)
        assert (report.asked, report.kept, report.provider, asked) == (0, 7, None, [])
        _parts(run.root)[1].unlink()
        report = query(run, records, engine, batch=2, part_rows=3)
        assert (report.asked, report.kept, asked) == (3, 4, ["r00003", "r00004", "r00005"])
        assert [path.read_bytes() for path in _parts(run.root)] == before


@pytest.mark.parametrize("content", [b"", b"PAR1 not really PAR1", None])
def test_a_damaged_part_is_made_again(
    graphs: Any, picture_records: Any, tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    records, engine = picture_records(VALUES), graphs.captioner()
    with open_run(tmp_path / "run") as run:
        query(run, records, engine, part_rows=3)
        part = _parts(run.root)[1]
        whole = part.read_bytes()
        part.write_bytes(whole[:-100] if content is None else content)
        report = query(run, records, engine, part_rows=3)
        assert (report.asked, report.kept) == (3, 4)
        assert part.read_bytes() == whole


def test_results_of_another_engine_records_or_settings_are_never_mixed(
    graphs: Any, picture_records: Any, tmp_path: Path
) -> None:
    records, engine = picture_records(VALUES), graphs.captioner()
    other = graphs.captioner("other.onnx", shift=1)
    with open_run(tmp_path / "run") as run:
        query(run, records, engine, part_rows=3)
        before = {path: path.read_bytes() for path in _parts(run.root)}
        with pytest.raises(RunError, match=r"made by another engine.*--out.*--again"):
            query(run, records, other, part_rows=3)
        for changed in (records[::-1], records[:-1], [*records[:-1], Record("new", records[-1].image)]):
            with pytest.raises(RunError, match="belongs to other records"):
                query(run, changed, engine, part_rows=3)
        with pytest.raises(RunError, match="belongs to other settings"):
            query(run, records, engine, part_rows=4)
        assert {path: path.read_bytes() for path in _parts(run.root)} == before
        query(run, records, other, part_rows=4, again=True)
        assert _read(run.root).texts[0] == "green"
        assert len(_parts(run.root)) == 2


def test_foreign_files_among_the_parts_are_refused(graphs: Any, picture_records: Any, tmp_path: Path) -> None:
    records, engine = picture_records(VALUES), graphs.captioner()
    with open_run(tmp_path / "run") as run:
        query(run, records, engine, part_rows=4)
        parts = _parts(run.root)
        (run.path("generations/part-00007.parquet")).write_bytes(parts[0].read_bytes())
        with pytest.raises(RunError, match="is no part of this query"):
            query(run, records, engine, part_rows=4)
        run.path("generations/part-00007.parquet").unlink()
        parts[1].write_bytes(parts[0].read_bytes())  # right footer, wrong rows
        with pytest.raises(RunError, match="is no part of this query"):
            query(run, records, engine, part_rows=4)
        write_records(parts[1], records)
        with pytest.raises(RunError, match="made by another engine"):
            query(run, records, engine, part_rows=4)


def test_a_changed_batch_goes_on_with_the_same_run(graphs: Any, picture_records: Any, tmp_path: Path) -> None:
    """Somebody whose memory ran out must not lose the answers that stand."""
    records, engine = picture_records(VALUES), graphs.captioner()
    with open_run(tmp_path / "run") as run:
        query(run, records, engine, batch=7, part_rows=3)
        _parts(run.root)[2].unlink()
        assert query(run, records, engine, batch=1, threads=1, part_rows=3).kept == 6


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"batch": 0}, "batch"),
        ({"batch": "many"}, "batch"),
        ({"part_rows": 0}, "part_rows"),
        ({"decode_threads": -1}, "decode_threads"),
    ],
)
def test_numbers_out_of_range_are_refused(
    graphs: Any, picture_records: Any, tmp_path: Path, wrong: Any, says: str
) -> None:
    with open_run(tmp_path / "run") as run, pytest.raises(ConfigError, match=says):
        query(run, picture_records([1]), graphs.captioner(), **wrong)


def test_no_record_and_double_ids_are_refused(graphs: Any, picture_records: Any, tmp_path: Path) -> None:
    records = picture_records([1, 2])
    with open_run(tmp_path / "run") as run:
        with pytest.raises(DataError, match="no record"):
            query(run, [], graphs.captioner())
        with pytest.raises(DataError, match="r00000: two records have this id"):
            query(run, [records[0], records[1], records[0]], graphs.captioner())
        with pytest.raises(EngineError, match="no such engine file"):
            query(run, records, tmp_path / "gone.onnx")
    assert _parts(tmp_path / "run") == []


def test_a_failure_on_the_way_leaves_whole_parts_and_no_thread(
    graphs: Any, picture_records: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records, engine = picture_records(VALUES), graphs.captioner()
    real = OnnxCaptioner.generate

    def stops(self: OnnxCaptioner, batch: Any) -> Generations:
        if "r00005" in batch.ids:
            raise KeyboardInterrupt
        return real(self, batch)

    with open_run(tmp_path / "run") as run:
        with monkeypatch.context() as patch:
            patch.setattr(OnnxCaptioner, "generate", stops)
            with pytest.raises(KeyboardInterrupt):
                query(run, records, engine, batch=1, part_rows=2)
        assert sorted(path.name for path in (run.root / "generations").iterdir()) == [
            "part-00000.parquet",
            "part-00001.parquet",
        ]
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("m4i-")]
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert query(run, records, engine, batch=1, part_rows=2).kept == 5, "what was answered is kept, part or not"
    assert _read(tmp_path / "run").texts == TEXTS


def test_a_part_that_cannot_be_renamed_leaves_nothing_half_written(
    graphs: Any, picture_records: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with open_run(tmp_path / "run") as run:
        with monkeypatch.context() as patch:
            patch.setattr("m4i_fast.runs.os.fsync", full)
            with pytest.raises(Exception, match="No space left"):
                query(run, picture_records(VALUES), graphs.captioner())
        assert list((run.root / "generations").iterdir()) == []
        assert query(run, picture_records(VALUES), graphs.captioner()).asked == 0, "all answers had been kept"
    assert _read(tmp_path / "run").texts == TEXTS


def test_the_identity_takes_any_name_of_a_file() -> None:
    strange = Record("x", "\udcff/\ud800.png")
    plain = ListedRecords([Record("x", "y.png")])
    assert identify("e", {}, ListedRecords([strange])) != identify("e", {}, plain)
    assert identify("e", {"a": 1, "b": 2}, plain) == identify("e", {"b": 2, "a": 1}, plain)


SLOW = """
import sys, time
from pathlib import Path
from m4i_fast.engines.onnx import OnnxCaptioner
from m4i_fast.progress import hush
from m4i_fast.query import Asks, query
from m4i_fast.runs import open_run
from m4i_fast.tables import read_records

real = OnnxCaptioner.generate
def slow(self, batch):
    time.sleep(0.004)
    return real(self, batch)
OnnxCaptioner.generate = slow
hush()
root, engine = Path(sys.argv[1]), sys.argv[2]
with open_run(root) as run:
    print("ready", flush=True)
    query(run, read_records(root / "records.parquet"), engine, batch=4, part_rows=10, threads=1, decode_threads=1)
"""


def _start(root: Path, engine: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(root), str(engine)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _prepare(graphs: Any, picture_records: Any, tmp_path: Path) -> tuple[list[Record], Path]:
    records = picture_records(list(range(255)), broken=(3, 100, 101))
    for name in ("calm", "killed"):
        write_records(tmp_path / name / "records.parquet", records)
    engine = graphs.captioner()
    with open_run(tmp_path / "calm") as run:
        query(run, records, engine, batch=4, part_rows=10)
    return records, engine


def test_a_query_killed_again_and_again_ends_as_an_undisturbed_one(
    graphs: Any, picture_records: Any, tmp_path: Path
) -> None:
    _, engine = _prepare(graphs, picture_records, tmp_path)
    moments = random.Random("kill")
    done: list[int] = []
    for _ in range(4):
        process = _start(tmp_path / "killed", engine)
        goal = (done[-1] if done else 0) + 1
        deadline = time.monotonic() + 20  # die after at least one new part, at no particular moment
        while len(_parts(tmp_path / "killed")) < goal and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.03))
        process.kill()
        process.communicate()
        done.append(len(_parts(tmp_path / "killed")))
    assert done == sorted(set(done)), "each try must get on"
    assert done[0] < 26
    process = _start(tmp_path / "killed", engine)
    _, complaints = process.communicate()
    assert (process.returncode, complaints) == (0, "")
    for calm, killed in zip(_parts(tmp_path / "calm"), _parts(tmp_path / "killed"), strict=True):
        assert calm.name == killed.name
        assert calm.read_bytes() == killed.read_bytes()
    names = {path.name for path in (tmp_path / "killed" / "generations").iterdir()}
    assert names == {path.name for path in _parts(tmp_path / "calm")}, "no temporary file may stay"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT)])
def test_a_polite_stop_leaves_whole_parts_only(
    graphs: Any, picture_records: Any, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    _, engine = _prepare(graphs, picture_records, tmp_path)
    process = _start(tmp_path / "killed", engine)
    deadline = time.monotonic() + 20
    while not _parts(tmp_path / "killed") and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(process.pid, number)
    process.communicate(timeout=20)
    assert process.returncode == code
    left = list((tmp_path / "killed" / "generations").iterdir())
    assert 0 < len(left) < 26
    calm = {path.name: path.read_bytes() for path in _parts(tmp_path / "calm")}
    assert all(path.read_bytes() == calm[path.name] for path in left)


@pytest.fixture
def split_pictures(tmp_path: Path) -> list[Record]:
    """Five pictures, each of two halves; the last cannot be read."""
    records = []
    for index, (left, right) in enumerate([(200, 0), (0, 90), (10, 20), (255, 254), (7, 7)]):
        pixels = np.zeros((10, 10, 3), np.uint8)
        pixels[:, :5], pixels[:, 5:] = left, right
        path = tmp_path / f"split{index}.png"
        Image.fromarray(pixels).save(path)
        records.append(Record(f"r{index}", str(path)))
    Path(records[4].image).write_bytes(b"no picture")
    return records


CROPPED_AND_FLIPPED = Asks(("flip", "crop"))


def _sha256(record: Record) -> str:
    return hashlib.sha256(Path(record.image).read_bytes()).hexdigest()


def _repeats(root: Path) -> list[Path]:
    return sorted((root / "repeats").glob("part-*.parquet"))


def _everything(root: Path) -> dict[str, bytes]:
    return {path.name + path.parent.name: path.read_bytes() for path in (*_parts(root), *_repeats(root))}


def test_variants_are_asked_beside_the_picture_and_kept_apart(
    graphs: Any, split_pictures: list[Record], tmp_path: Path
) -> None:
    with open_run(tmp_path / "run") as run:
        report = query(run, split_pictures, graphs.captioner(), batch=4, part_rows=2, asks=CROPPED_AND_FLIPPED)
    assert (report.rows, report.asked, report.errors, report.parts) == (5, 15, 1, 3)
    plain = _read(tmp_path / "run")
    assert plain.ids == ("r0", "r1", "r2", "r3", "r4")
    with open_captioner(graphs.captioner()) as captioner:
        # What the variants of each picture are is made here by itself, from the file.
        for variant, rows in (("", plain), ("flip", None), ("crop", None)):
            pixels = np.stack(
                [
                    resized(varied(Image.open(record.image), variant, key=_sha256(record), sample=0), 4)
                    for record in split_pictures[:4]
                ]
            )
            expected = captioner.generate(ImageBatch(plain.ids[:4], pixels, (None,) * 4))
            if rows is None:
                said, variants, samples = read_repeats(_repeats(tmp_path / "run"))
                chosen = [row for row, name in enumerate(variants) if name == variant]
                assert [said.ids[row] for row in chosen] == list(plain.ids)
                assert samples.tolist() == [0] * 10
                assert tuple(said.texts[row] for row in chosen) == (*expected.texts, "")
                assert said.errors[chosen[4]] == "not an image, or of an unknown format"
            else:
                assert rows.texts == (*expected.texts, "")
    assert [read_metadata(path)[0] for path in _repeats(tmp_path / "run")] == [4, 4, 2]


def test_a_lost_part_of_the_repeats_is_made_again_and_the_rest_is_kept(
    graphs: Any, split_pictures: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = graphs.captioner()
    more: Any = {"batch": 4, "part_rows": 2, "asks": CROPPED_AND_FLIPPED}
    asked = _count_generated(monkeypatch)
    with open_run(tmp_path / "run") as run:
        query(run, split_pictures, engine, **more)
        before = _everything(run.root)
        assert len(before) == 6
        del asked[:]
        assert query(run, split_pictures, engine, **more).asked == 0
        _repeats(run.root)[1].unlink()
        report = query(run, split_pictures, engine, **more)
        assert (report.asked, report.kept, asked) == (6, 9, ["r2"] * 3 + ["r3"] * 3)
        assert _everything(run.root) == before
        _repeats(run.root)[2].write_bytes(b"PAR1 no more")
        assert query(run, split_pictures, engine, **more).asked == 3
        assert _everything(run.root) == before


def test_a_query_with_variants_goes_on_where_it_stood(
    graphs: Any, split_pictures: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = graphs.captioner()
    more: Any = {"batch": 2, "part_rows": 3, "asks": CROPPED_AND_FLIPPED}
    with open_run(tmp_path / "calm") as run:
        query(run, split_pictures, engine, **more)
    real = OnnxCaptioner.generate

    def stops(self: OnnxCaptioner, batch: Any) -> Generations:
        if "r2" in batch.ids:
            raise KeyboardInterrupt
        return real(self, batch)

    with open_run(tmp_path / "run") as run:
        with monkeypatch.context() as patch:
            patch.setattr(OnnxCaptioner, "generate", stops)
            with pytest.raises(KeyboardInterrupt):
                query(run, split_pictures, engine, **more)
        assert _everything(run.root) == {}
        assert query(run, split_pictures, engine, **more).kept == 6
        assert _everything(run.root) == _everything(tmp_path / "calm")
        with pytest.raises(RunError, match="other settings"):
            query(run, split_pictures, engine, batch=2, part_rows=3)


def test_samples_of_an_engine_that_always_says_the_same_are_refused(
    graphs: Any, split_pictures: list[Record], tmp_path: Path
) -> None:
    with open_run(tmp_path / "run") as run, pytest.raises(EngineError, match=r"2 samples were asked for.*--augment"):
        query(run, split_pictures, graphs.captioner(), asks=Asks((), 2))
    assert not (tmp_path / "run/ledger.sqlite").exists()
