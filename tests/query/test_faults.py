"""What a machine does to a run: full and read-only disks, files that others damage, remove or bring from elsewhere."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from m4i_fast.errors import RunError, RunFailed
from m4i_fast.query import query
from m4i_fast.query.ledger import Spent, open_ledger
from m4i_fast.runs import open_run
from m4i_fast.tables import write_records
from m4i_fast.types import Record

VALUES = [0, 1, 2, 9, 255, 77, 78]
LEDGER = ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm")


@pytest.fixture
def engine(graphs: Any) -> Path:
    return graphs.captioner()  # type: ignore[no-any-return]


@pytest.fixture
def records(picture_records: Any) -> list[Record]:
    return picture_records(VALUES, broken=(2,))  # type: ignore[no-any-return]


def ask(root: Path, records: list[Record], engine: Path, **more: Any) -> Any:
    with open_run(root) as run:
        return query(run, records, engine, batch=2, part_rows=3, threads=1, **more)


def tables(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((root / "generations").iterdir())}


@pytest.fixture
def done(tmp_path: Path, records: list[Record], engine: Path) -> Path:
    """A run that has ended."""
    ask(tmp_path / "run", records, engine)
    return tmp_path / "run"


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def no_footer(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def emptied(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("spoil", [half, no_footer, zeros, emptied, Path.unlink])
def test_a_damaged_part_is_asked_for_again_and_what_was_paid_stays_known(
    done: Path, records: list[Record], engine: Path, spoil: Callable[[Path], None]
) -> None:
    before = tables(done)
    spoil(done / "generations/part-00001.parquet")
    report = ask(done, records, engine)
    assert (report.asked, report.kept) == (3, 4)
    assert tables(done) == before
    with open_ledger(done / "ledger.sqlite") as ledger:
        assert ledger.spent() == Spent(10, 0, 0), "seven, and three of them twice"
        assert ledger.ended() == {0: 1, 1: 0, 2: 0}


@pytest.mark.parametrize("left", [(), LEDGER[1:], LEDGER[2:]])
def test_parts_outlive_their_ledger(done: Path, records: list[Record], engine: Path, left: tuple[str, ...]) -> None:
    before = tables(done)
    with open_ledger(done / "ledger.sqlite"):  # so that there are a log and an index to leave
        for name in LEDGER:
            shutil.copy(done / name, done / f"{name}.kept")
    for name in LEDGER:
        (done / name).unlink(missing_ok=True)
        if name in left:
            (done / f"{name}.kept").rename(done / name)
    (done / "generations/part-00002.parquet").unlink()
    report = ask(done, records, engine)
    assert (report.asked, report.kept, report.errors) == (1, 6, 1)
    assert tables(done) == before
    with open_ledger(done / "ledger.sqlite") as ledger:
        assert ledger.ended() == {0: 1, 1: 0, 2: 0}


@pytest.mark.parametrize("spoil", [zeros, half, lambda path: path.write_bytes(b"my notes, not a ledger. " * 99)])
def test_a_damaged_ledger_is_said_and_its_cure_works(
    done: Path, records: list[Record], engine: Path, spoil: Callable[[Path], None]
) -> None:
    before = tables(done)
    spoil(done / "ledger.sqlite")
    with pytest.raises(RunError, match=r"ledger\.sqlite: .*damaged.*Remove it together with its -wal and -shm files"):
        ask(done, records, engine)
    assert tables(done) == before
    for name in LEDGER:
        (done / name).unlink(missing_ok=True)
    assert ask(done, records, engine).asked == 0
    assert tables(done) == before


def test_a_ledger_of_another_run_is_refused(
    done: Path, records: list[Record], engine: Path, tmp_path: Path, graphs: Any
) -> None:
    before = tables(done)
    other = graphs.captioner("other.onnx", shift=1)
    ask(tmp_path / "other", records, other)
    for name in LEDGER:
        (done / name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "other/ledger.sqlite", done / "ledger.sqlite")
    with pytest.raises(RunError, match=r"answers that stand in this run belong to another model\. .*--out.*--again"):
        ask(done, records, engine)
    assert tables(done) == before
    with pytest.raises(RunError, match="made by another engine"):  # the parts are not those of this ledger
        ask(done, records, other)
    assert ask(done, records, engine, again=True).asked == 7
    assert tables(done) == before


def test_a_ledger_that_knows_more_than_stands_and_parts_that_know_more_than_it(
    done: Path, records: list[Record], engine: Path, tmp_path: Path
) -> None:
    """Folders that were copied while a query ran: files of one moment beside a ledger of another."""
    before = tables(done)
    shutil.rmtree(done / "generations")
    assert ask(done, records, engine).asked == 7
    ask(tmp_path / "young", records[:], engine)
    for name in ("part-00001.parquet", "part-00002.parquet"):
        (tmp_path / "young/generations" / name).unlink()
    shutil.copy(done / "generations/part-00002.parquet", tmp_path / "young/generations")
    report = ask(tmp_path / "young", records, engine)
    assert (report.asked, report.kept) == (3, 4)
    assert tables(tmp_path / "young") == tables(done) == before


def test_stale_temporary_files_are_swept(done: Path, records: list[Record], engine: Path) -> None:
    before = tables(done)
    (done / "generations/part-00000.parquet").rename(done / "generations/.m4i-tmp-77-part-00000.parquet")
    assert ask(done, records, engine).asked == 3
    assert tables(done) == before


def test_a_picture_that_changed_is_another_query(done: Path, records: list[Record], engine: Path) -> None:
    changed = [Record(each.id, each.image, image_sha256="0" * 64) for each in records]
    with pytest.raises(RunError, match="belongs to other records"):
        ask(done, changed, engine)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_whatever_the_disk_says_is_said_again(
    records: list[Record], engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def broken(_: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr("m4i_fast.runs.os.fsync", broken)
        with pytest.raises(RunFailed, match=rf"part-00000\.parquet: cannot be written \({os.strerror(number)}\)"):
            ask(tmp_path / "run", records, engine)
    assert tables(tmp_path / "run") == {}
    ask(tmp_path / "run", records, engine)
    assert len(tables(tmp_path / "run")) == 3


ASK = """
import sys
from pathlib import Path
from m4i_fast.errors import M4IError
from m4i_fast.progress import hush
from m4i_fast.query import query
from m4i_fast.runs import open_run
from m4i_fast.tables import read_records
hush()
root = Path(sys.argv[1])
try:
    with open_run(root) as run:
        query(run, read_records(Path(sys.argv[3])), sys.argv[2], batch=50, part_rows=200, threads=1)
