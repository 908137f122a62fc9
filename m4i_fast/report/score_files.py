"""Scores in a file, block by block: Parquet, CSV or JSONL, as its name says; whole or not at all."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from m4i_fast.errors import ConfigError, RunFailed
from m4i_fast.report.csv import cell
from m4i_fast.runs import atomic_path, sweep_dead

__all__ = ["SUFFIXES", "ScoreWriter", "open_score_file", "score_format"]

Ids = range | Sequence[str]
Reals = npt.NDArray[np.float64]

ROW_GROUP: Final = 1 << 17  # rows of Parquet that are written together
SUFFIXES: Final = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


class ScoreWriter(Protocol):
    """An open table with the columns id, one for each name, and error."""

    rows: int

    def write(self, ids: Ids, values: Reals, errors: Sequence[str | None] | None) -> None:
        """Add n rows; their arrays may not change afterwards.

        Args:
            ids: n ids, or line numbers.
            values: float64 [n, F]; NaN becomes an empty cell or null (in Parquet it stays NaN).
            errors: n reasons or None each; None where there are none.
        """

    def close(self) -> None:
        """Write what is left."""

    def count(self) -> int:
        """Rows that the closed file really holds."""


def score_format(path: Path) -> str:
    """``parquet``, ``csv`` or ``jsonl``.

    Raises:
        ConfigError: another suffix.
    """
    found = SUFFIXES.get(path.suffix.lower())
    if found is None:
        raise ConfigError(
            f"'{path.suffix}' is no kind of table",
            where=path,
            cure=f"Choose a name that ends with {', '.join(SUFFIXES)}.",
        )
    return found


@contextmanager
def open_score_file(path: Path, names: Sequence[str], metadata: Mapping[str, str]) -> Iterator[ScoreWriter]:
    """A table that gets its name when the block ends well; after an error nothing of it is left.

    After a kill its temporary file is, until the next table of this name is opened.

    Args:
        path: the file; its suffix says the format.
        names: F metrics.
        metadata: goes into the footer of Parquet; the other formats have no room for it.

    Raises:
        ConfigError: as ``score_format``.
        RunFailed: the disk is full, or what was written cannot be read back.
    """
    kinds: dict[str, Callable[..., ScoreWriter]] = {"parquet": _Parquet, "csv": _Csv, "jsonl": _Jsonl}
    kind = kinds[score_format(path)]
    sweep_dead(path)
    with atomic_path(path) as temporary:
        writer = kind(temporary, names, metadata)
        try:
            yield writer
        finally:
            writer.close()
        if writer.count() != writer.rows:
            raise RunFailed("the table was not written whole", where=path, cure="Check the disk and run again.")


class _Parquet:
    def __init__(self, path: Path, names: Sequence[str], metadata: Mapping[str, str]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.rows = 0
        self._path = path
        self._held: list[Any] = []
        fields = [("id", pa.string()), *((name, pa.float64()) for name in names), ("error", pa.string())]
        self._schema = pa.schema(fields, metadata=dict(metadata))
        # Ids are all different: a dictionary of them would be made in vain.
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd", use_dictionary=[*names, "error"])

    def write(self, ids: Ids, values: Reals, errors: Sequence[str | None] | None) -> None:
        import pyarrow as pa

        first = pa.array(np.arange(ids.start, ids.stop)).cast(pa.string()) if isinstance(ids, range) else pa.array(ids)
        last = pa.nulls(len(ids), pa.string()) if errors is None else pa.array(errors, pa.string())
        columns = [first, *(pa.array(np.ascontiguousarray(column)) for column in values.T), last]
        self._held.append(pa.table(columns, schema=self._schema))
        self.rows += len(ids)
        if sum(table.num_rows for table in self._held) >= ROW_GROUP:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._held:
            self._writer.write_table(pa.concat_tables(self._held))
            self._held.clear()

    def count(self) -> int:
        import pyarrow.parquet as pq

        rows: int = pq.read_metadata(self._path).num_rows
        return rows


class _Lines:
    """A text file with a row a line."""

    head = 0

    def __init__(self, path: Path, names: Sequence[str], _: Mapping[str, str]) -> None:
        self.rows = 0
        self._names = names
        self._path = path
        self._file = path.open("w", encoding="utf-8", newline="")

    def close(self) -> None:
        self._file.close()

    def count(self) -> int:
        with self._path.open("rb") as file:
            return sum(part.count(b"\n") for part in iter(lambda: file.read(1 << 20), b"")) - self.head


class _Csv(_Lines):
    head = 1

    def __init__(self, path: Path, names: Sequence[str], metadata: Mapping[str, str]) -> None:
        super().__init__(path, names, metadata)
        self._csv = csv.writer(self._file, lineterminator="\n")
        self._csv.writerow(["id", *map(cell, names), "error"])

    def write(self, ids: Ids, values: Reals, errors: Sequence[str | None] | None) -> None:
        first = ids if isinstance(ids, range) else map(cell, ids)
        self._csv.writerows(zip(first, *_columns(values), errors or [None] * len(ids), strict=True))
        self.rows += len(ids)


class _Jsonl(_Lines):
    def write(self, ids: Ids, values: Reals, errors: Sequence[str | None] | None) -> None:
        import msgspec

        names = ("id", *self._names, "error")
        first = map(str, ids) if isinstance(ids, range) else ids
        rows = zip(first, *_columns(values), errors or [None] * len(ids), strict=True)
        encoded = msgspec.json.Encoder().encode_lines([dict(zip(names, row, strict=True)) for row in rows])
        self._file.write(encoded.decode())
        self.rows += len(ids)


def _columns(values: Reals) -> list[list[Any]]:
    """As Python's floats, NaN as None."""
    if not np.isnan(values).any():
        return list(values.T.tolist())
    return [[None if each != each else each for each in column] for column in values.T.tolist()]  # noqa: PLR0124 - NaN
