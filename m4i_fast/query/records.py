"""The records of a query, by blocks: a list that is there, or a file that is read piece by piece."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from m4i_fast.errors import DataError
from m4i_fast.types import Record

__all__ = ["ListedRecords", "Records"]


@runtime_checkable
class Records(Protocol):
    """Records in the order of the result."""

    def __len__(self) -> int: ...

    def block(self, start: int, stop: int) -> Sequence[Record]:
        """Records ``start`` to ``stop``."""
        ...

    def digest(self) -> str:
        """SHA-256 in hex of what an answer depends on: ids, images, reasons and the hashes of pictures, in order."""
        ...


class ListedRecords:
    """Records in memory.

    Raises:
        DataError: no record, or two of one id.
    """

    def __init__(self, records: Sequence[Record]) -> None:
        if not records:
            raise DataError("there is no record to ask about", cure="Check the data with: m4i-fast data inspect DATA")
        seen: set[str] = set()
        for record in records:
            if record.id in seen:
                raise DataError("two records have this id", where=record.id, cure="Give every record an id of its own.")
            seen.add(record.id)
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    def block(self, start: int, stop: int) -> Sequence[Record]:
        """Records ``start`` to ``stop``."""
        return self._records[start:stop]

    def digest(self) -> str:
        """As the protocol says."""
        rows = hashlib.sha256()
        for record in self._records:
            fields = (record.id, record.image, record.error, record.image_sha256)
            # Names of files need not be UTF-8.
            rows.update(
                ("\x1f".join("\x00" if each is None else each for each in fields) + "\x1f\x1e").encode(
                    "utf-8", "surrogatepass"
                )
            )
        return rows.hexdigest()
