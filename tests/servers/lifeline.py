"""A server must not outlive whoever started it, however that one ends."""

from __future__ import annotations

import os
import signal
import sys
import threading


def end_with_starter() -> None:
    """SIGTERM to this process once its standard input is closed: the starter holds the other end of that pipe."""

    def wait() -> None:
        sys.stdin.buffer.read()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()
