"""The tables of a run: one reader and one writer for each noun, Parquet on disk, recipes in the file's metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from m4i_fast.errors import DataError, RunError
from m4i_fast.runs import atomic_path
from m4i_fast.types import (
    Embeddings,
    FeatureTable,
    Generations,
    Membership,
    MembershipScores,
    OverlapScores,
    Record,
)

__all__ = [
    "RECORDS",
    "RECORD_GROUP",
    "join_embeddings",
    "read_embeddings",
    "read_features",
    "read_generations",
    "read_membership",
    "read_metadata",
    "read_overlap",
    "read_records",
    "read_repeats",
    "read_scores",
    "record_table",
    "records_of",
    "with_columns",
    "write_embeddings",
    "write_features",
    "write_generations",
    "write_membership",
    "write_overlap",
    "write_records",
    "write_repeats",
    "write_scores",
]


_STRING = pa.string()
_ID = {"id": _STRING}
RECORDS = {
    "id": _STRING,
    "image": _STRING,
    "references": pa.list_(_STRING),
    "group": _STRING,
    "error": _STRING,
    "image_sha256": _STRING,
}
"""Columns of ``records.parquet``."""
RECORD_GROUP = 1024
"""Records a row group: what must be read to see one of them."""
_GENERATIONS = {
    "id": _STRING,
    "text": _STRING,
    "tokens": pa.list_(pa.int32()),
    "log_probs": pa.list_(pa.float32()),
    "error": _STRING,
}
_MEMBERSHIP = {"id": _STRING, "is_member": pa.bool_()}
_NULLABLE = frozenset({"error", "log_probs", "image_sha256"})


def write_records(path: Path, records: Sequence[Record]) -> None:
    """Columns id, image, references (list), group, error, image_sha256; for a stream see ``m4i_fast.record_file``."""
    _write(path, record_table(records, path), group=RECORD_GROUP)


def read_records(path: Path) -> list[Record]:
    """The records of a run, in their order."""
    return records_of(_read(path, RECORDS))


def record_table(records: Sequence[Record], path: Path) -> pa.Table:
    """Records as a table; ``path`` for the message where a text is not Unicode."""
    return pa.table(
        {
            "id": _strings([record.id for record in records], path),
            "image": _strings([record.image for record in records], path),
            "references": _strings([list(record.references) for record in records], path, pa.list_(pa.string())),
            "group": _strings([record.group or record.id for record in records], path),
            "error": _strings([record.error for record in records], path),
            "image_sha256": _strings([record.image_sha256 for record in records], path),
        }
    )


def records_of(table: pa.Table | pa.RecordBatch) -> list[Record]:
    """The records that a table holds."""
    columns = [table.column(name).to_pylist() for name in RECORDS]
    return [
        Record(id_, image, tuple(references), group, error, digest)
        for id_, image, references, group, error, digest in zip(*columns, strict=True)
    ]


def write_generations(path: Path, generations: Generations, *, metadata: Mapping[str, str] | None = None) -> None:
    """Columns id, text, tokens (list int32, trimmed to its length), log_probs (list float32 or null), error.

    ``metadata`` goes into the file's footer: what the part was made by.
    """
    _write(path, _answers(path, generations), metadata)


def write_repeats(
    path: Path,
    generations: Sequence[Generations],
    *,
    variants: Sequence[str],
    samples: Sequence[int],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """The columns of ``write_generations``, and variant and sample (int32): further answers about the same records.

    ``generations[i]`` answers ``variants[i]``, ``samples[i]``; all are about the same ids, one after the other.
    """
    blocks = []
    for said, variant, sample in zip(generations, variants, samples, strict=True):
        columns = _answers(path, said)
        rows = len(said.ids)
        labels = {"variant": pa.repeat(variant, rows), "sample": pa.repeat(pa.scalar(sample, pa.int32()), rows)}
        blocks.append(pa.table({"id": columns.pop("id"), **labels, **columns}))
    whole = pa.concat_tables(blocks)
    _write(path, dict(zip(whole.column_names, whole.columns, strict=True)), metadata)


def read_repeats(paths: Sequence[Path]) -> tuple[Generations, tuple[str, ...], np.ndarray[Any, np.dtype[np.int32]]]:
    """All parts of a run's repeats: answers, variants, and samples as int32 [N]."""
    tables = [_read(path, {"variant": _STRING, "sample": pa.int32()}) for path in paths]
    variants = tuple(each for table in tables for each in table["variant"].to_pylist())
    samples = np.concatenate([table["sample"].to_numpy() for table in tables] or [np.zeros(0, np.int32)])
    return read_generations(paths), variants, samples


