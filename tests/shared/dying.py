"""Queries in processes of their own that die, or whose disk is full, at a named write point.

A server imports everything once and forks a child a query, so that each costs milliseconds. The write points are
wrapped in the child; the package knows nothing of them.
"""

import importlib
import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

LOADED = (
    "PIL.Image",
    "filelock",
    "onnx",
    "onnxruntime",
    "pyarrow.dataset",
    "rich.progress",
    "rich.console",
    "m4i_fast.engines.onnx",
    "m4i_fast.engines.graph_file",
    "m4i_fast.query",
    "m4i_fast.tables",
)
"""What every child needs, loaded before the fork; nothing of it may have begun a thread of its own work."""


@dataclass(frozen=True)
class Order:
    """One query to run.

    ``at``: the write point (from 1) where ``how`` strikes: SIGKILL, or ENOSPC instead of the write. ``moment``: before
    the call, after it, or when it is half done. ``kill_after``: seconds until a SIGKILL from outside. ``sleep``:
    seconds the engine takes for a batch. ``asked``: a file that gets the ids the engine is asked about, a line a batch.
    """

    root: str
    engine: str
    batch: int = 2
    part_rows: int = 3
    augment: tuple[str, ...] = ()
    again: bool = False
    at: int | None = None
    moment: str = "before"
    how: str = "kill"
    kill_after: float | None = None
    sleep: float = 0.0
    asked: str | None = None


class End(NamedTuple):
    """How it ended: exit status (-9: killed), the error's class and text, and the write points that it came to."""

    code: int
    kind: str | None
    said: str
    points: list[str]


class Dying:
    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def __call__(self, order: Order) -> End:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(order)) + "\n")
        self._process.stdin.flush()
        return End(*json.loads(self._process.stdout.readline()))


@contextmanager
def dying() -> Iterator[Dying]:
    """A server, ended with the block."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Dying(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(30)


def _serve() -> None:
    from PIL import Image

    for name in LOADED:
        importlib.import_module(name)
    Image.init()
    for line in sys.stdin:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            _live(json.loads(line), writing)
        os.close(writing)
        delay = json.loads(line)["kill_after"]
        if delay is not None:
            time.sleep(delay)
            os.kill(pid, signal.SIGKILL)
        with os.fdopen(reading, "rb") as told:
            heard = told.read().decode().splitlines()
        _, status = os.waitpid(pid, 0)
        kind, said = json.loads(heard.pop()) if heard and heard[-1].startswith("[") else (None, "")
        print(json.dumps([os.waitstatus_to_exitcode(status), kind, said, heard]), flush=True)


def _live(order: dict[str, Any], tell: int) -> None:
    from m4i_fast.errors import M4IError
    from m4i_fast.progress import hush
    from m4i_fast.query import Asks, query
    from m4i_fast.runs import open_run
    from m4i_fast.tables import read_records

    kind, said, code = None, "", 0
    try:
        hush()
        _arm(order, tell)
        root = Path(order["root"])
        with open_run(root) as run:
            query(
                run,
                read_records(root / "records.parquet"),
                order["engine"],
                batch=order["batch"],
                part_rows=order["part_rows"],
                asks=Asks(tuple(order["augment"])),
                threads=1,
                decode_threads=1,
                again=order["again"],
            )
    except M4IError as error:
        kind, said, code = type(error).__name__, str(error), error.exit_code
    except BaseException as error:
        kind, said, code = type(error).__name__, str(error), 99
    os.write(tell, (json.dumps([kind, said]) + "\n").encode())
    os._exit(code)


def _arm(order: dict[str, Any], tell: int) -> None:
    import pyarrow.parquet as pq

    from m4i_fast.engines.onnx import OnnxCaptioner

    numbers = itertools.count(1)
    turn = threading.RLock()

    def strike(name: str) -> None:
        if order["how"] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if name.startswith("sqlite"):
            raise sqlite3.OperationalError("database or disk is full")
        raise OSError(28, os.strerror(28))

    def wrapped(name: str, real: Callable[..., Any], half: Callable[..., Any] | None = None) -> Callable[..., Any]:
        def call(*given: Any, **more: Any) -> Any:
            with turn:
                here = next(numbers) == order["at"]
                os.write(tell, f"{name}\n".encode())
            if here and order["moment"] == "before":
                strike(name)
            if here and order["moment"] == "half" and half is not None:
                half(*given, **more)
                strike(name)
            value = real(*given, **more)
            if here and order["moment"] != "before":
                strike(name)
            return value

        return call

    write_table = pq.write_table

    def half_a_table(table: Any, path: Path, **more: Any) -> None:
        write_table(table, path, **more)
        os.truncate(path, path.stat().st_size // 2)

    class Connection(sqlite3.Connection):
        def commit(self) -> None:
            wrapped("sqlite commit", super().commit)()

        def executescript(self, script: str, /) -> sqlite3.Cursor:
            return wrapped("sqlite schema", super().executescript)(script)  # type: ignore[no-any-return]  # wrapped() has no types

    connect = sqlite3.connect
    sqlite3.connect = lambda *given, **more: connect(*given, factory=Connection, **more)  # type: ignore[assignment]  # that is its purpose
    os.fsync = wrapped("fsync", os.fsync)
    os.replace = wrapped("replace", os.replace)  # Path.replace goes through it
    pq.write_table = wrapped("write_table", write_table, half_a_table)
    if order["again"]:
        Path.unlink = wrapped("unlink", Path.unlink)  # type: ignore[method-assign]  # that is its purpose

    generate = OnnxCaptioner.generate

    def asked(self: OnnxCaptioner, batch: Any) -> Any:
        if order["asked"] is not None:
            handle = os.open(order["asked"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(handle, (" ".join(batch.ids) + "\n").encode())
            os.close(handle)
        time.sleep(order["sleep"])
        return generate(self, batch)

    OnnxCaptioner.generate = asked  # type: ignore[method-assign]  # that is its purpose


if __name__ == "__main__":
    _serve()
