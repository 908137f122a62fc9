import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from m4i_fast.engines.metadata import EngineMetadata
from m4i_fast.errors import EngineError, RunFailed
from m4i_fast.query import query, runner, workers
from m4i_fast.query.asks import Asks
from m4i_fast.runs import open_run
from m4i_fast.tables import write_records
from m4i_fast.types import Record

SPECIALS = ["<pad>", "<start>", "<end>", "<unk>"]


def tables(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for folder in ("generations", "repeats")
        for path in (root / folder).iterdir()
    }


def ask(root: Path, records: list[Record], engine: Path, **more: Any) -> Any:
    with open_run(root) as run:
        return query(run, records, engine, batch=4, part_rows=10, asks=Asks(("flip",)), **more)


def team() -> list[Any]:
    return [each for each in multiprocessing.active_children() if each.name == "m4i-worker"]


@pytest.fixture
def records(picture_records: Any) -> list[Record]:
    pictures = picture_records(list(range(16)), broken=(5,))
    return [Record(f"r{row:05d}", pictures[row % 16].image) for row in range(100)]


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], None]], None]:
    """``heard(tell)``: calls ``tell`` with the questions done so far, each time that a worker has done some."""

    def listen(tell: Callable[[int], None]) -> None:
        @contextmanager
        def progress(what: str, total: int) -> Iterator[Callable[..., None]]:
            done = 0

            def advance(count: int, note: str = "") -> None:
                nonlocal done
                done += count
                tell(done)

            yield advance

        monkeypatch.setattr(runner, "progress", progress)

    return listen


def test_two_workers_give_the_very_parts_of_one_and_one_that_is_killed_costs_nothing(
    graphs: Any, records: list[Record], tmp_path: Path, heard: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = graphs.captioner()
    ask(tmp_path / "one", records, engine, threads=1)
    report = ask(tmp_path / "two", records, engine, workers=2, threads=1)
    assert tables(tmp_path / "two") == tables(tmp_path / "one")
    assert (report.workers, report.asked, report.kept, report.provider) == (2, 200, 0, "cpu")
    assert report.clock.infer_s > 0
    assert report.clock.write_s > 0
    assert team() == []

    killed: list[int] = []

    def kill(done: int) -> None:
        if done > 20 and not killed:
            killed.append(team()[0].pid)
            os.kill(killed[0], signal.SIGKILL)

    heard(kill)
    assert ask(tmp_path / "killed", records, engine, workers=2, threads=1).asked == 200
    assert killed
    assert tables(tmp_path / "killed") == tables(tmp_path / "one")
    assert "a worker died (exit code -9); another goes on with its images" in capsys.readouterr().err


def test_workers_that_die_again_and_again_end_the_run(
    graphs: Any, records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hired: list[int] = []
    real = workers._Team._hire

    def hire(self: Any) -> Any:
        worker = real(self)
        hired.append(worker.process.pid)
        worker.process.kill()
        return worker

    monkeypatch.setattr(workers._Team, "_hire", hire)
    with pytest.raises(
        RunFailed, match=r"4 workers died, the last with exit code -9\. .*fewer --workers.*run the comm"
    ):
        ask(tmp_path / "run", records, graphs.captioner(), workers=2)
    assert len(hired) == 2 + workers.DEATHS
    assert team() == []
    monkeypatch.undo()
    assert ask(tmp_path / "run", records, graphs.captioner()).rows == 100


def test_a_fault_of_the_engine_in_a_worker_is_that_fault_here(
    graphs: Any, records: list[Record], tmp_path: Path
) -> None:
    words = ["red", "green", "blue", "white", "black", "grey", "pink"]
    short = EngineMetadata(
        kind="captioner", name="short", image_size=4, vocabulary=SPECIALS + words, max_tokens=2, decoding={}
    )
    engine = graphs.captioner(metadata=short)
    with pytest.raises(EngineError, match=r"captioner\.onnx: output 'tokens' has 3 columns.*Export it again") as caught:
        ask(tmp_path / "run", records, engine, workers=2)
    assert caught.value.where == str(engine)
    assert team() == []


PARENT = """
import sys
from contextlib import contextmanager
from pathlib import Path
from m4i_fast.progress import hush
from m4i_fast.query import Asks, query, runner
from m4i_fast.runs import open_run
from m4i_fast.tables import read_records

@contextmanager
def progress(what, total):
    yield lambda count, note="": print("done", count, flush=True)
runner.progress = progress
hush()
root = Path(sys.argv[1])
with open_run(root) as run:
    query(run, read_records(root / "records.parquet"), sys.argv[2], batch=4, part_rows=10, workers=2,
          asks=Asks(("flip",)))
"""


def test_workers_end_with_their_parent_and_the_next_run_goes_on(
    graphs: Any, picture_records: Any, tmp_path: Path
) -> None:
    engine = graphs.captioner()
    pictures = picture_records(list(range(16)), broken=(5,))
    records = [Record(f"r{row:05d}", pictures[row % 16].image) for row in range(600)]
    write_records(tmp_path / "run/records.parquet", records)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "run"), str(engine)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    for _ in range(6):
        assert parent.stdout.readline().startswith("done")
    parent.kill()
    begun = time.monotonic()
    # The workers have the same output: it ends when the last of them has.
    _, complaints = parent.communicate(timeout=30)
    assert time.monotonic() - begun < 10
    assert "Traceback" not in complaints
    report = ask(tmp_path / "run", records, engine, threads=1)
    assert 16 < report.kept < 1_200
    ask(tmp_path / "calm", records, engine, threads=1)
    assert tables(tmp_path / "run") == tables(tmp_path / "calm")