def _answers(path: Path, generations: Generations) -> dict[str, pa.Array]:
    lengths = generations.lengths
    log_probs = generations.log_probs
    return {
        "id": _strings(generations.ids, path),
        "text": _strings(generations.texts, path),
        "tokens": _ragged(generations.tokens, lengths, pa.int32()),
        "log_probs": pa.nulls(len(lengths), pa.list_(pa.float32()))
        if log_probs is None
        else _ragged(log_probs, lengths, pa.float32()),
        "error": _strings(generations.errors, path),
    }


def read_metadata(path: Path) -> tuple[int, dict[str, str]]:
    """Number of rows of a table, and the text in its footer; the rows are not read.

    Raises:
        DataError: no such file, or no Parquet.
    """
    if not path.is_file():
        raise DataError("no such file", where=path)
    try:
        footer = pq.read_metadata(path)
        text = footer.schema.to_arrow_schema().metadata or {}
        return footer.num_rows, {key.decode(): value.decode() for key, value in text.items()}
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"not a readable Parquet file ({error})", where=path, cure="Make it again.") from error


def read_generations(paths: Sequence[Path]) -> Generations:
    """All parts of a run's generations as one."""
    if not paths:
        raise DataError("no part of any generation is given", cure="Run first: m4i-fast query")
    table = pa.concat_tables([_read(path, _GENERATIONS) for path in paths])
    rows = table.num_rows
    tokens_column = table["tokens"].combine_chunks()
    lengths = np.diff(tokens_column.offsets.to_numpy()).astype(np.int32) if rows else np.zeros(0, np.int32)
    width = int(lengths.max(initial=0))
    inside = np.arange(width) < lengths[:, None]
    tokens = np.zeros((rows, width), np.int32)
    tokens[inside] = tokens_column.flatten().to_numpy(zero_copy_only=False)
    log_probs = None
    if rows and table["log_probs"].null_count == 0:
        log_probs = np.zeros((rows, width), np.float32)
        log_probs[inside] = table["log_probs"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return Generations(
        tuple(table["id"].to_pylist()),
        tuple(table["text"].to_pylist()),
        tokens,
        lengths,
        log_probs,
        tuple(table["error"].to_pylist()),
    )


def write_embeddings(
    path: Path, embeddings: Embeddings, *, recipe: str, metadata: Mapping[str, str] | None = None
) -> None:
    """Columns id, values (fixed-size list of float32); ``metadata``: more for the footer, beside the recipe."""
    flat = pa.array(np.ascontiguousarray(embeddings.values, np.float32).ravel())
    values = pa.FixedSizeListArray.from_arrays(flat, embeddings.values.shape[1])
    _write(path, {"id": _strings(embeddings.ids, path), "values": values}, {"recipe": recipe, **(metadata or {})})


def join_embeddings(path: Path, parts: Sequence[Path], *, recipe: str) -> None:
    """Make one table of the parts of a table, row group by row group: they need not fit in memory together."""
    with atomic_path(path) as temporary:
        rows = 0
        schema = pq.read_schema(parts[0]).with_metadata({"recipe": recipe})
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            for part in parts:
                table = _read(part, _ID)
                writer.write_table(table.replace_schema_metadata({"recipe": recipe}))
                rows += table.num_rows
        if pq.read_metadata(temporary).num_rows != rows:
            raise RunError("the table was not written whole", where=path, cure="Check the disk and run again.")


def read_embeddings(path: Path) -> tuple[Embeddings, str]:
    """The vectors and the recipe they were made by."""
    table = _read(path, _ID)
    column = table["values"].combine_chunks() if "values" in table.column_names else None
    if column is None or not pa.types.is_fixed_size_list(column.type) or column.null_count:
        raise DataError("it holds no vectors of one length", where=path, cure="Make it again with: m4i-fast encode")
    values = column.flatten().to_numpy(zero_copy_only=False).reshape(table.num_rows, column.type.list_size)
    return Embeddings(tuple(table["id"].to_pylist()), values.astype(np.float32)), _metadata(table).get("recipe", "")


def write_overlap(path: Path, overlap: OverlapScores) -> None:
    """Columns id and one float64 a metric."""
    _write(path, _columns(path, overlap.ids, overlap.names, overlap.values), {"recipe": overlap.recipe})


def read_overlap(path: Path) -> OverlapScores:
    """The overlap scores of a run."""
    ids, names, values, metadata = _matrix(path)
    return OverlapScores(ids, names, values, metadata.get("recipe", ""))


def write_features(path: Path, features: FeatureTable) -> None:
    """Columns id and one float64 a feature."""
    _write(path, _columns(path, features.ids, features.names, features.values), {"recipe": features.recipe})


def read_features(path: Path) -> FeatureTable:
    """A feature table of a run."""
    ids, names, values, metadata = _matrix(path)
    return FeatureTable(ids, names, values, metadata.get("recipe", ""))


def write_scores(path: Path, scores: Sequence[MembershipScores]) -> None:
    """Columns id and one float64 an attack; thresholds in the metadata. All attacks must share their ids."""
    if not scores:
        raise RunError("no attack gave scores", where=path, cure="Fit one with: m4i-fast attack fit")
    first = scores[0]
    if any(each.ids != first.ids for each in scores):
        raise RunError("the attacks scored different records", where=path, cure="Run 'm4i-fast attack score' again.")
    values = np.column_stack([each.values for each in scores])
    _write(
        path,
        _columns(path, first.ids, [each.attack for each in scores], values),
        {f"threshold:{each.attack}": repr(float(each.threshold)) for each in scores},
    )


def read_scores(path: Path) -> list[MembershipScores]:
    """The scores of all attacks of a run."""
    ids, names, values, metadata = _matrix(path)
    try:
        thresholds = [float(metadata[f"threshold:{name}"]) for name in names]
    except (KeyError, ValueError) as error:
        raise DataError(
            "this is no table of scores: an attack has no threshold",
            where=path,
            cure="Make it again with: m4i-fast attack score",
        ) from error
    return [MembershipScores(name, ids, values[:, index], thresholds[index]) for index, name in enumerate(names)]


def write_membership(path: Path, membership: Membership) -> None:
    """Columns id, is_member."""
    _write(
        path,
        {
            "id": _strings(membership.ids, path),
            "is_member": pa.array(membership.is_member, pa.bool_()),
        },
    )


def read_membership(path: Path) -> Membership:
    """Labels as this tool wrote them; for a user's CSV or id lists see ``m4i_fast.data.labels``."""
    table = _read(path, _MEMBERSHIP)
    return Membership(tuple(table["id"].to_pylist()), table["is_member"].to_numpy(zero_copy_only=False))


def _write(
    path: Path,
    columns: Mapping[str, Any] | pa.Table,
    metadata: Mapping[str, str] | None = None,
    *,
    group: int | None = None,
) -> None:
    table = columns if isinstance(columns, pa.Table) else pa.table(dict(columns))
    table = table.replace_schema_metadata(dict(metadata or {}))
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", row_group_size=group)
        if pq.read_metadata(temporary).num_rows != table.num_rows:
            raise RunError("the table was not written whole", where=path, cure="Check the disk and run again.")


def _read(path: Path, needed: Mapping[str, pa.DataType]) -> pa.Table:
    """A table whose ``needed`` columns are there, of their types, and (but for ``_NULLABLE``) without nulls."""
    if not path.is_file():
        raise DataError("no such file", where=path)
    try:
        # A file alone: folder names such as 'lr=0.1' on the way to it are no columns.
        table = pq.read_table(path, partitioning=None)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"not a readable Parquet file ({error})", where=path, cure="Make it again.") from error
    return with_columns(table, needed, path)


