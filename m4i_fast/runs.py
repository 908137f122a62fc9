"""A run is a folder: each stage reads what stands in it and adds its own files, whole or not at all.

Writing is temporary file -> fsync -> rename, so a file under its final name is complete. A stage leaves a stamp with
the hashes of what it read and wrote; the same stage with the same inputs is then kept, not repeated.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from m4i_fast import __version__
from m4i_fast.errors import RunError, RunFailed, UserError

__all__ = [
    "Run",
    "StageReport",
    "atomic_path",
    "need_vacant",
    "open_run",
    "read_json",
    "sha256_of",
    "stage",
    "sweep_dead",
    "write_json",
]

TEMPORARY = ".m4i-tmp-"
LOCK = ".m4i-lock"

# What a disk says for itself; other errors inside a writing block belong to whoever raised them.
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG})


@dataclass(frozen=True, slots=True)
class Run:
    """An open run folder."""

    root: Path

    def path(self, name: str) -> Path:
        """Where ``name`` lies in the run."""
        return self.root / name

    def need(self, name: str, *, made_by: str) -> Path:
        """The path of a file that an earlier stage must have written.

        Raises:
            RunError: it is not there; names the command that makes it.
        """
        path = self.root / name
        if not path.exists():
            raise RunError(f"'{name}' is missing in this run", where=self.root, cure=f"Run first: {made_by}")
        return path

    def stamp(self, name: str) -> dict[str, Any] | None:
        """The stamp of a stage that ended; None where it never did, or where the stamp is damaged."""
        try:
            found = read_json(self.root / f"stages/{name}.json")
        except RunError:
            return None
        return found if _is_stamp(found) else None

    def stamps(self) -> dict[str, dict[str, Any]]:
        """All stages done so far, by name, in the order in which they ended."""
        found = []
        for path in sorted((self.root / "stages").glob("*.json")):
            stamp = read_json(path)
            if not _is_stamp(stamp):
                raise RunError("not the stamp of a stage", where=path, cure="Delete the file and run its stage again.")
            found.append(stamp)
        return {stamp["name"]: stamp for stamp in sorted(found, key=lambda stamp: stamp["ended"])}


@dataclass(frozen=True, slots=True)
class StageReport:
    """What a stage did. ``kept``: nothing, since its result already stood there."""

    name: str
    kept: bool
    wall_s: float
    facts: dict[str, Any]


@contextmanager
def open_run(root: Path, *, create: bool = True) -> Iterator[Run]:
    """Open a run folder for writing; one process at a time, nested use by one process allowed.

    Raises:
        RunError: another process holds it, it is not a folder, or it is absent and ``create`` is False.
    """
    import filelock

    if root.exists() and not root.is_dir():
        raise RunError(
            "this is a file, not a run folder", where=root, cure="Give the path of a folder, for a new run with --out."
        )
    if not root.exists() and not create:
        raise RunError(
            "no such run folder",
            where=root,
            cure="Make one with: m4i-fast query DATA --engine ENGINE --out RUN",
        )
    try:
        root.mkdir(parents=True, exist_ok=True)
        # Resolved, so that two spellings of one folder are one lock in this process.
        lock = filelock.FileLock(root.resolve() / LOCK, timeout=0, is_singleton=True)
        lock.acquire()
    except filelock.Timeout as error:
        raise RunError(
            "another process is working in this run folder",
            where=root,
            cure="Wait until it has ended, or choose another folder with --out.",
        ) from error
    except OSError as error:
        raise RunError(
            f"the run folder cannot be written ({error.strerror})",
            where=root,
            cure="Choose another folder with --out.",
        ) from error
    try:
        if lock.lock_counter == 1:
            _sweep(root)
        yield Run(root)
    finally:
        lock.release()


def need_vacant(root: Path, *, own: Collection[str], mark: str) -> None:
    """Hold that a folder may become a run: absent, empty but for hidden files and ``own``, or one already.

    Args:
        root: the folder.
        own: names that may lie there before the run itself begins, such as ``shadow``.
        mark: a file by which a run of this kind is known.

    Raises:
        RunError: it holds other things, among which the run's files would be scattered.
    """
    if not root.is_dir() or (root / mark).exists():
        return
    others = sorted(each.name for each in root.iterdir() if not each.name.startswith(".") and each.name not in own)
    if others:
        raise RunError(
            f"this folder holds other things ({', '.join(others[:3])}{', ...' if len(others) > 3 else ''})",
            where=root,
            cure="Choose a new or empty folder with --out.",
        )


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; at a clean end it is synced and renamed to ``path``, else removed.

    Raises:
        RunFailed: the disk is full, read-only or broken.
    """
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
            _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        if error.errno not in _DISK:
            raise
        raise RunFailed(
            f"cannot be written ({os.strerror(error.errno)})",
            where=path,
            cure="Make room on the disk or choose another folder; what was finished before stands.",
        ) from error


