"""Actors of a Ray cluster that is this machine: the same parts as one process, whatever dies."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from m4i_fast.errors import ConfigError
from m4i_fast.query import query
from m4i_fast.query.ledger import NAME, open_ledger
from m4i_fast.runs import open_run
from m4i_fast.types import Record

ray: Any = pytest.importorskip("ray", reason="Ray is not installed: pip install -c constraints.txt '.[ray]'")

ROWS, PART = 60, 5
# Ray's own: processes and sockets that it leaves to the collector.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """One cluster for the module: it takes seconds to start."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture
def records(picture_records: Callable[..., list[Record]]) -> list[Record]:
    return picture_records([value % 256 for value in range(ROWS)], broken=(7,))


def _parts(root: Path) -> dict[str, str]:
    # A killed actor may leave a file behind that has no name yet; the next to open the run sweeps it away.
    paths = sorted((root / "generations").glob("part-*"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def _alone(root: Path, records: list[Record], engine: Path) -> dict[str, str]:
    with open_run(root) as run:
        query(run, records, engine, batch=2, part_rows=PART)
    return _parts(root)


def _by_ray(root: Path, records: list[Record], engine: Path) -> Any:
    with open_run(root) as run:
        return query(run, records, engine, batch=2, part_rows=PART, workers=2, threads=1, ray="local")


def test_two_actors_write_the_parts_of_one_process(
    cluster: None, graphs: Any, records: list[Record], tmp_path: Path
) -> None:
    engine = graphs.captioner()
    wanted = _alone(tmp_path / "alone", records, engine)
    report = _by_ray(tmp_path / "ray", records, engine)
    assert _parts(tmp_path / "ray") == wanted
    assert (report.rows, report.errors, report.asked, report.kept) == (ROWS, 1, ROWS, 0)
    assert report.clock.infer_s > 0
    again = _by_ray(tmp_path / "ray", records, engine)
    assert (again.asked, again.kept, again.errors) == (0, ROWS, 1)
    with open_ledger(tmp_path / "ray" / NAME) as ledger:
        assert sorted(ledger.ended()) == list(range(ROWS // PART))


def test_an_actor_that_is_killed_costs_nothing(
    cluster: None, graphs: Any, records: list[Record], tmp_path: Path
) -> None:
    engine = graphs.captioner()
    wanted = _alone(tmp_path / "alone", records, engine)
    killed: list[int] = []

    def kill() -> None:
        while not killed and threading.main_thread().is_alive():
            if list((tmp_path / "ray" / "generations").glob("*.parquet")):
                actors = _actors()
                if actors:
                    os.kill(actors[0], signal.SIGKILL)
                    killed.append(actors[0])
            time.sleep(0.02)

    watcher = threading.Thread(target=kill, daemon=True)
    watcher.start()
    _by_ray(tmp_path / "ray", records, engine)
    watcher.join(1)
    assert killed
    assert _parts(tmp_path / "ray") == wanted


def test_a_driver_that_is_killed_is_resumed(graphs: Any, records: list[Record], tmp_path: Path) -> None:
    engine = graphs.captioner()
    wanted = _alone(tmp_path / "alone", records, engine)
    script = tmp_path / "driver.py"
    script.write_text(
        f"from pathlib import Path\n"
        f"from m4i_fast.query import query\nfrom m4i_fast.runs import open_run\nfrom m4i_fast.types import Record\n"
        f"records = [Record(**fields) for fields in {[_fields(record) for record in records]!r}]\n"
        f"with open_run(Path({str(tmp_path / 'ray')!r})) as run:\n"
        f"    query(run, records, {str(engine)!r}, batch=2, part_rows={PART}, workers=2, threads=1, ray='local')\n",
        encoding="utf-8",
    )
    driver = subprocess.Popen([sys.executable, str(script)], start_new_session=True)
    try:
        until = time.monotonic() + 90
        while not list((tmp_path / "ray" / "generations").glob("*.parquet")) and driver.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.01)
    finally:
        driver.kill()
        driver.wait()
    stood = _parts(tmp_path / "ray")  # orphans may yet finish the part that they are at
    assert _alone(tmp_path / "ray", records, engine) == wanted
    assert stood.items() <= wanted.items()


def test_no_cluster_is_the_users_mistake(graphs: Any, records: list[Record], tmp_path: Path) -> None:
    if ray.is_initialized():
        ray.shutdown()
    with open_run(tmp_path / "ray") as run, pytest.raises(ConfigError, match="no Ray cluster") as caught:
        query(run, records, graphs.captioner(), workers=2, ray="127.0.0.1:1")
    assert "ray start --head" in str(caught.value.cure)
    assert caught.value.exit_code == 2


def _fields(record: Record) -> dict[str, Any]:
    return {name: getattr(record, name) for name in Record.__slots__}


def _actors() -> list[int]:
    """Processes that hold an engine: those of the cluster that this process has started, and no other's."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"MapWorker" in (folder / "cmdline").read_bytes() and os.getpid() in _ancestors(int(folder.name)):
                found.append(int(folder.name))
    return found


def _ancestors(process: int) -> list[int]:
    found = []
    while process > 1:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        process = int(fields[1])
        found.append(process)
    return found
