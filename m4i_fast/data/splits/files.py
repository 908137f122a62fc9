"""A split on disk: ``split.json``, and a folder a side with its records and its labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from m4i_fast.data.files import read_json_text, read_text
from m4i_fast.data.splits.roles import ROLES, SIDES, Split
from m4i_fast.errors import DataError
from m4i_fast.types import Record

__all__ = ["read_split", "write_split"]

SCHEMA = 1


def write_split(folder: Path, split: Split, records: Sequence[Record]) -> None:
    """Write ``split.json`` and a folder a side, each file whole or not at all.

    ``target/``, ``shadow/`` and ``encoder/`` hold ``records.parquet``, sorted by id; ``target`` and ``shadow`` also
    ``membership.parquet``, so that the target's labels stand in a file that only evaluation opens. ``split.json`` and
    the id lists ``ids/<role>.txt`` name every role and thus hold the labels as well: they are for training and for
    further splits, not for the attack.
    """
    from m4i_fast.runs import atomic_path, write_json
    from m4i_fast.tables import write_membership, write_records

    by_id = {record.id: record for record in records}
    for side in SIDES:
        ids = split.ids(side)
        if ids:
            write_records(folder / side / "records.parquet", [by_id[id_] for id_ in ids])
            if side != "encoder":
                write_membership(folder / side / "membership.parquet", split.membership(side))
    for role in ROLES:
        path = folder / "ids" / f"{role}.txt"
        path.unlink(missing_ok=True)  # an earlier split's list must not be taken for one of this
        if role in split.roles:
            with atomic_path(path) as temporary:
                temporary.write_text("".join(f"{id_}\n" for id_ in split.roles[role]), encoding="utf-8")
    write_json(
        folder / "split.json",
        {
            "schema": SCHEMA,
            "kind": split.kind,
            "seed": split.seed,
            "counts": dict(split.counts),
            "roles": {role: list(split.roles[role]) for role in ROLES if role in split.roles},
        },
    )


def read_split(path: Path) -> Split:
    """Read ``split.json`` (or its folder).

    Raises:
        DataError: absent, malformed, of another version, or not disjoint.
    """
    path = path / "split.json" if path.is_dir() else path
    content = read_json_text(read_text(path), path=path)
    cure = "Make it again with: m4i-fast data split"
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise DataError(f"no split of version {SCHEMA}", where=path, cure=cure)
    roles, counts, seed = content.get("roles"), content.get("counts", {}), content.get("seed")
    if not isinstance(roles, dict) or not all(_is_ids(ids) for ids in roles.values()) or roles.keys() - set(ROLES):
        raise DataError("'roles' is not lists of ids by role", where=path, cure=cure)
    whole = isinstance(counts, dict) and all(isinstance(count, int) for count in counts.values())
    if not whole or not isinstance(seed, int | None):
        raise DataError("'counts' or 'seed' is of the wrong type", where=path, cure=cure)
    every = [id_ for ids in roles.values() for id_ in ids]
    if len(set(every)) < len(every):
        raise DataError("an id is there twice", where=path, cure=cure)
    kept = {role: tuple(ids) for role, ids in roles.items()}
    return Split(str(content.get("kind")), kept, counts, seed)


def _is_ids(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)
