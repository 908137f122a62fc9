"""Hypotheses with their references, block by block, however many there are: what ``m4i-fast score`` reads.

Two plain texts are joined by line number and stream. All else is joined by id: files in one order stream too; where
the order differs, the references of all ids are held in memory (and a hypothesis that was read is let go).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from m4i_fast.data.pairs.join import BLOCK, Block, joined_by_id, joined_by_line
from m4i_fast.data.pairs.lines import Lines
from m4i_fast.data.pairs.rows import ReferenceRows, TextRows
from m4i_fast.data.pairs.sources import Source, source_of
from m4i_fast.errors import DataError

__all__ = ["BLOCK", "Block", "Pairs", "open_pairs"]

STANDARD_INPUT = "-"


@dataclass(frozen=True, slots=True)
class Pairs:
    """What is read, and what is known of it beforehand.

    Attributes:
        blocks: all of them, to be walked once; ``Block`` says what is in them, and errors of the files come from here.
        expected: how many hypotheses there are, where that can be known before they are read.
        formats: of the hypotheses, then of each file of references.
    """

    blocks: Iterator[Block]
    expected: int | None
    formats: tuple[str, ...]


def open_pairs(hypotheses: str, references: Sequence[Path]) -> Pairs:
    """Look at the files, and get ready to read them.

    Args:
        hypotheses: a file, or ``-`` for the standard input.
        references: one file, or several parallel plain texts.

    Raises:
        DataError: a file is absent, empty or cannot be joined with the other; texts of unequal length.
    """
    said = source_of(_standard_input() if hypotheses == STANDARD_INPUT else Path(hypotheses))
    wanted = [_references(path) for path in references]
    sources = [said, *wanted]
    plain = [source.format == "text" for source in sources]
    formats = tuple(source.format for source in sources)
    if all(plain):
        expected = [source.count_lines() for source in sources]
        _need_equal(sources, expected)
        lines = [Lines(source) for source in sources]
        return Pairs(joined_by_line(lines[0], lines[1:]), expected[0], formats)
    if len(wanted) > 1:
        odd = next(source for source, text in zip(sources, plain, strict=True) if not text)
        raise DataError(
            f"several files of references are parallel plain texts, one reference a line; this is {odd.format}",
            where=odd.name,
            cure="Give one file that holds all references of each id.",
        )
    if any(plain):
        text, other = (said, wanted[0]) if plain[0] else (wanted[0], said)
        raise DataError(
            f"plain text has no ids to join it with {other.name}, which is {other.format}",
            where=text.name,
            cure='Give JSONL with {"id": ..., "caption": ...} a line, or plain text for both, line by line.',
        )
    return Pairs(joined_by_id(TextRows(said), ReferenceRows(wanted[0])), said.count_lines(), formats)


def _standard_input() -> BinaryIO:
    if sys.stdin is None:  # where it is closed: <&-
        raise DataError("it is closed", where="standard input", cure="Pipe a file in, or name one.")
    return sys.stdin.buffer


def _references(path: Path) -> Source:
    if str(path) == STANDARD_INPUT:
        raise DataError(
            "references are read from a file", where=STANDARD_INPUT, cure="Only HYPS may be '-', the standard input."
        )
    return source_of(path)


def _need_equal(sources: Sequence[Source], lines: Sequence[int | None]) -> None:
    for source, count in zip(sources, lines, strict=True):
        if count is not None and lines[0] is not None and count != lines[0]:
            raise DataError(
                f"{count} lines, but {lines[0]} in {sources[0].name}",
                where=source.name,
                cure="Line by line they must belong together; a blank line is an empty text.",
            )
