"""The records of a query, by blocks: a list that is there, or a file that is read piece by piece."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from m4i_fast.errors import DataError
from m4i_fast.record_file import RecordFile
from m4i_fast.types import Record

__all__ = ["FiledRecords", "ListedRecords", "Records"]


FIELDS = ("id", "image", "error", "image_sha256")
"""What an answer depends on, of a record."""

NONE, SEPARATOR, END = "\x00", "\x1f", "\x1e"


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


class FiledRecords:
    """The ``records.parquet`` of a run, read a part at a time; opened anew in each process that it is sent to.

    Raises:
        DataError: it holds no record, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = RecordFile(path)
        _need_some(len(self._file))

    def __reduce__(self) -> tuple[type[FiledRecords], tuple[Path]]:
        return FiledRecords, (self.path,)

    def __len__(self) -> int:
        return len(self._file)

    def block(self, start: int, stop: int) -> Sequence[Record]:
        """Records ``start`` to ``stop``."""
        return self._file.block(start, stop)

    def digest(self) -> str:
        """As the protocol says."""
        rows = hashlib.sha256()
        for table in self._file.groups(FIELDS):
            columns = [pc.fill_null(table[name].cast(pa.large_string()), NONE).combine_chunks() for name in FIELDS]
            end, separator = (pa.scalar(mark, pa.large_string()) for mark in (END, SEPARATOR))
            joined = pc.binary_join_element_wise(*columns, end, separator)
            _, offsets, text = joined.buffers()
            edges = np.frombuffer(offsets, np.int64)[joined.offset : joined.offset + len(joined) + 1]
            rows.update(memoryview(text)[edges[0] : edges[-1]])
        return rows.hexdigest()


class ListedRecords:
    """Records in memory.

    Raises:
        DataError: no record, or two of one id.
    """

    def __init__(self, records: Sequence[Record]) -> None:
        _need_some(len(records))
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
            fields = [NONE if value is None else value for value in (getattr(record, name) for name in FIELDS)]
            # Names of files need not be UTF-8.
            rows.update(SEPARATOR.join([*fields, END]).encode("utf-8", "surrogatepass"))
        return rows.hexdigest()


def _need_some(count: int) -> None:
    if not count:
        raise DataError("there is no record to ask about", cure="Check the data with: m4i-fast data inspect DATA")