def sweep_dead(path: Path) -> None:
    """Remove what killed processes left of ``path`` half-written; for a file outside a run, whose ``open_run`` does it.

    A process that lives keeps its own; so does every process on systems that cannot be asked (Windows).
    """
    for left in path.parent.glob(f"{TEMPORARY}*"):
        number, _, name = left.name.removeprefix(TEMPORARY).partition("-")
        if name == path.name and number.isdecimal() and _is_dead(int(number)):
            left.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    """Write ``value`` whole or not at all; NaN is refused, since it is no JSON."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file of the tool's own.

    Raises:
        RunError: it is not JSON; says line and column.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise RunError(
            f"not valid JSON ({error.msg})",
            where=f"{path}:{error.lineno}:{error.colno}",
            cure="Delete the file and run its stage again.",
        ) from error
    except (UnicodeDecodeError, RecursionError, OSError) as error:
        raise RunError(
            f"not readable as JSON ({error})", where=path, cure="Delete the file and run its stage again."
        ) from error


def sha256_of(path: Path) -> str:
    """Hash of a file, or of a folder's files and their names in sorted order."""
    if path.is_dir():
        whole = hashlib.sha256()
        for file in sorted(each for each in path.rglob("*") if each.is_file() and not each.name.startswith(".m4i-")):
            whole.update(f"{file.relative_to(path).as_posix()}\0{sha256_of(file)}\n".encode())
        return whole.hexdigest()
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def stage(
    run: Run,
    name: str,
    *,
    settings: Mapping[str, Any],
    inputs: Mapping[str, Path],
    outputs: Sequence[str],
    work: Callable[[], Mapping[str, Any] | None],
    again: bool = False,
) -> StageReport:
    """Do ``work`` unless its result already stands in the run.

    Args:
        run: the open run.
        name: the stage; its stamp is ``stages/<name>.json``.
        settings: JSON values that the result depends on.
        inputs: files and folders that the result depends on, by role; hashed.
        outputs: names in the run that ``work`` writes.
        work: does it; may return facts (JSON) for the stamp.
        again: do it even where the stamp fits.
    """
    stamp_path = run.path(f"stages/{name}.json")
    wanted = {
        "name": name,
        "version": __version__,
        "settings": dict(settings),
        "inputs": {role: sha256_of(path) for role, path in sorted(inputs.items())},
    }
    wanted = json.loads(json.dumps(wanted))  # tuples become lists, as they will on disk
    if not again and stamp_path.exists():
        stamp = read_json(stamp_path)
        same = _is_stamp(stamp) and all(stamp.get(key) == wanted[key] for key in wanted)
        if same and all(_stands(run.path(out), digest) for out, digest in stamp["outputs"].items()):
            return StageReport(name, kept=True, wall_s=stamp["wall_s"], facts=stamp["facts"])
    earlier = run.stamp(name)
    stamp_path.unlink(missing_ok=True)
    started = time.perf_counter()
    try:
        facts = dict(work() or {})
    except UserError:
        # Refused before anything was written: what stands is still the earlier stage's.
        if earlier is not None and all(_stands(run.path(out), digest) for out, digest in earlier["outputs"].items()):
            write_json(stamp_path, earlier)
        raise
    wall = time.perf_counter() - started
    stamp = wanted | {
        "outputs": {out: sha256_of(run.path(out)) for out in outputs},
        "facts": facts,
        "wall_s": round(wall, 3),
        "ended": time.time(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }
    write_json(stamp_path, stamp | {"seal": _seal(stamp)})
    return StageReport(name, kept=False, wall_s=wall, facts=facts)


def _seal(stamp: Mapping[str, Any]) -> str:
    text = json.dumps({key: value for key, value in stamp.items() if key != "seal"}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _is_stamp(found: object) -> bool:
    """Whether it is a stamp as ``stage`` wrote it: one that was edited says nothing any more."""
    return isinstance(found, dict) and found.get("seal") == _seal(found)


def _sweep(root: Path) -> None:
    """Remove what killed processes left half-written, but not below a folder that has a lock of its own."""
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = [name for name in folders if not (here / name / LOCK).exists()]
        for name in names:
            if name.startswith(TEMPORARY):
                (here / name).unlink(missing_ok=True)


def _is_dead(process: int) -> bool:
    if os.name != "posix":  # where signal 0 is no question
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:  # another user's
        pass
    return False


def _stands(path: Path, digest: str) -> bool:
    return path.exists() and sha256_of(path) == digest


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
