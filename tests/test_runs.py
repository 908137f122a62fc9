"""The run folder: whole files or none, one process at a time, stages that are kept while nothing changed."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from m4i_fast.errors import RunError, RunFailed
from m4i_fast.runs import (
    Run,
    atomic_path,
    need_vacant,
    open_run,
    read_json,
    sha256_of,
    stage,
    sweep_dead,
    write_json,
)


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.parent == path.parent, "a rename between disks is a copy"
    assert path.read_text() == "half"

    def breaks_off() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("broken")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        breaks_off()
    assert path.read_text() == "half"
    assert [each.name for each in path.parent.iterdir()] == ["x.txt"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG])
def test_a_failing_disk_is_a_failed_run_and_leaves_the_old_file(
    call: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    path = tmp_path / "x.json"
    write_json(path, 1)
    monkeypatch.setattr("m4i_fast.runs.os.fsync" if call == "fsync" else "pathlib.Path.replace", fail)
    with pytest.raises(RunFailed, match=r"x\.json: cannot be written") as caught:
        write_json(path, 2)
    assert caught.value.cure
    assert [each.name for each in tmp_path.iterdir()] == ["x.json"]
    assert read_json(path) == 1


def test_other_errors_inside_a_writing_block_keep_their_kind(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "x"):
        (tmp_path / "gone").read_text()


def test_a_disk_that_fills_while_writing_leaves_nothing(tmp_path: Path) -> None:
    """A real limit on the size of files, in a process of its own."""
    script = (
        "import resource, signal, sys\nfrom pathlib import Path\nfrom m4i_fast.errors import RunFailed\n"
        "from m4i_fast.runs import write_json\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n    write_json(Path(sys.argv[1]) / 'x.json', 'a' * 5000)\n"
        "except RunFailed as error:\n    print(error.what)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout == "cannot be written (File too large)\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_json_without_a_number_is_refused_and_nothing_written(number: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "x.json", {"auc": number})
    assert list(tmp_path.iterdir()) == []


def test_json_keeps_any_text(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"ä": "\u202e</script>\x00"})
    assert read_json(tmp_path / "x.json") == {"ä": "\u202e</script>\x00"}


@pytest.mark.parametrize(
    ("content", "where"),
    [(b'{"a": 1,\n "b" 2}', "x.json:2:6"), (b"", "x.json:1:1"), (b"\xff\xfe", "x.json"), (b"[" * 100_000, "x.json")],
)
def test_bad_json_is_refused_with_its_place(content: bytes, where: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(RunError) as caught:
        read_json(tmp_path / "x.json")
    assert str(caught.value.where).endswith(where)
    assert caught.value.cure


def test_hashes_are_those_of_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert sha256_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_hash_of_a_folder_knows_names_contents_and_nothing_of_ours(tmp_path: Path) -> None:
    (tmp_path / "f" / "sub").mkdir(parents=True)
    (tmp_path / "f" / "a").write_text("1")
    (tmp_path / "f" / "sub" / "b").write_text("2")
    first = sha256_of(tmp_path / "f")
    (tmp_path / "f" / ".m4i-lock").write_text("")
    assert sha256_of(tmp_path / "f") == first
    (tmp_path / "f" / "sub" / "b").rename(tmp_path / "f" / "sub" / "c")
    assert sha256_of(tmp_path / "f") != first
    (tmp_path / "f" / "sub" / "c").rename(tmp_path / "f" / "sub" / "b")
    assert sha256_of(tmp_path / "f") == first
    (tmp_path / "f" / "a").write_text("3")
    assert sha256_of(tmp_path / "f") != first


HOLD = (
    "import sys\nfrom pathlib import Path\nfrom m4i_fast.runs import open_run\n"
    "with open_run(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()\n"
)


def _holder(root: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_refused_at_once_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    process = _holder(tmp_path / "run")
    with pytest.raises(RunError, match=r"another process.*--out"), open_run(tmp_path / "run"):
        pass
    process.kill()
    process.communicate()
    with open_run(tmp_path / "run") as run:
        assert run.root == tmp_path / "run"


def test_one_process_may_open_its_run_within_itself_by_any_spelling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("run")
    with open_run(tmp_path / "run"):
        for other in (Path("run"), tmp_path / "run", tmp_path / "link", tmp_path / "run" / ".." / "run"):
            with open_run(other) as run:
                assert run.root == other
        with atomic_path(tmp_path / "run" / "x") as temporary:
            temporary.write_text("1")
            with open_run(tmp_path / "run"):
                assert temporary.exists(), "an inner opening must not sweep what the outer one writes"


def test_what_a_killed_process_left_is_swept_but_not_from_a_run_inside(tmp_path: Path) -> None:
    stale = tmp_path / "run" / "generations" / ".m4i-tmp-1-part-00000.parquet"
    busy = tmp_path / "run" / "shadow" / "heads" / ".m4i-tmp-2-x"
    for path in (stale, busy):
        path.parent.mkdir(parents=True)
        path.write_text("half")
    (tmp_path / "run" / "shadow" / ".m4i-lock").write_text("")
    with open_run(tmp_path / "run"):
        assert not stale.exists()
        assert busy.exists(), "another process may be at work there"
    with open_run(tmp_path / "run" / "shadow"):
        assert not busy.exists()


def test_bad_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, says in ((tmp_path / "file", "not a run folder"), (tmp_path / "file" / "run", "cannot be written")):
        with pytest.raises(RunError, match=says), open_run(path):
            pass
    with pytest.raises(RunError, match="no such run folder"), open_run(tmp_path / "gone", create=False):
        pass
    assert not (tmp_path / "gone").exists()


def test_what_is_needed_is_named_with_the_command(tmp_path: Path) -> None:
    run = Run(tmp_path)
    with pytest.raises(RunError, match=r"'overlap\.parquet' is missing in this run\. Run first: m4i-fast overlap"):
        run.need("overlap.parquet", made_by="m4i-fast overlap")
    (tmp_path / "overlap.parquet").touch()
    assert run.need("overlap.parquet", made_by="x") == run.path("overlap.parquet")


class Copying:
    """A stage that copies its input; counts how often it worked."""

    def __init__(self, root: Path) -> None:
        self.run = Run(root)
        self.source = root / "in.txt"
        self.source.write_text("1")
        self.times = 0

    def work(self) -> dict[str, int]:
        self.times += 1
        self.run.path("out.txt").write_text(self.source.read_text())
        return {"rows": 7}

    def __call__(self, settings: Any = None, **more: Any) -> bool:
        report = stage(
            self.run,
            "copy",
            settings=settings or {"names": ("a", "b")},
            inputs={"source": self.source},
            outputs=["out.txt"],
            work=self.work,
            **more,
        )
        assert report.facts == {"rows": 7}
        return report.kept


def test_a_stage_is_kept_while_nothing_changed(tmp_path: Path) -> None:
    copy = Copying(tmp_path)
    assert [copy(), copy(), copy()] == [False, True, True]
    assert copy.times == 1
    stamp = copy.run.stamps()["copy"]
    assert stamp["settings"] == {"names": ["a", "b"]}
    # the SHA-256 of the one byte "1"
    assert stamp["inputs"] == {"source": "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"}
    assert stamp["outputs"] == {"out.txt": stamp["inputs"]["source"]}


@pytest.mark.parametrize("change", ["input", "output", "gone", "settings", "again", "stamp", "version"])
def test_a_stage_is_repeated_when_anything_changed(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Copying(tmp_path)
    copy()
    if change == "input":
        copy.source.write_text("2")
    elif change == "output":
        copy.run.path("out.txt").write_text("tampered")
    elif change == "gone":
        copy.run.path("out.txt").unlink()
    elif change == "stamp":
        write_json(copy.run.path("stages/copy.json"), ["not a stamp"])
    elif change == "version":
        monkeypatch.setattr("m4i_fast.runs.__version__", "999")
    assert copy({"names": ["c"]} if change == "settings" else None, again=change == "again") is False
    assert copy.run.path("out.txt").read_text() == copy.source.read_text()
    assert copy({"names": ["c"]} if change == "settings" else None) is True


def test_a_stage_that_fails_leaves_no_stamp(tmp_path: Path) -> None:
    copy = Copying(tmp_path)
    copy()

    def fail() -> None:
        raise RunFailed("the model failed")

    for _ in range(2):
        with pytest.raises(RunFailed):
            stage(copy.run, "copy", settings={}, inputs={}, outputs=["out.txt"], work=fail, again=True)
        assert copy.run.stamps() == {}
    assert copy() is False


def test_stamps_come_in_the_order_in_which_they_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path)
    for name, ended in (("a", 3.0), ("b", 1.0), ("c", 2)):
        monkeypatch.setattr("m4i_fast.runs.time.time", lambda ended=ended: ended)
        stage(run, name, settings={}, inputs={}, outputs=[], work=dict)
    assert list(run.stamps()) == ["b", "c", "a"]
    write_json(run.path("stages/d.json"), {"name": "d"})
    with pytest.raises(RunError, match=r"d\.json: not the stamp of a stage"):
        run.stamps()


def test_a_stage_that_is_refused_before_it_wrote_anything_keeps_its_stamp(tmp_path: Path) -> None:
    copy = Copying(tmp_path)
    copy()
    before = copy.run.path("stages/copy.json").read_bytes()

    def refuse() -> None:
        raise RunError("this run holds answers of another engine")

    def spoil() -> None:
        copy.run.path("out.txt").write_text("half")
        raise RunError("no more")

    for work, stays in ((refuse, True), (spoil, False)):
        with pytest.raises(RunError):
            stage(copy.run, "copy", settings={"other": 1}, inputs={}, outputs=["out.txt"], work=work)
        assert copy.run.path("stages/copy.json").exists() is stays
        assert not stays or copy.run.path("stages/copy.json").read_bytes() == before


@pytest.mark.parametrize("change", [{"facts": {}}, {"wall_s": 0}, {"ended": 0.0}])
def test_a_stamp_that_was_edited_says_nothing(tmp_path: Path, change: dict[str, object]) -> None:
    copy = Copying(tmp_path)
    copy()
    path = copy.run.path("stages/copy.json")
    write_json(path, json.loads(path.read_text()) | change)
    assert copy.run.stamp("copy") is None
    assert copy() is False, "it is done again"
    assert copy() is True


def test_a_folder_of_other_things_becomes_no_run(tmp_path: Path) -> None:
    for name in ("captions.json", "images", "more", "notes", ".hidden", "shadow"):
        (tmp_path / name).touch()
    with pytest.raises(RunError, match=r"holds other things \(captions\.json, images, more, \.\.\.\)\. .*--out"):
        need_vacant(tmp_path, own=("shadow",), mark="records.parquet")
    (tmp_path / "records.parquet").touch()
    need_vacant(tmp_path, own=("shadow",), mark="records.parquet")


def test_an_empty_folder_and_none_may_become_a_run(tmp_path: Path) -> None:
    for name in (".hidden", "shadow"):
        (tmp_path / name).touch()
    need_vacant(tmp_path, own=("shadow",), mark="records.parquet")
    need_vacant(tmp_path / "none", own=(), mark="records.parquet")


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a process cannot be asked whether it lives")
def test_what_the_dead_left_of_a_file_is_swept_and_nothing_else(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait(60)
    dead = tmp_path / f".m4i-tmp-{ended.pid}-s[1].csv"
    kept = [
        tmp_path / f".m4i-tmp-{os.getppid()}-s[1].csv",
        tmp_path / f".m4i-tmp-{os.getpid()}-s[1].csv",
        tmp_path / ".m4i-tmp-1-s[1].csv",
        tmp_path / f".m4i-tmp-{ended.pid}-other-s[1].csv",
        tmp_path / f".m4i-tmp-{ended.pid}-s1.csv",
        tmp_path / ".m4i-tmp-x-s[1].csv",
        tmp_path / "s[1].csv",
    ]
    for each in (dead, *kept):
        each.touch()
    sweep_dead(tmp_path / "s[1].csv")
    assert sorted(tmp_path.iterdir()) == sorted(kept)
    sweep_dead(tmp_path / "absent" / "s.csv")
