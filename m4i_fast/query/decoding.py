"""Pictures decoded ahead of the model, in a thread of their own, at most two batches in front of it."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from m4i_fast.errors import RunFailed
from m4i_fast.types import ImageBatch, Record

__all__ = ["Decoded", "decode_batch", "decoding", "usable_cores"]

AHEAD = 2
"""Batches that wait for the model: enough to hide a slow picture, too few to fill the memory."""

POLL_S = 0.2
JOIN_S = 60.0


class Decoded:
    """Iterates over ``(index of the batch, ImageBatch)``. ``seconds``: spent decoding so far."""

    def __init__(
        self, work: queue.Queue[tuple[int, ImageBatch] | BaseException | None], thread: threading.Thread
    ) -> None:
        self._work = work
        self._thread = thread
        self.seconds = 0.0

    def __iter__(self) -> Iterator[tuple[int, ImageBatch]]:
        while True:
            try:
                item = self._work.get(timeout=POLL_S)
            except queue.Empty:
                if not self._thread.is_alive() and self._work.empty():
                    raise RunFailed(
                        "the thread that decodes pictures has died", cure="Run the command again."
                    ) from None
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item


@contextmanager
def decoding(
    batches: Sequence[Sequence[Record]],
    size: int,
    *,
    threads: int = 0,
    decode: Callable[[Sequence[Record], int, int], ImageBatch] | None = None,
) -> Iterator[Decoded]:
    """Decode batches of records in order, ahead of their use.

    Args:
        batches: records, batch by batch.
        size: side of the pictures in pixels.
        threads: decoders at work; 0: one a usable core.
        decode: does one batch; ``decode_batch`` unless a test says otherwise.

    Leaving the block stops the thread at the end of the batch that it is at, and joins it.
    """
    work: queue.Queue[tuple[int, ImageBatch] | BaseException | None] = queue.Queue(maxsize=AHEAD)
    stopped = threading.Event()
    decoders = threads or usable_cores()
    one_batch = decode or decode_batch

    def put(item: tuple[int, ImageBatch] | BaseException | None) -> None:
        while not stopped.is_set():
            try:
                work.put(item, timeout=POLL_S)
            except queue.Full:
                continue
            return

    def produce() -> None:
        try:
            for index, records in enumerate(batches):
                if stopped.is_set():
                    return
                started = time.perf_counter()
                batch = one_batch(records, size, decoders)
                decoded.seconds += time.perf_counter() - started
                put((index, batch))
            put(None)
        except BaseException as error:  # it belongs to whoever waits for the batch
            put(error)

    thread = threading.Thread(target=produce, name="m4i-decode", daemon=True)
    decoded = Decoded(work, thread)
    thread.start()
    try:
        yield decoded
    finally:
        stopped.set()
        thread.join(JOIN_S)


def decode_batch(records: Sequence[Record], size: int, threads: int) -> ImageBatch:
    """One batch; a record with an error, or whose picture cannot be read, is blank and has its reason."""
    from m4i_fast.data.images import decode

    errors = [record.error for record in records]
    readable = [row for row, error in enumerate(errors) if error is None]
    pixels, reasons = decode([records[row].image for row in readable], size, threads=threads)
    for row, reason in zip(readable, reasons, strict=True):
        errors[row] = reason
    if len(readable) < len(records):
        whole = np.zeros((len(records), size, size, 3), np.uint8)
        whole[readable] = pixels
        pixels = whole
    return ImageBatch(tuple(record.id for record in records), pixels, tuple(errors))


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
