"""Several processes that answer one query: each holds an engine of its own, all commit to one ledger.

The parent deals out batches by a pipe a worker, two at a time, so that a worker always has one to make ready. A worker
that dies costs nothing: what it had not committed is dealt out again, to another. A parent that dies closes the pipes,
and its workers end.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import signal
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from m4i_fast import errors
from m4i_fast.errors import M4IError, RunFailed
from m4i_fast.progress import hush, say
from m4i_fast.query.local import Clock, answer_batches
from m4i_fast.query.plan import Plan

__all__ = ["Opening", "answer_by_workers"]

OUTSTANDING = 3
"""Batches at a worker: one in the engine, two made ready."""

DEATHS = 3
"""Workers that may die before the run gives up: one is an accident, more are a fault."""

JOIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Opening:
    """How a worker opens its engine: as ``open_captioner``, and the threads that decode its pictures."""

    engine: str
    provider: str
    threads: int
    decode_threads: int
    allow_fallback: bool


@dataclass(slots=True)
class _Worker:
    process: Any
    pipe: Connection
    dealt: deque[list[int]] = field(default_factory=deque)
    told: bool = False


def answer_by_workers(
    count: int,
    opening: Opening,
    plan: Plan,
    ledger: Path,
    numbers: Iterator[list[int]],
    *,
    advance: Callable[[int, str], object],
) -> Clock:
    """Answer all batches by ``count`` processes; returns when every answer is committed.

    Args:
        count: processes.
        opening: how each opens its engine.
        plan: of the query; goes to each worker once.
        ledger: its path, on a disk of this machine.
        numbers: batches of questions, each of one part.
        advance: as ``answer_batches``.

    Raises:
        M4IError: what a worker could not mend.
        RunFailed: too many workers died.
    """
    team = _Team(opening, plan, ledger, advance)
    try:
        team.work(count, numbers)
    finally:
        team.end()
    return team.clock


class _Team:
    def __init__(self, opening: Opening, plan: Plan, ledger: Path, advance: Callable[[int, str], object]) -> None:
        # A fresh interpreter: threads and locks of ONNX Runtime and of SQLite do not survive a fork.
        self._context = multiprocessing.get_context("spawn")
        self._start = (opening, plan, ledger)
        self._advance = advance
        self._workers: dict[Connection, _Worker] = {}
        self._again: deque[list[int]] = deque()
        self._deaths = 0
        self.clock = Clock()

    def work(self, count: int, numbers: Iterator[list[int]]) -> None:
        for _ in range(count):
            self._hire()
        while self._deal(numbers):
            busy = [pipe for pipe, worker in self._workers.items() if worker.dealt]
            for pipe in multiprocessing.connection.wait(busy):
                assert isinstance(pipe, Connection)  # it gives back what it was given
                self._hear(self._workers[pipe])

    def end(self) -> None:
        """Let all end: each commits what it has, and says what it spent its time on."""
        for worker in self._workers.values():
            self._send(worker, None)
        for worker in list(self._workers.values()):
            try:
                while worker.pipe.poll(JOIN_S):
                    kind, value = worker.pipe.recv()
                    if kind == "ended":
                        self.clock.add(value)
                        break
            except (EOFError, OSError):
                pass
            worker.process.join(JOIN_S)
            if worker.process.is_alive():
                worker.process.terminate()
            worker.pipe.close()
        self._workers.clear()

    def _hire(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs, *self._start), name="m4i-worker", daemon=True)
        process.start()
        theirs.close()  # so that the end of the worker is the end of the pipe
        self._workers[ours] = _Worker(process, ours)
        return self._workers[ours]

    def _deal(self, numbers: Iterator[list[int]]) -> bool:
        """Hand out batches, to whoever has the fewest; False where all are done."""
        while True:
            open_to = [worker for worker in self._workers.values() if not worker.told]
            least = min(open_to, key=lambda worker: len(worker.dealt), default=None)
            if least is not None and len(least.dealt) >= OUTSTANDING:
                return True
            batch = self._again.popleft() if self._again else next(numbers, None)
            if batch is None:
                # Told at once: a worker that waits for more would hold back what it has made ready.
                for worker in open_to:
                    self._send(worker, None)
                    worker.told = True
                return any(worker.dealt for worker in self._workers.values())
            if least is None:
                least = self._hire()
            least.dealt.append(batch)
            self._send(least, batch)

    @staticmethod
    def _send(worker: _Worker, item: list[int] | None) -> None:
        try:
            worker.pipe.send(item)
        except OSError:  # it has died; the pipe says so when it is heard
            return

    def _hear(self, worker: _Worker) -> None:
        try:
            kind, value = worker.pipe.recv()
        except (EOFError, OSError):
            self._bury(worker)
            return
        if kind == "done":
            worker.dealt.popleft()
            self._advance(value, f"{len(self._workers)} workers")
        elif kind == "ended":  # with nothing left: a worker that is told ends when all it was dealt is done
            self.clock.add(value)
        elif kind == "failed":
            name, what, where, cure = value
            raise getattr(errors, name, RunFailed)(what, where=where, cure=cure)

    def _bury(self, worker: _Worker) -> None:
        worker.process.join(JOIN_S)
        del self._workers[worker.pipe]
        worker.pipe.close()
        self._deaths += 1
        code = worker.process.exitcode
        if self._deaths > DEATHS:
            raise RunFailed(
                f"{self._deaths} workers died, the last with exit code {code}",
                cure="If memory ran out, take fewer --workers or a smaller --batch; then run the command again.",
            )
        say(f"a worker died (exit code {code}); another goes on with its images")
        self._again.extend(worker.dealt)
        if self._again:
            self._hire()


def _work(pipe: Connection, opening: Opening, plan: Plan, ledger: Path) -> None:
    """A worker's life: batches from the pipe, until it closes or says None."""
    from m4i_fast.engines import open_captioner

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and lets us end in order
    hush()
    try:
        with open_captioner(
            opening.engine,
            provider=opening.provider,
            threads=opening.threads,
            allow_fallback=opening.allow_fallback,
        ) as captioner:
            clock = answer_batches(
                captioner,
                plan,
                ledger,
                _dealt(pipe),
                threads=opening.decode_threads,
                advance=lambda count, _: pipe.send(("done", count)),
            )
        pipe.send(("ended", clock))
    except M4IError as error:
        _say(pipe, (type(error).__name__, error.what, error.where, error.cure))
    except (BrokenPipeError, ConnectionError):
        pass  # nobody is there any more to tell
    except Exception as error:
        _say(pipe, ("RunFailed", f"a worker failed ({type(error).__name__}: {error})", None, "Run the command again."))


def _dealt(pipe: Connection) -> Iterator[list[int]]:
    while True:
        try:
            batch = pipe.recv()
        except (EOFError, OSError):
            return
        if batch is None:
            return
        yield batch


def _say(pipe: Connection, fault: tuple[str, str, str | None, str | None]) -> None:
    with suppress(OSError):
        pipe.send(("failed", fault))
