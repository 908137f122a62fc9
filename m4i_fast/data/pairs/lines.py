"""Lines of a UTF-8 text, many at a time: only a line feed ends one, whatever else Unicode calls a separator."""

from __future__ import annotations

from m4i_fast.data.files import not_utf8
from m4i_fast.data.pairs.sources import Source
from m4i_fast.errors import DataError

__all__ = ["Lines"]

LONGEST = 1 << 28
"""Bytes of one line; what has longer ones is no text."""


class Lines:
    """The lines of a source, in order, without their line feeds (nor a carriage return before them).

    Args:
        source: read as the lines are taken.
    """

    def __init__(self, source: Source) -> None:
        self.name = source.name
        self.taken = 0
        self._chunks = source.chunks()
        self._rest = b""  # the beginning of a line whose end was not read yet
        self._held: list[str] = []
        self._decoded = 0  # lines so far
        self._started = self._ended = False

    def take(self, count: int) -> list[str]:
        """The next ``count`` lines; fewer at the end.

        Raises:
            DataError: not UTF-8 (line and byte), or a line without end.
        """
        while len(self._held) < count and not self._ended:
            self._fill()
        block, self._held = self._held[:count], self._held[count:]
        self.taken += len(block)
        return block

    def _fill(self) -> None:
        parts = [self._rest]
        size = len(self._rest)
        for chunk in self._chunks:
            end = chunk.rfind(b"\n") + 1
            if end:
                parts.append(chunk[:end])
                self._rest = chunk[end:]
                break
            parts.append(chunk)
            size += len(chunk)
            if size > LONGEST:
                raise DataError(
                    f"a line of more than {LONGEST >> 20} MB",
                    where=f"{self.name}:{self._decoded + 1}",
                    cure="Give a text with one hypothesis or reference a line.",
                )
        else:
            self._ended, self._rest = True, b""
        self._decode(b"".join(parts))

    def _decode(self, content: bytes) -> None:
        if not content:
            return
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise not_utf8(self.name, content, error, lines_before=self._decoded) from error
        if not self._started:
            self._started, text = True, text.removeprefix("\ufeff")
        if "\r" in text:
            text = text.replace("\r\n", "\n")
        lines = text.split("\n")
        if not lines[-1]:  # behind the last line feed there is no line
            lines.pop()
        self._decoded += len(lines)
        self._held += lines
