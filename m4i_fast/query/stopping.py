"""A polite request to stop (SIGTERM) ends the work as Ctrl-C does: through every ``finally``."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["stopping_cleanly"]


@contextmanager
def stopping_cleanly() -> Iterator[None]:
    """While inside, SIGTERM raises SystemExit(143) in the main thread, unless the program handles it already."""
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _stop(number: int, frame: FrameType | None) -> None:
    del frame
    raise SystemExit(128 + number)
