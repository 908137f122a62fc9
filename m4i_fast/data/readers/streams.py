"""Records one by one, in a stable order, whatever their number: what is kept in memory is one record's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain

from m4i_fast.data.readers.columns import Row, Rows, records_from_rows
from m4i_fast.data.readers.csv_table import csv_table_rows
from m4i_fast.data.readers.folder import folder_rows
from m4i_fast.data.readers.gather import Gathering, RecordSet
from m4i_fast.data.readers.jsonl import jsonl_rows
from m4i_fast.data.readers.parquet import parquet_image_rows
from m4i_fast.data.readers.places import Places
from m4i_fast.data.readers.webdataset import webdataset_rows
from m4i_fast.data.stores import Source
from m4i_fast.errors import DataError
from m4i_fast.types import Record

__all__ = ["ROWS", "RecordStream", "table_of"]

ROWS: Mapping[str, Callable[[Source], Iterator[Row]]] = {
    "jsonl": jsonl_rows,
    "csv": csv_table_rows,
    "parquet": parquet_image_rows,
    "folder": folder_rows,
    "webdataset": webdataset_rows,
}
"""Formats that are read row by row, from one file or several."""


class RecordStream:
    """Records as they are read; can be gone through once.

    Args:
        sources: the files, read one after the other.
        format: a name of ``ROWS``.
        images: the user's ``--images``.
        whole: a data set whose format must be read whole; then the others are not looked at.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        format: str,  # noqa: A002 - the option's name
        images: Source | None,
        whole: RecordSet | None = None,
    ) -> None:
        self.format = format
        self._whole = whole
        if whole is None:
            rows = _all_rows(sources, format, images)
            self._gathering = Gathering(sources[0], format, _places(sources, images))
            self._rows = Rows(self._gathering)
            self._records = self._rows.records(rows)

    def __iter__(self) -> Iterator[Record]:
        """Records in the order of the data; those of one id may come apart where ``joins`` says so."""
        return iter(self._whole.records) if self._whole is not None else self._records

    @property
    def notes(self) -> Mapping[str, int]:
        """Counts of what was put right so far."""
        return self._whole.notes if self._whole is not None else self._gathering.notes

    def joins(self) -> bool:
        """Whether records of one id that came apart are captions of one record; known when all were read."""
        return self._whole is None and self._rows.of_one_caption()


def table_of(sources: Sequence[Source], format: str, images: Source | None) -> RecordSet:  # noqa: A002 - the option's name
    """All records of one or several files at once, with their further columns.

    Raises:
        DataError: as the format's rows, or as ``records_from_rows``.
    """
    rows = _all_rows(sources, format, images)
    return records_from_rows(sources[0], format, rows, images if format not in OWN_PLACES else None)


OWN_PLACES = {"folder", "webdataset"}
"""Formats that bring their pictures with them."""


def _all_rows(sources: Sequence[Source], format: str, images: Source | None) -> Iterator[Row]:  # noqa: A002 - the option's name
    if format in OWN_PLACES and images is not None:
        what = "a folder of images" if format == "folder" else "a tar of images"
        raise DataError(f"{what} needs no --images", where=sources[0], cure="Leave one of them out.")
    if format in {"jsonl", "csv"} and len({str(each.parent) for each in sources}) > 1:
        raise DataError(
            "these files lie in several folders, and the images they name are looked for in one",
            where=sources[0],
            cure="Put them into one folder.",
        )
    return chain.from_iterable(map(ROWS[format], sources))


def _places(sources: Sequence[Source], images: Source | None) -> Places:
    return Places(sources[0].parent, images, absolute=True)
