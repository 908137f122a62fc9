"""A polite request to stop (SIGTERM) ends the work as Ctrl-C does: through every ``finally``."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

__all__ = ["finished", "stopping_cleanly"]

_Result = TypeVar("_Result")


@contextmanager
def stopping_cleanly() -> Iterator[None]:
    """While inside, SIGTERM raises SystemExit(143) in the main thread, unless the program handles it already."""
    ours = _is_ours()
    if ours:
        signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def finished(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run work in an event loop of its own; SIGTERM and Ctrl-C cancel it, so that it ends through its ``finally``.

    Raises:
        SystemExit: 143 after SIGTERM, unless the program handles it already.
        KeyboardInterrupt: after Ctrl-C.
    """
    from m4i_fast.engines.endpoints import event_loop

    stopped = False

    async def watched() -> _Result:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()

        def stop() -> None:
            nonlocal stopped
            assert task is not None
            if not stopped:  # a second one would break off what the first has begun
                stopped = True
                task.cancel()

        ours = _is_ours() and hasattr(signal, "SIGKILL")  # loops handle signals on POSIX only
        if ours:
            loop.add_signal_handler(signal.SIGTERM, stop)
        try:
            return await work
        finally:
            if ours:
                loop.remove_signal_handler(signal.SIGTERM)

    with asyncio.Runner(loop_factory=event_loop) as runner:
        try:
            return runner.run(watched())
        except asyncio.CancelledError:
            if stopped:
                raise SystemExit(128 + signal.SIGTERM) from None
            raise


def _is_ours() -> bool:
    main = threading.current_thread() is threading.main_thread()
    return main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def _stop(number: int, frame: FrameType | None) -> None:
    del frame
    raise SystemExit(128 + number)
