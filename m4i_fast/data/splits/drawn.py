"""Splits that are drawn at random, whole groups at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from m4i_fast.data.splits.roles import ROLES, IntArray, Split, check_groups, check_roles, make_split
from m4i_fast.errors import AuditError, ConfigError, DataError
from m4i_fast.types import Record

__all__ = ["PaperSplit", "split_iid", "split_paper"]


class PaperSplit(NamedTuple):
    """The split and the records of both sets, their ids prefixed with the set's name where ids clashed."""

    split: Split
    records: list[Record]


def split_iid(
    records: Sequence[Record],
    sizes: Mapping[str, int],
    *,
    seed: int,
    groups: IntArray | None = None,
    need_references: bool = True,
) -> Split:
    """Draw every role from one distribution: what tells members and non-members apart is then the model alone.

    The draw is over groups (``Record.group``: the images of one study), so that no study stands on two sides; of a
    group that a role has no room for, the rest is left unused. The records' order changes nothing.

    Args:
        records: N records with distinct ids.
        sizes: records wanted, by role.
        seed: of the draw.
        groups: int64 [N], near-duplicate group of each record (``duplicates.duplicate_groups``); the record with
            the first id of each group is kept, the others are left out and counted. None: not looked at.
        need_references: leave out records without captions (one cannot train on them, nor score overlap).

    Raises:
        AuditError: fewer records than wanted. ConfigError: an unknown role or a negative size.
    """
    _check_sizes(sizes)
    pool, counts = _pool(records, groups, need_references=need_references)
    roles, rest = _draw(pool, sizes, ROLES, np.random.default_rng(seed))
    return make_split("iid", roles, counts | {"unused": len(rest)}, seed)


def split_paper(
    members: Sequence[Record],
    others: Sequence[Record],
    sizes: Mapping[str, int],
    *,
    seed: int,
    groups: IntArray | None = None,
    names: tuple[str, str] = ("first", "second"),
    shadow_from_others: bool = True,
    need_references: bool = True,
) -> PaperSplit:
    """Members of one set, non-members of another, as the published evaluation did.

    A classifier that never queries the model can tell two sets apart: expect the verdict ``invalid``, and use this to
    reproduce published numbers or to show why they mean little.

    Args:
        members: N records; members and encoder records are drawn from them.
        others: M records; non-members are drawn from them.
        sizes: records wanted, by role.
        seed: of the draw.
        groups: int64 [N + M], near-duplicate group of each record of ``members``, then ``others``.
        names: of the two sets; become prefixes (``first:42``) of all ids where any id is in both sets.
        shadow_from_others: the shadow's non-members too are from ``others``; False: from ``members``.
        need_references: leave out records without captions.

    Raises:
        AuditError, ConfigError: as ``split_iid``.
    """
    _check_sizes(sizes)
    if {record.id for record in members} & {record.id for record in others}:
        members, others = (
            [
                replace(record, id=f"{name}:{record.id}", group=f"{name}:{record.group or record.id}")
                for record in records
            ]
            for name, records in zip(names, (members, others), strict=True)
        )
    together = [*members, *others]
    pool, counts = _pool(together, groups, need_references=need_references)
    from_others = {"target_nonmember"} | ({"shadow_nonmember"} if shadow_from_others else set())
    first = {record.id for record in members}
    rng = np.random.default_rng(seed)
    here, rest_here = _draw(
        [record for record in pool if record.id in first],
        sizes,
        [role for role in ROLES if role not in from_others],
        rng,
    )
    there, rest_there = _draw(
        [record for record in pool if record.id not in first],
        sizes,
        [role for role in ROLES if role in from_others],
        rng,
    )
    split = make_split("paper", here | there, counts | {"unused": len(rest_here) + len(rest_there)}, seed)
    return PaperSplit(split, together)


def _check_sizes(sizes: Mapping[str, int]) -> None:
    check_roles(sizes)
    for role, size in sizes.items():
        if size < 0:
            raise ConfigError(f"a size of {size}", where=f"split.{role}", cure="Give 0 or more.")


def _pool(
    records: Sequence[Record], groups: IntArray | None, *, need_references: bool
) -> tuple[list[Record], dict[str, int]]:
    """Records that may be drawn, sorted by id, and the counts of those that may not."""
    if len({record.id for record in records}) < len(records):
        raise DataError("an id is there twice", where="split", cure="Give every record an id of its own.")
    if groups is not None:
        check_groups(groups, records)
    pool = []
    left_out: Counter[str] = Counter(unreadable=0, without_references=0, near_duplicates=0)
    seen: set[int] = set()
    for index in sorted(range(len(records)), key=lambda index: records[index].id):
        record = records[index]
        if record.error is not None:
            left_out["unreadable"] += 1
        elif need_references and not record.references:
            left_out["without_references"] += 1
        elif groups is not None and int(groups[index]) in seen:
            left_out["near_duplicates"] += 1
        else:
            if groups is not None:
                seen.add(int(groups[index]))
            pool.append(record)
    return pool, {"records": len(records), **left_out}


def _draw(
    pool: Sequence[Record], sizes: Mapping[str, int], roles: Sequence[str], rng: np.random.Generator
) -> tuple[dict[str, list[str]], list[str]]:
    """Ids by role, drawn without replacement, whole groups at a time, and the ids left over."""
    wanted = {role: sizes[role] for role in roles if sizes.get(role)}
    studies: dict[str, list[str]] = {}
    for record in pool:
        studies.setdefault(record.group or record.id, []).append(record.id)
    names = sorted(studies)
    order = iter([names[index] for index in rng.permutation(len(names))])
    drawn: dict[str, list[str]] = {}
    rest: list[str] = []
    for role, size in wanted.items():
        ids = drawn[role] = []
        while len(ids) < size:
            name = next(order, None)
            if name is None:
                have = f"{len(pool)} records in {len(studies)} groups" if len(studies) < len(pool) else f"{len(pool)}"
                raise AuditError(
                    f"the split wants {sum(wanted.values())} records ({_sizes(wanted)}), and {have} can be used",
                    where="split",
                    cure="Ask for fewer, or give more data (see: m4i-fast data inspect DATA).",
                )
            room = size - len(ids)
            ids += studies[name][:room]
            rest += studies[name][room:]
    return drawn, rest + [id_ for name in order for id_ in studies[name]]


def _sizes(wanted: Mapping[str, int]) -> str:
    return ", ".join(f"{role} {size}" for role, size in wanted.items())
