"""The path of a local query with an engine that is open already, and an engine that costs nothing.

Run as a program (``python -m m4i_fast.bench.answering``) it asks the free engine about a table of records in a process
of its own, and says in JSON what that took.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from m4i_fast.engines.metadata import EngineMetadata
from m4i_fast.engines.onnx import OnnxCaptioner
from m4i_fast.engines.protocol import Captioner
from m4i_fast.query.asks import Asks
from m4i_fast.query.local import Clock, answer_batches
from m4i_fast.query.pictures import Batch, Filled
from m4i_fast.query.records import FiledRecords, ListedRecords, Records
from m4i_fast.query.runner import BATCH, PART_ROWS, need_all, opened_plan
from m4i_fast.query.writing import end_whole_parts
from m4i_fast.runs import Run, open_run
from m4i_fast.types import Record

__all__ = ["answer_all", "free_captioner"]

FREE_TOKENS: Final = 12
"""Words of an answer: as Flickr8k's captions have."""
FREE_SIZE: Final = 8


def answer_all(
    run: Run,
    records: Sequence[Record] | Records,
    captioner: Captioner,
    *,
    decode_threads: int,
    batch: int = BATCH,
    stop: int | None = None,
    work: Callable[[Batch, npt.NDArray[np.uint8]], Filled] | None = None,
) -> Clock:
    """What ``query`` does between opening the engine and its report.

    Args:
        run: open.
        records: in the order of the result.
        captioner: open.
        decode_threads: that make pictures ready.
        batch: pictures at a time.
        stop: question to end before; None: at the last, and nothing may be missing.
        work: makes pictures ready; None: reads and decodes them.
    """
    given = records if isinstance(records, Records) else ListedRecords(records)
    settings = {
        "what": "captions",
        "part_rows": PART_ROWS,
        "image_size": captioner.image_size,
        "decoding": captioner.metadata.decoding,
        "provider": captioner.provider,
        "asks": Asks().to_json(),
    }
    with opened_plan(run, given, Asks(), captioner.sha256, settings, PART_ROWS, again=False) as (ledger, whole):
        whole.answered(ledger)
        numbers: Iterator[list[int]] = whole.missing(ledger, batch)
        if stop is not None:
            numbers = takewhile(lambda questions: questions[0] < stop, numbers)
        clock = answer_batches(
            captioner, whole, ledger.path, numbers, threads=decode_threads, advance=lambda *_: None, work=work
        )
        end_whole_parts(ledger, whole)
        if stop is None:
            need_all(ledger, whole)
    return clock


class _FreeSession:
    """In the place of an ONNX Runtime session: the same answer to every picture, at once."""

    path = Path("free.onnx")
    sha256 = "0" * 64
    provider = "cpu"
    outputs = ("tokens", "lengths", "log_probs")

    def __init__(self) -> None:
        words = ["<pad>", "<start>", "<end>", "<unk>", *(f"word{number}" for number in range(1000))]
        self.metadata = EngineMetadata(
            kind="captioner",
            name="free",
            image_size=FREE_SIZE,
            vocabulary=words,
            max_tokens=FREE_TOKENS,
            decoding={"kind": "greedy", "max_tokens": FREE_TOKENS},
        )
        rng = np.random.default_rng(0)
        self._tokens = rng.integers(4, len(words), (4096, FREE_TOKENS), np.int32)
        self._log_probs = -rng.random((4096, FREE_TOKENS), np.float32)

    def run(self, value: npt.NDArray[np.uint8]) -> dict[str, np.ndarray[Any, Any]]:
        """Arrays of the right shapes."""
        rows = len(value)
        return {
            "tokens": self._tokens[:rows],
            "lengths": np.full(rows, FREE_TOKENS, np.int32),
            "log_probs": self._log_probs[:rows],
        }


def free_captioner(session: Any = None) -> OnnxCaptioner:
    """A captioner whose graph takes no time; what is done around the graph is the tool's own."""
    stand_in: Any = session or _FreeSession()
    return OnnxCaptioner(stand_in)


def _free_pictures(rows: Batch, pixels: npt.NDArray[np.uint8]) -> Filled:
    del pixels
    return Filled([None] * len(rows), [bytes(32)] * len(rows), 0.0, 0.0)


class _FirstQuestion(_FreeSession):
    """Says when it is asked for the first time, and ends the process there: nothing is changed."""

    def run(self, value: npt.NDArray[np.uint8]) -> dict[str, np.ndarray[Any, Any]]:
        print(json.dumps(_spent(_BEGUN) | {"rows": len(value)}), flush=True)
        os._exit(0)


_BEGUN: Final = time.perf_counter()


def _spent(since: float) -> dict[str, float]:
    return {"wall_s": time.perf_counter() - since, "cpu_s": time.process_time(), "peak_mb": _peak_mb()}


def _peak_mb() -> float:
    """The most memory that this process has held, in MB (10^6 bytes)."""
    try:
        # Not ru_maxrss where it can be helped: it begins with what the parent held.
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        kib = kib // 1024 if sys.platform == "darwin" else kib
    return kib * 1024 / 1e6


def main(folder: str, stop: str, what: str) -> None:
    """``folder``: of the run; ``stop``: questions to answer; ``what``: 'answer', or 'first' to end at the first."""
    session = _FirstQuestion() if what == "first" else None
    captioner = free_captioner(session)
    with open_run(Path(folder)) as run:
        begun, cpu = time.perf_counter(), time.process_time()
        answer_all(
            run,
            FiledRecords(run.path("records.parquet")),
            captioner,
            decode_threads=1,
            stop=int(stop) if what == "answer" else None,
            work=_free_pictures,
        )
        print(json.dumps(_spent(begun) | {"cpu_s": time.process_time() - cpu}))


if __name__ == "__main__":
    main(*sys.argv[1:])
