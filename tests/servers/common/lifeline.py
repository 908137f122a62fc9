"""A server must not outlive whoever started it, however that one ends."""

from __future__ import annotations

import os
import signal
import threading


def end_with_starter() -> None:
    """SIGTERM to this process once its standard input is closed: the starter holds the other end of that pipe."""

    def wait() -> None:
        while os.read(0, 4096):  # not sys.stdin, whose lock a thread must not hold when Python ends
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()
