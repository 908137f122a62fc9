"""Pictures made ready ahead of the model, by a pool of threads, at most a few batches in front of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np
import numpy.typing as npt

from m4i_fast.data.bytes import ImageReader
from m4i_fast.data.images import tame_pillow
from m4i_fast.data.locators import is_local_file
from m4i_fast.query.pictures import Batch, Filled, fill
from m4i_fast.types import ImageBatch

__all__ = ["AHEAD", "Fed", "Feed", "feeding"]

AHEAD = 2
"""Batches that wait for the model: enough to hide a slow picture, too few to fill the memory."""

CHUNK, FAR_CHUNK = 4, 16
"""Rows that one thread takes at a time, at least: few, so that all are done at the same time; more where neighbours are
fetched from a store by one request."""

TURNS = 4
"""Times that each thread comes for rows of one batch, at most: each time costs as much as a record elsewhere."""


@dataclass(frozen=True, slots=True)
class Fed:
    """A batch that is ready. ``images.pixels`` is lent until the next one is asked for.

    ``sha256``: of each row's image file, where it could be read.
    """

    batch: Batch
    images: ImageBatch
    sha256: list[bytes | None]


class Feed:
    """Iterates over ``Fed``, in the order of the batches. Made by ``feeding``.

    Attributes:
        read_s: seconds of the pool's threads spent on reading files.
        decode_s: the same on decoding and resizing.
        wait_s: seconds that the caller waited for pictures.
    """

    def __init__(
        self,
        pool: ThreadPoolExecutor,
        batches: Iterator[Batch],
        size: int,
        ahead: int,
        threads: int,
        work: Callable[[Batch, npt.NDArray[np.uint8]], Filled],
    ) -> None:
        self._pool = pool
        self._turns = TURNS * threads
        self._batches = batches
        self._size = size
        self._ahead = ahead
        self._work = work
        self._waiting: deque[tuple[Batch, npt.NDArray[np.uint8], list[Future[Filled]]]] = deque()
        self._free: list[npt.NDArray[np.uint8]] = []
        self.read_s = self.decode_s = self.wait_s = 0.0

    def __iter__(self) -> Iterator[Fed]:
        self._begin(self._ahead)
        while self._waiting:
            batch, pixels, parts = self._waiting.popleft()
            self._begin(self._ahead)
            mark = perf_counter()
            filled = [part.result() for part in parts]
            self.wait_s += perf_counter() - mark
            self.read_s += sum(part.read_s for part in filled)
            self.decode_s += sum(part.decode_s for part in filled)
            errors = tuple(error for part in filled for error in part.errors)
            hashes = [digest for part in filled for digest in part.sha256]
            yield Fed(batch, ImageBatch(tuple(row.record.id for row in batch), pixels[: len(batch)], errors), hashes)
            self._free.append(pixels)

    def _begin(self, goal: int) -> None:
        while len(self._waiting) < goal and (batch := next(self._batches, None)) is not None:
            pixels = self._buffer(len(batch))
            least = CHUNK if is_local_file(batch[0].record.image) else FAR_CHUNK
            step = max(least, -(-len(batch) // self._turns))
            starts = range(0, len(batch), step)
            parts = [
                self._pool.submit(self._work, batch[at : at + step], pixels[at : min(at + step, len(batch))])
                for at in starts
            ]
            self._waiting.append((batch, pixels, parts))

    def _buffer(self, rows: int) -> npt.NDArray[np.uint8]:
        # Memory that was used before costs no page faults; a batch that is larger than all before gets its own.
        while self._free:
            pixels = self._free.pop()
            if len(pixels) >= rows:
                return pixels
        return np.zeros((rows, self._size, self._size, 3), np.uint8)


@contextmanager
def feeding(
    batches: Iterator[Batch],
    size: int,
    *,
    threads: int,
    ahead: int = AHEAD,
    work: Callable[[Batch, npt.NDArray[np.uint8]], Filled] | None = None,
) -> Iterator[Feed]:
    """Make batches ready ahead of their use.

    Args:
        batches: taken one by one, at most ``ahead`` + 1 before they are used.
        size: side of the pictures in pixels.
        threads: at work.
        ahead: batches in front of the one that is in use.
        work: fills some rows; None: reads and decodes their pictures.

    Leaving the block ends the threads at the picture that each is at.
    """
    tame_pillow()
    with ImageReader() as reader:
        pool = ThreadPoolExecutor(threads, thread_name_prefix="m4i-decode")
        try:
            yield Feed(pool, batches, size, ahead, threads, work or partial(fill, reader=reader))
        finally:
            reader.stop()  # a store that is down would keep each thread for minutes
            pool.shutdown(cancel_futures=True)
