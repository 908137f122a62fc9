"""Who is a member and who is not: disjoint sets drawn from data, near-duplicate images removed and counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m4i_fast.errors import ConfigError
from m4i_fast.runs import Run, StageReport, need_vacant, open_run, stage
from m4i_fast.stages.records import load_records
from m4i_fast.stages.settings import DataSettings, SplitSettings
from m4i_fast.types import Record

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from m4i_fast.data.splits import Split

    Groups = npt.NDArray[np.int64] | None

__all__ = ["split_stage", "split_stage_alone"]


def split_stage_alone(out: Path, data: DataSettings, settings: SplitSettings, *, seed: int) -> dict[str, Any]:
    """Split ``data`` into ``out``; gives the counts, and whether the same split stood there (``kept``)."""
    from m4i_fast.data.readers import open_records

    if not Path(data.path).exists():
        open_records(data.path, images=data.images, format=data.format)  # what is not there leaves no folder behind
    need_vacant(out, own=(), mark="split.json")
    with open_run(out) as run:
        done = split_stage(run, data, settings, seed=seed, folder=".")
        return done.facts | {"kept": done.kept}


def split_stage(
    run: Run, data: DataSettings, settings: SplitSettings, *, seed: int, folder: str = "split"
) -> StageReport:
    """Write ``split.json`` and a folder a side (``target``, ``shadow``, ``encoder``) under ``folder`` of the run.

    Raises:
        ConfigError: a role is given as a number where a name is wanted, or the other way round.
        DataError, AuditError: the data cannot be read, or does not suffice.
    """
    inputs = {"data": Path(data.path)}
    if settings.non_members is not None:
        inputs["non_members"] = Path(settings.non_members.path)
    inputs = {role: path for role, path in inputs.items() if path.is_file()}
    for role, given in _roles(settings).items():
        if isinstance(given, str) and settings.kind in {"lists", "paper"}:
            inputs[role] = _existing(Path(given), role)
    import msgspec

    outputs: list[str] = []  # which sides there are is known when it is drawn
    return stage(
        run,
        "split",
        settings={"data": msgspec.to_builtins(data), "split": msgspec.to_builtins(settings), "seed": seed},
        inputs=inputs,
        outputs=outputs,
        work=lambda: _split(run, folder, data, settings, seed, outputs),
    )


def _split(
    run: Run, folder: str, data: DataSettings, settings: SplitSettings, seed: int, outputs: list[str]
) -> dict[str, Any]:
    from m4i_fast.data.fingerprints import fingerprinted, image_digests
    from m4i_fast.data.splits import SIDES, write_split
    from m4i_fast.progress import progress

    split, records = _KINDS[settings.kind](data, settings, seed)
    used = {identity for ids in split.roles.values() for identity in ids}
    records = [record for record in records if record.id in used]
    with progress("hash images", len(records)) as advance:
        records = fingerprinted(records, image_digests(records, advance=advance))
    files = {
        side: [str(Path(folder) / side / name) for name in ("records.parquet", "membership.parquet")] for side in SIDES
    }
    for side, names in files.items():
        if not split.ids(side):  # a side of an earlier split must not be taken for one of this
            for name in names:
                run.path(name).unlink(missing_ok=True)
    write_split(run.path(folder), split, records)
    written = [str(Path(folder) / "split.json"), *(name for names in files.values() for name in names)]
    written += [str(Path(folder) / "ids" / f"{role}.txt") for role in split.roles]
    outputs += [name for name in written if run.path(name).exists()]
    roles = {role: len(ids) for role, ids in split.roles.items()}
    return {"kind": split.kind, **roles, **split.counts}


def _iid(data: DataSettings, settings: SplitSettings, seed: int) -> tuple[Split, Sequence[Record]]:
    from m4i_fast.data.splits import split_iid

    records = load_records(data)
    sizes = {role: _count(role, given) for role, given in _roles(settings).items()}
    return split_iid(records, sizes, seed=seed, groups=_groups(records, settings)), records


def _paper(data: DataSettings, settings: SplitSettings, seed: int) -> tuple[Split, Sequence[Record]]:
    from m4i_fast.data.labels import read_ids
    from m4i_fast.data.splits import split_paper

    if settings.non_members is None:
        raise ConfigError(
            "a split of the kind 'paper' needs a second set",
            where="split.non_members",
            cure="Give it: [split.non_members] path = ...",
        )
    members, others = load_records(data), load_records(settings.non_members)
    roles = _roles(settings)
    if isinstance(settings.target_member, str):
        wanted = set(read_ids(Path(settings.target_member)))
        members = [record for record in members if record.id in wanted]
        roles["target_member"] = len(members)
    sizes = {role: _count(role, given) for role, given in roles.items()}
    groups = _groups([*members, *others], settings)
    names = (Path(data.path).resolve().parent.name, Path(settings.non_members.path).resolve().parent.name)
    if names[0] == names[1]:
        names = ("first", "second")
    split, records = split_paper(members, others, sizes, seed=seed, groups=groups, names=names)
    return split, records


def _column(data: DataSettings, settings: SplitSettings, _: int) -> tuple[Split, Sequence[Record]]:
    from m4i_fast.data.readers import read_table
    from m4i_fast.data.splits import ids_by_column, split_supplied

    table = read_table(data.path, images=data.images, format=data.format)
    if settings.column not in table.columns:
        has = ", ".join(table.columns) or "none"
        raise ConfigError(f"the data has no column '{settings.column}'; it has: {has}", where="split.column")
    names = {role: str(given) for role, given in _roles(settings).items()}
    roles = ids_by_column(table.records, table.columns[settings.column], names or None)
    return split_supplied(table.records, roles, groups=_groups(table.records, settings)), table.records


def _lists(data: DataSettings, settings: SplitSettings, _: int) -> tuple[Split, Sequence[Record]]:
    from m4i_fast.data.labels import read_ids
    from m4i_fast.data.splits import split_supplied

    records = load_records(data)
    roles = {}
    for role, given in _roles(settings).items():
        if not isinstance(given, str):
            raise ConfigError(f"a file of ids is wanted, not {given}", where=f"split.{role}")
        roles[role] = read_ids(Path(given))
    return split_supplied(records, roles, groups=_groups(records, settings)), records


_KINDS: Mapping[str, Callable[[DataSettings, SplitSettings, int], tuple[Split, Sequence[Record]]]] = {
    "iid": _iid,
    "paper": _paper,
    "column": _column,
    "lists": _lists,
}


def _roles(settings: SplitSettings) -> dict[str, int | str]:
    from m4i_fast.data.splits import ROLES

    return {role: given for role in ROLES if (given := getattr(settings, role)) is not None}


def _count(role: str, given: int | str) -> int:
    if isinstance(given, str):
        raise ConfigError(f"a number is wanted, not '{given}'", where=f"split.{role}")
    return given


def _existing(path: Path, role: str) -> Path:
    if not path.is_file():
        raise ConfigError(f"no such file of ids: {path}", where=f"split.{role}", cure="Give a file with one id a line.")
    return path


def _groups(records: Sequence[Record], settings: SplitSettings) -> Groups:
    from m4i_fast.data.duplicates import image_groups
    from m4i_fast.progress import progress

    if settings.near_duplicates == "keep":
        return None
    with progress("looking for near-duplicates", len(records)) as advance:
        return image_groups([record.image for record in records], threads=2, advance=advance)
