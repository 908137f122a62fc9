"""Work that is cut smaller where the memory does not suffice."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from m4i_fast.engines.protocol import OutOfMemory
from m4i_fast.progress import say

__all__ = ["Pieces"]

T = TypeVar("T")


class Pieces:
    """Does work on rows at once, and never again on more of them than the memory took.

    Attributes:
        most: rows at once; None: as many as there are, since none were too many yet.
    """

    def __init__(self) -> None:
        self.most: int | None = None

    def each(self, rows: int, work: Callable[[slice], T]) -> list[T]:
        """Do ``work`` on all rows, a piece after the other; where memory runs out, on half as many, and so on.

        Raises:
            OutOfMemory: one row alone is too much.
        """
        at = 0
        done: list[T] = []
        while at < rows:
            step = min(self.most or rows, rows - at)
            try:
                done.append(work(slice(at, at + step)))
            except OutOfMemory:
                if step == 1:
                    raise
                self.most = (step + 1) // 2
                say(f"memory ran out on {step} rows at once; going on with {self.most}")
                continue
            at += step
        return done