def with_columns(table: pa.Table, needed: Mapping[str, pa.DataType], path: Path) -> pa.Table:
    """The table with ``needed`` columns of exactly these types.

    Raises:
        DataError: one is missing, of another type, or (but for those that may) holds nulls.
    """
    missing = [name for name in needed if name not in table.column_names]
    if missing:
        raise DataError(f"column {', '.join(missing)} is missing; it has {', '.join(table.column_names)}", where=path)
    for name, kind in needed.items():
        column = table[name]
        if column.type != kind:
            if not _widened(column.type, kind):
                raise DataError(f"column {name} is {column.type}, and must be {kind}", where=path)
            table = table.set_column(table.column_names.index(name), name, column.cast(kind))
        if column.null_count and name not in _NULLABLE:
            raise DataError(f"column {name} has {column.null_count} empty cells", where=path)
    return table


def _widened(found: pa.DataType, wanted: pa.DataType) -> bool:
    # pandas and polars write large_string where this tool writes string.
    return str(found).replace("large_", "").replace("string_view", "string") == str(wanted)


def _metadata(table: pa.Table) -> dict[str, str]:
    return {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}


def _columns(path: Path, ids: Sequence[str], names: Sequence[str], values: np.ndarray[Any, Any]) -> dict[str, pa.Array]:
    if "id" in names or len(set(names)) != len(names):
        raise RunError(f"two columns of one name among id, {', '.join(names)}", where=path)
    columns: dict[str, pa.Array] = {"id": _strings(ids, path)}
    for index, name in enumerate(names):
        columns[name] = pa.array(np.ascontiguousarray(values[:, index], np.float64))
    return columns


