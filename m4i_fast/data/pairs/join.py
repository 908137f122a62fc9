"""Hypotheses and references brought together, by line number or by id; nothing is dropped in silence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from m4i_fast.data.pairs.lines import Lines
from m4i_fast.data.pairs.rows import ReferenceRows, Taken, TextRows
from m4i_fast.errors import DataError

__all__ = ["BLOCK", "NO_HYPOTHESIS", "NO_REFERENCES", "Block", "joined_by_id", "joined_by_line"]

BLOCK: Final = 1 << 14
"""Rows. The strings of two blocks fit into the cache of a core; with 65,536 reading takes twice as long."""
NO_REFERENCES: Final = "no references"
NO_HYPOTHESIS: Final = "no hypothesis"

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Block:
    """Some records.

    Attributes:
        ids: of n records; line numbers from 1 where plain texts were joined.
        hypotheses: n texts; empty where there is none.
        references: n lists of texts; empty wherever ``errors`` says something, so that nothing is scored.
        errors: why a record cannot be scored, or None; the whole is None where all can.
    """

    ids: range | list[str]
    hypotheses: list[str]
    references: Sequence[Sequence[str]]
    errors: list[str | None] | None

    def __len__(self) -> int:
        """How many records."""
        return len(self.ids)


def joined_by_line(hypotheses: Lines, references: Sequence[Lines]) -> Iterator[Block]:
    """The i-th hypothesis with the i-th line of each file of references.

    Raises:
        DataError: one file ends before another.
    """
    while True:
        first = hypotheses.taken + 1
        said = hypotheses.take(BLOCK)
        wanted = [lines.take(BLOCK) for lines in references]
        for lines, block in zip(references, wanted, strict=True):
            if len(block) != len(said):
                ended, longer = (lines, hypotheses) if len(block) < len(said) else (hypotheses, lines)
                raise DataError(
                    f"it ends after {ended.taken} lines, but {longer.name} goes on",
                    where=ended.name,
                    cure="Line by line they must belong together; a blank line is an empty text.",
                )
        if not said:
            return
        yield Block(range(first, first + len(said)), said, list(zip(*wanted, strict=True)), None)


def joined_by_id(hypotheses: TextRows, references: ReferenceRows) -> Iterator[Block]:
    """Each hypothesis with the references of its id, in the order of the hypotheses; then what has no hypothesis.

    While both files have the same ids in the same order, a block of each is all that is held, and 16 bytes a record.
    From the first difference on the references of all ids are held.

    Raises:
        DataError: an id stands twice in one of the files (says where), or the files have no id in common.
    """
    numbers: list[Numbers] = []  # of the hypotheses so far, each with the reference of the same place
    hashes: list[Numbers] = []
    taken = hypotheses.take(BLOCK)
    if not taken.ids:
        raise DataError("it holds no hypotheses", where=hypotheses.name, cure="Give a file with at least one.")
    while True:
        wanted = references.take(max(len(taken.ids), 1))
        if wanted.ids != taken.ids:
            break
        if not taken.ids:
            _need_distinct(hashes, references)
            return
        numbers.append(np.array(taken.numbers, np.int64))
        hashes.append(_hashes(taken.ids))
        yield _block(taken, wanted.values)
        taken = hypotheses.take(BLOCK)
    if not taken.ids:  # these are left over, and perhaps more
        while wanted.ids:
            hashes.append(_hashes(wanted.ids))
            yield _without_hypothesis(wanted.ids)
            wanted = references.take(BLOCK)
        _need_distinct(hashes, references)
        return
    if numbers:  # of what was read before, the references are gone
        references = references.anew()
        wanted = references.take(BLOCK)
    yield from _joined_by_index(hypotheses, taken, _Index(references, wanted, numbers))


class _Index:
    """The references of all ids, and which hypothesis has taken them.

    Args:
        references: all but the first of a file.
        taken: the first, already taken of them.
        numbers: of the hypotheses that had the first references, in their order.
    """

    def __init__(self, references: ReferenceRows, taken: Taken, numbers: Sequence[Numbers]) -> None:
        self.name = references.name
        self._at: dict[str, int] = {}
        self._texts: list[Sequence[str] | None] = []
        places: list[int] = []
        while taken.ids:
            for id_, texts, number in zip(*taken, strict=True):
                if id_ in self._at:
                    raise _twice(id_, references.place(places[self._at[id_]]), references.place(number))
                self._at[id_] = len(self._texts)
                self._texts.append(texts)
                places.append(number)
            taken = references.take(BLOCK)
        if not self._at:
            raise DataError("it holds no references", where=self.name, cure="Give a file with at least one.")
        self._number_of: Numbers = np.full(len(self._texts), -1, np.int64)
        before = np.concatenate(numbers) if numbers else np.zeros(0, np.int64)
        self._number_of[: len(before)] = before
        self._texts[: len(before)] = [None] * len(before)

    def take(self, id_: str, number: int) -> tuple[Sequence[str] | None, int]:
        """The references of an id, for hypothesis ``number``, and the hypothesis that had them before, or -1."""
        at = self._at.get(id_)
        if at is None:
            return None, -1
        earlier = int(self._number_of[at])
        self._number_of[at] = number
        texts, self._texts[at] = self._texts[at], None
        return texts, earlier

    def __len__(self) -> int:
        """How many ids there are."""
        return len(self._at)

    def left(self) -> list[str]:
        """Ids that no hypothesis came for."""
        return [id_ for id_, at in self._at.items() if self._number_of[at] < 0]


def _joined_by_index(hypotheses: TextRows, taken: Taken, index: _Index) -> Iterator[Block]:
    unknown: dict[str, int] = {}
    while taken.ids:
        found: list[Sequence[str] | None] = []
        for id_, number in zip(taken.ids, taken.numbers, strict=True):
            texts, earlier = index.take(id_, number)
            if texts is None and earlier < 0:
                earlier = unknown.setdefault(id_, number)
                earlier = -1 if earlier == number else earlier
            if earlier >= 0:
                raise _twice(id_, hypotheses.place(earlier), hypotheses.place(number))
            found.append(texts)
        yield _block(taken, found)
        taken = hypotheses.take(BLOCK)
    left = index.left()
    if len(left) == len(index):
        raise DataError(
            f"not one of its ids is among those of {hypotheses.name}, such as {next(iter(unknown))!r}",
            where=index.name,
            cure="Give files of the same records; an id is compared as text, and 7 is the same as '7'.",
        )
    for first in range(0, len(left), BLOCK):
        yield _without_hypothesis(left[first : first + BLOCK])


def _block(taken: Taken, references: Sequence[Sequence[str] | None]) -> Block:
    if all(references) and None not in taken.values:
        return Block(taken.ids, taken.values, references, None)  # type: ignore[arg-type]  # no None is left
    errors: list[str | None] = []
    wanted: list[Sequence[str]] = []
    for text, texts in zip(taken.values, references, strict=True):
        errors.append(NO_HYPOTHESIS if text is None else None if texts else NO_REFERENCES)
        wanted.append(texts if texts and text is not None else ())
    return Block(taken.ids, [text or "" for text in taken.values], wanted, errors)


def _without_hypothesis(ids: list[str]) -> Block:
    return Block(ids, [""] * len(ids), [()] * len(ids), [NO_HYPOTHESIS] * len(ids))


def _hashes(ids: list[str]) -> Numbers:
    return np.fromiter(map(hash, ids), np.int64, len(ids))


def _need_distinct(hashes: list[Numbers], references: ReferenceRows) -> None:
    """Equal ids have equal hashes; which of those with equal hashes really are equal, a second look tells."""
    every = np.sort(np.concatenate(hashes)) if hashes else np.zeros(0, np.int64)
    doubled = set(every[1:][every[1:] == every[:-1]].tolist())
    if not doubled:
        return
    seen: dict[str, int] = {}
    again = references.anew()
    while (taken := again.take(BLOCK)).ids:
        for id_, number in zip(taken.ids, taken.numbers, strict=True):
            if hash(id_) in doubled:
                if id_ in seen:
                    raise _twice(id_, again.place(seen[id_]), again.place(number))
                seen[id_] = number


def _twice(id_: str, first: str, second: str) -> DataError:
    return DataError(
        f"the id '{id_}' is there twice, before at {first}",
        where=second,
        cure="Give every record an id of its own; of several generations make several files.",
    )
