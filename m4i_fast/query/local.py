"""Asking an engine on this machine: pictures in, answers out, smaller batches where the memory does not suffice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt

from m4i_fast.engines.protocol import Captioner, OutOfMemory
from m4i_fast.query.collector import rare_collections
from m4i_fast.query.feeding import AHEAD, Fed, feeding
from m4i_fast.query.ledger import Answer
from m4i_fast.query.memory import Pieces
from m4i_fast.query.pictures import Batch, Filled, may_pass
from m4i_fast.query.plan import Plan
from m4i_fast.query.writing import writing
from m4i_fast.types import Generations, ImageBatch

__all__ = ["Careful", "Clock", "answer_batches", "answers_of", "best_batch", "careful_batches", "joined"]


@dataclass(slots=True)
class Clock:
    """Seconds by what they were spent on; they overlap, so that their sum is more than the wall time.

    Attributes:
        read_s: reading image files, threads added up.
        decode_s: decoding and resizing, threads added up.
        infer_s: in the engine.
        write_s: on the ledger and the parts.
        wait_s: the engine waited for pictures.
        wait_write_s: the engine waited for the ledger.
    """

    read_s: float = 0.0
    decode_s: float = 0.0
    infer_s: float = 0.0
    write_s: float = 0.0
    wait_s: float = 0.0
    wait_write_s: float = 0.0

    def add(self, other: Clock) -> None:
        """Add another worker's seconds."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


def answer_batches(
    captioner: Captioner,
    plan: Plan,
    ledger: Path,
    numbers: Iterator[list[int]],
    *,
    threads: int,
    advance: Callable[[int, str], object],
    ahead: int = AHEAD,
    work: Callable[[Batch, npt.NDArray[np.uint8]], Filled] | None = None,
) -> Clock:
    """Answer all batches; returns when every answer is committed.

    Args:
        captioner: the open engine.
        plan: of the query.
        ledger: its path.
        numbers: batches of questions, each of one part.
        threads: that decode pictures.
        advance: told how many questions are done, and a note, after each batch.
        ahead: batches made ready in front of the engine.
        work: makes pictures ready; None: reads and decodes them.

    Raises:
        RunFailed: the engine or the disk failed; what was answered before is committed.
    """
    clock = Clock()
    begun, done = perf_counter(), 0
    with rare_collections(), writing(ledger, plan) as writer:
        for fed, said in careful_batches(captioner, plan, numbers, clock, threads=threads, ahead=ahead, work=work):
            writer.put(answers_of(fed, said))
            done += len(fed.batch)
            wall = perf_counter() - begun
            waited = f", waits {clock.wait_s / wall:.0%} for images" if clock.wait_s > 0.05 * wall else ""
            advance(len(fed.batch), f"{done / wall:.0f} images/s{waited}")
    clock.write_s, clock.wait_write_s = writer.write_s, writer.wait_s
    return clock


def careful_batches(
    captioner: Captioner,
    plan: Plan,
    numbers: Iterator[list[int]],
    clock: Clock,
    *,
    threads: int,
    ahead: int = AHEAD,
    work: Callable[[Batch, npt.NDArray[np.uint8]], Filled] | None = None,
) -> Iterator[tuple[Fed, Generations]]:
    """Batches with their answers, in order; ``clock`` is kept up to date. Arguments as ``answer_batches``."""
    careful = Careful(captioner)
    with feeding(plan.batches(numbers), captioner.image_size, threads=threads, ahead=ahead, work=work) as feed:
        for fed in feed:
            mark = perf_counter()
            said = careful.generate(fed.images)
            clock.infer_s += perf_counter() - mark
            clock.read_s, clock.decode_s, clock.wait_s = feed.read_s, feed.decode_s, feed.wait_s
            yield fed, said


class Careful:
    """Asks an engine, and never again about more pictures at once than its memory took."""

    def __init__(self, captioner: Captioner) -> None:
        self._captioner = captioner
        self._pieces = Pieces()

    @property
    def most(self) -> int | None:
        """Pictures at once; None: as many as there are."""
        return self._pieces.most

    def generate(self, images: ImageBatch) -> Generations:
        """Answer a batch; where memory runs out, in halves, and so on down to single pictures.

        Raises:
            OutOfMemory: one picture alone is too much.
        """

        def ask(cut: slice) -> Generations:
            return self._captioner.generate(ImageBatch(images.ids[cut], images.pixels[cut], images.errors[cut]))

        parts = self._pieces.each(len(images.ids), ask)
        return parts[0] if len(parts) == 1 else joined(parts)


def joined(parts: Sequence[Generations]) -> Generations:
    """Several answers as one."""
    width = max(part.tokens.shape[1] for part in parts)
    rates = [part.log_probs for part in parts if part.log_probs is not None]
    return Generations(
        ids=tuple(key for part in parts for key in part.ids),
        texts=tuple(text for part in parts for text in part.texts),
        tokens=np.concatenate([_widened(part.tokens, width) for part in parts]),
        lengths=np.concatenate([part.lengths for part in parts]),
        log_probs=np.concatenate([_widened(each, width) for each in rates]) if len(rates) == len(parts) else None,
        errors=tuple(error for part in parts for error in part.errors),
    )


def best_batch(captioner: Captioner, images: ImageBatch, *, most: int = 256) -> int:
    """The batch size that gives the most images a second, found by asking about real pictures.

    Doubles from 1 until the rate grows by less than 5 %, or memory runs out. Each size is tried twice, and the faster
    try counts: the first one pays for buffers.

    Args:
        captioner: the open engine.
        images: some real pictures without errors; used again and again where they are fewer than a batch.
        most: where to stop.
    """
    best, rate = 1, 0.0
    size = 1
    while size <= most:
        rows = np.resize(np.arange(len(images.ids)), size)
        batch = ImageBatch(tuple(images.ids[row] for row in rows), images.pixels[rows], (None,) * size)
        try:
            times = []
            for _ in range(2):
                mark = perf_counter()
                captioner.generate(batch)
                times.append(perf_counter() - mark)
        except OutOfMemory:
            break
        now = size / min(times)
        if now < 1.05 * rate:
            break
        best, rate = size, now
        size *= 2
    return best


def answers_of(fed: Fed, said: Generations) -> list[Answer]:
    """The rows of the ledger; none for a picture that a store may give later: it stays to be asked about."""
    tokens = np.ascontiguousarray(said.tokens, np.int32).tobytes()
    rates = None if said.log_probs is None else np.ascontiguousarray(said.log_probs, np.float32).tobytes()
    width = 4 * said.tokens.shape[1]
    begins = range(0, width * len(said.ids), width) if width else [0] * len(said.ids)
    ends = [begin + 4 * length for begin, length in zip(begins, said.lengths.tolist(), strict=True)]
    return [
        Answer(
            wanted.question,
            1,
            None,
            None,
            fed.sha256[row],
            None,
            None,
            None,
            None,
            said.errors[row],
            said.texts[row],
            tokens[begins[row] : ends[row]],
            None if rates is None else rates[begins[row] : ends[row]],
        )
        for row, wanted in enumerate(fed.batch)
        if not may_pass(said.errors[row])
    ]


def _widened(matrix: npt.NDArray[np.generic], width: int) -> npt.NDArray[np.generic]:
    return np.pad(matrix, ((0, 0), (0, width - matrix.shape[1])))