def _matrix(path: Path) -> tuple[tuple[str, ...], tuple[str, ...], Any, dict[str, str]]:
    """Ids, names of the other columns, these as float64 [N, F], and the text of the footer."""
    table = _read(path, _ID)
    names = tuple(name for name in table.column_names if name != "id")
    odd = [name for name in names if not pa.types.is_floating(table[name].type)]
    if odd:
        raise DataError(f"column {odd[0]} is {table[odd[0]].type}, and must be double", where=path)
    values = np.column_stack([table[name].to_numpy() for name in names]) if names else np.zeros((table.num_rows, 0))
    return tuple(table["id"].to_pylist()), names, values.astype(np.float64), _metadata(table)


def _strings(values: Sequence[Any], path: Path, kind: pa.DataType | None = None) -> pa.Array:
    try:
        return pa.array(values, kind or pa.string())
    except UnicodeEncodeError as error:
        text = ascii(error.object)
        raise DataError(
            f"a text is not valid Unicode: {text if len(text) < 80 else text[:80] + '...'}",
            where=path,
            cure="Rename the file, or mend the caption, that it comes from.",
        ) from error


def _ragged(matrix: np.ndarray[Any, Any], lengths: np.ndarray[Any, Any], kind: pa.DataType) -> pa.Array:
    inside = np.arange(matrix.shape[1]) < lengths[:, None]
    offsets = np.concatenate([[0], np.cumsum(inside.sum(axis=1))]).astype(np.int32)
    return pa.ListArray.from_arrays(offsets, pa.array(matrix[inside], kind))
