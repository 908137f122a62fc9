"""What the tool reads in a user's data, before anything is done with it: ``m4i-fast data inspect``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from m4i_fast.data.readers import read_table
from m4i_fast.data.stores import Source
from m4i_fast.types import Record

__all__ = ["Inspection", "inspect"]


@dataclass(frozen=True, slots=True)
class Inspection:
    """Facts of a data set; every count is of records unless it says otherwise.

    Attributes:
        path: what was read.
        format: how it was read.
        records: all of them, the unusable ones too.
        groups: distinct groups (studies); fewer than records where images belong together.
        captions: references in all.
        usable: records without an error.
        without_references: usable or not, they have no caption.
        missing_images: image files that are not there.
        errors: records by reason why they cannot be used.
        references: fewest, mean and most references a record.
        caption_words: words a caption: fewest, mean, median, 99th percentile, most.
        vocabulary: distinct words; ``vocabulary_4``: those seen at least 4 times.
        columns: values of the file's further columns with few distinct values, and how many rows have each.
        notes: counts of what was put right while reading.
        near_duplicates: images that are near-duplicates of an earlier one, or None where it was not asked.
        identical_files: files equal byte for byte to an earlier one, or None.
        first: the first records, for a look.
    """

    path: str
    format: str
    records: int
    groups: int
    captions: int
    usable: int
    without_references: int
    missing_images: int
    errors: Mapping[str, int]
    references: Mapping[str, float]
    caption_words: Mapping[str, float]
    vocabulary: int
    vocabulary_4: int
    columns: Mapping[str, Mapping[str, int]]
    notes: Mapping[str, int]
    near_duplicates: int | None
    identical_files: int | None
    first: Sequence[Mapping[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; what was not asked for is left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def inspect(
    path: Source | str,
    *,
    images: Source | str | None = None,
    format: str = "auto",  # noqa: A002 - the option's name
    near_duplicates: bool = False,
    show: int = 3,
    threads: int = 2,
) -> Inspection:
    """Read a data set and count.

    Args:
        path: as for ``read_records``.
        images: as for ``read_records``.
        format: as for ``read_records``.
        near_duplicates: also decode every image: finds those that cannot be decoded, and near-duplicates.
        show: records to show.
        threads: decoders at work.

    Raises:
        DataError: as ``read_records``.
    """
    from m4i_fast.text.words import words

    table = read_table(path, images=images, format=format)
    records = list(table.records)
    copies = identical = None
    if near_duplicates:
        records, copies, identical = _decoded(records, threads)
    captions = [caption for record in records for caption in record.references]
    seen: Counter[str] = Counter()
    lengths = np.zeros(len(captions), np.int64)
    for index, caption in enumerate(captions):
        found = words(caption)
        lengths[index] = len(found)
        seen.update(found)
    errors = Counter(record.error for record in records if record.error is not None)
    return Inspection(
        path=str(path),
        format=table.format,
        records=len(records),
        groups=len({record.group or record.id for record in records}),
        captions=len(captions),
        usable=sum(record.error is None for record in records),
        without_references=sum(not record.references for record in records),
        missing_images=errors["image file not found"],
        errors={reason: count for reason, count in errors.most_common() if count},
        references=_spread(np.array([len(record.references) for record in records]), ("min", "mean", "max")),
        caption_words=_spread(lengths, ("min", "mean", "median", "p99", "max")),
        vocabulary=len(seen),
        vocabulary_4=sum(count >= 4 for count in seen.values()),
        columns={name: counted for name, values in table.columns.items() if (counted := _values(values))},
        notes=dict(table.notes),
        near_duplicates=copies,
        identical_files=identical,
        first=[
            {"id": record.id, "image": record.image, "references": list(record.references), "error": record.error}
            for record in records[:show]
        ],
    )


def _decoded(records: list[Record], threads: int) -> tuple[list[Record], int, int]:
    """The records with the reasons of images that cannot be decoded; near-duplicates; identical files."""
    from msgspec.structs import replace

    from m4i_fast.data.duplicates import duplicate_groups, identical_files, signatures
    from m4i_fast.progress import progress

    paths = [record.image for record in records]
    with progress("decoding images", len(paths)) as advance:
        found = signatures(paths, threads=threads, advance=advance)
    records = [
        replace(record, error=record.error or error) for record, error in zip(records, found.errors, strict=True)
    ]
    copies = len(paths) - len(np.unique(duplicate_groups(found)))
    return records, copies, sum(len(group) - 1 for group in identical_files(paths))


def _spread(values: np.ndarray[Any, Any], names: Sequence[str]) -> dict[str, float]:
    if not len(values):
        return {}
    every = {
        "min": int(values.min()),
        "mean": round(float(values.mean()), 2),
        "median": float(np.median(values)),
        "p99": round(float(np.quantile(values, 0.99)), 1),
        "max": int(values.max()),
    }
    return {name: every[name] for name in names}


def _values(values: Sequence[Any]) -> dict[str, int]:
    counted = Counter("(none)" if value is None else str(value) for value in values)
    return dict(counted.most_common()) if len(counted) <= 12 else {}
