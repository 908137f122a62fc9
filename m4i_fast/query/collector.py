"""Python's garbage collector kept from looking at the same things again and again while a query runs.

A query makes and drops some dozen objects a record, nearly none of them in a cycle. The collector counts what is made,
and so goes through all that the program holds time after time: a quarter of the processor's time of a run over a fast
endpoint.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

__all__ = ["rare_collections"]

YOUNG = 50_000
"""New objects that are looked through together; Python's own figure is 700."""

_lock = Lock()
_inside = 0
_before: tuple[int, ...] = ()
_frozen = False


@contextmanager
def rare_collections() -> Iterator[None]:
    """Collect rarely, and leave out what there is already; for the whole process, until the last who asked has left.

    What stands in a cycle is still collected, later.
    """
    global _inside, _before, _frozen  # noqa: PLW0603 - of the process, as the collector is
    with _lock:
        if not _inside:
            _before = gc.get_threshold()
            # Whoever has frozen something means to thaw it himself, and thawing is all or nothing.
            _frozen = gc.isenabled() and gc.get_freeze_count() == 0
            if _frozen:
                gc.freeze()
            if _before[0]:
                gc.set_threshold(max(YOUNG, _before[0]), *_before[1:])
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                gc.set_threshold(*_before)
                if _frozen:
                    gc.unfreeze()