except M4IError as error:
    print(type(error).__name__, error, sep="|")
    sys.exit(error.exit_code)
"""


def _inside(shell: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A shell in which nothing that is mounted is seen outside, and all of it is gone with its end."""
    if sys.platform != "linux" or shutil.which("unshare") is None:
        pytest.skip("no private mounts on this system")
    maps = [] if os.geteuid() == 0 else ["-r"]
    if subprocess.run(
        ["unshare", *maps, "-m", "mount", "-t", "tmpfs", "t", "/mnt"], capture_output=True, check=False
    ).returncode:
        pytest.skip("this machine lets nobody mount")
    return subprocess.run(
        ["unshare", *maps, "-m", "sh", "-ec", shell, "sh", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


FULL = """
run=$1 python=$2 ask=$3 engine=$4 records=$5
mkdir -p "$run"
mount -t tmpfs -o size=320k tmpfs "$run"
"$python" -c "$ask" "$run" "$engine" "$records" || echo "ended $?"
find "$run" -name '*.parquet' | sort | xargs -r sha256sum | cut -c1-64 | sed 's/^/left /'
find "$run" -name '.m4i-tmp*' | sed 's/^/temporary /'
mount -o remount,size=64m "$run"
"$python" -c "$ask" "$run" "$engine" "$records"
cp -r "$run/generations" "$run.saved"
"""


def test_a_disk_that_is_really_full(graphs: Any, picture_records: Any, tmp_path: Path) -> None:
    pictures = picture_records(list(range(0, 250, 10)))
    records = [Record(f"record {row:06d} {'x' * 40}", pictures[row % 25].image) for row in range(2_000)]
    write_records(tmp_path / "records.parquet", records)
    engine = graphs.captioner()
    ended = _inside(FULL, tmp_path / "run", sys.executable, ASK, engine, tmp_path / "records.parquet")
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0].startswith("RunFailed|"), ended
    assert "Make room on the disk" in lines[0]
    assert lines[1] == "ended 1"
    assert "Traceback" not in ended.stderr
    assert not any(line.startswith("temporary") for line in lines)
    with open_run(tmp_path / "calm") as run:
        query(run, records, engine, batch=50, part_rows=200, threads=1)
    saved = {path.name: path.read_bytes() for path in (tmp_path / "run.saved").iterdir()}
    assert saved == tables(tmp_path / "calm")


READ_ONLY = """
run=$1 python=$2 ask=$3 engine=$4 records=$5
mount --bind "$run" "$run"
mount -o remount,ro,bind "$run"
exec "$python" -c "$ask" "$run" "$engine" "$records"
"""


def test_a_folder_that_is_read_only(done: Path, records: list[Record], engine: Path, tmp_path: Path) -> None:
    write_records(tmp_path / "records.parquet", records)
    before = tables(done)
    ended = _inside(READ_ONLY, done, sys.executable, ASK, engine, tmp_path / "records.parquet")
    assert (ended.returncode, ended.stderr) == (2, "")
    assert ended.stdout.startswith(f"RunError|{done}: the run folder cannot be written (Read-only file system)")
    assert "--out" in ended.stdout
    assert tables(done) == before
