"""What is left to ask, in batches that are the same whenever the run goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from m4i_fast.query.asks import Asks
from m4i_fast.query.ledger import Ledger
from m4i_fast.query.parts import Identity, Part
from m4i_fast.query.pictures import Batch, Wanted
from m4i_fast.query.records import Records
from m4i_fast.types import Record

__all__ = ["Plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """A query: everything that does not depend on who answers it. Any number of workers may hold it."""

    records: Records
    parts: tuple[Part, ...]
    asks: Asks
    identity: Identity

    @property
    def part_questions(self) -> int:
        """Questions of each part but the last."""
        return self.parts[0].questions

    @property
    def questions(self) -> int:
        """All of them."""
        return self.parts[-1].last

    def answered(self, ledger: Ledger) -> int:
        """How many have an answer."""
        return sum(part.questions if part.stands else ledger.count(part.first, part.last) for part in self.parts)

    def missing(self, ledger: Ledger, size: int) -> Iterator[list[int]]:
        """Questions without an answer, in batches of up to ``size``.

        A batch holds one of the ranges of ``size`` questions that each part is cut into, whatever is answered already:
        so a run that goes on gives the model the batches that it would have had, and their rounding.
        """
        for part in self.parts:
            if part.stands:
                continue
            answered = ledger.answered(part.first, part.last)
            for first in range(part.first, part.last, size):
                wanted = np.arange(first, min(first + size, part.last))
                left = wanted[~np.isin(wanted, answered, assume_unique=True)] if len(answered) else wanted
                if len(left):
                    yield left.tolist()

    def ranges(self, part: Part, size: int) -> Iterator[list[int]]:
        """All batches of a part, whatever is answered."""
        for first in range(part.first, part.last, size):
            yield list(range(first, min(first + size, part.last)))

    def batches(self, numbers: Iterator[list[int]]) -> Iterator[Batch]:
        """The same with their records, read a part at a time."""
        held, start = -1, 0
        block: Sequence[Record] = ()
        asks = list(self.asks)
        each = len(asks)
        for questions in numbers:
            index = questions[0] // self.part_questions
            if index != held:
                part = self.parts[index]
                held, start, block = index, part.start, self.records.block(part.start, part.stop)
            yield [Wanted(number, block[number // each - start], asks[number % each]) for number in questions]
