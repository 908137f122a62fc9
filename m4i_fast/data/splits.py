"""Who is a member and who is not: sets of records that share no record, no study and no near-duplicate image.

Roles, in the order in which they are filled: the target's members and non-members, the shadow's, and the records that
the encoder towers learn from, which neither target nor shadow saw. A larger later role leaves the earlier ones as they
are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from m4i_fast.errors import AuditError, ConfigError, DataError
from m4i_fast.types import Membership, Record

__all__ = [
    "ROLES",
    "SIDES",
    "PaperSplit",
    "Split",
    "ids_by_column",
    "split_iid",
    "split_paper",
    "split_supplied",
]

IntArray = npt.NDArray[np.int64]

ROLES = ("target_member", "target_nonmember", "shadow_member", "shadow_nonmember", "encoder")
SIDES: Mapping[str, tuple[str, ...]] = {
    "target": ("target_member", "target_nonmember"),
    "shadow": ("shadow_member", "shadow_nonmember"),
    "encoder": ("encoder",),
}
"""Roles that are queried (or learnt from) together."""


@dataclass(frozen=True, slots=True)
class Split:
    """Disjoint sets of record ids.

    Attributes:
        kind: ``iid``, ``paper`` or ``supplied``.
        roles: ids by role, each role's sorted; only roles that hold any.
        counts: what became of the records: ``records`` there were, ``used``, and left out as ``unreadable``,
            ``without_references``, ``near_duplicates`` or ``unused``.
        seed: of the draw, None where nothing was drawn.
    """

    kind: str
    roles: Mapping[str, tuple[str, ...]]
    counts: Mapping[str, int]
    seed: int | None = None

    def ids(self, side: str) -> tuple[str, ...]:
        """All ids of ``target``, ``shadow`` or ``encoder``, sorted: their order must not tell members apart."""
        return tuple(sorted(id_ for role in SIDES[side] for id_ in self.roles.get(role, ())))

    def membership(self, side: str) -> Membership:
        """Labels of ``target`` or ``shadow``, in the order of ``ids``."""
        ids = self.ids(side)
        members = set(self.roles.get(f"{side}_member", ()))
        return Membership(ids, np.array([id_ in members for id_ in ids], np.bool_))


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
    return _split("iid", roles, counts | {"unused": len(rest)}, seed)


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
    split = _split("paper", here | there, counts | {"unused": len(rest_here) + len(rest_there)}, seed)
    return PaperSplit(split, together)


def split_supplied(
    records: Sequence[Record],
    roles: Mapping[str, Iterable[str]],
    *,
    groups: IntArray | None = None,
) -> Split:
    """Roles as the user supplies them: checked for disjointness, never redrawn.

    Near-duplicates inside one role stay; a record whose near-duplicate stands in an earlier role is left out and
    counted: a copy of a member is no non-member. Unreadable records stay, as rows with their reason.

    Args:
        records: N records.
        roles: ids by role: of lists (``labels.read_ids``) or of a column (``ids_by_column``).
        groups: int64 [N], near-duplicate group of each record, or None.

    Raises:
        DataError: an id that no record has. AuditError: an id in two roles, or no target record of one class.
        ConfigError: an unknown role.
    """
    _check_roles(roles)
    known = {record.id: index for index, record in enumerate(records)}
    role_of: dict[str, str] = {}
    for role in sorted(roles, key=ROLES.index):
        unknown = []
        for id_ in roles[role]:
            if id_ not in known:
                unknown.append(id_)
            elif role_of.setdefault(id_, role) != role:
                raise AuditError(
                    f"the id '{id_}' is in {role_of[id_]} and in {role}", where=role, cure="Keep it in one of them."
                )
        if unknown:
            raise DataError(
                f"{len(unknown)} ids of {role} are of no record, the first is '{unknown[0]}'",
                where=role,
                cure="Check the ids against: m4i-fast data inspect DATA",
            )
    removed: set[str] = set()
    if groups is not None:
        _check_groups(groups, records)
        holder: dict[int, str] = {}
        for id_, role in role_of.items():  # in the order of the roles
            if holder.setdefault(int(groups[known[id_]]), role) != role:
                removed.add(id_)
    kept: dict[str, list[str]] = {}
    for id_, role in role_of.items():
        if id_ not in removed:
            kept.setdefault(role, []).append(id_)
    for role in ("target_member", "target_nonmember"):
        if not kept.get(role):
            raise AuditError(
                f"no record is {role}", where="split", cure="An audit needs members and non-members of the target."
            )
    counts = {
        "records": len(records),
        "near_duplicates": len(removed),
        "unused": len(records) - len(role_of),
    }
    return _split("supplied", kept, counts, None)


def ids_by_column(
    records: Sequence[Record], values: Sequence[Any], names: Mapping[str, str] | None = None
) -> dict[str, tuple[str, ...]]:
    """Ids by role from a column of the data.

    Args:
        records: N records.
        values: N values of the column (``RecordSet.columns``); None is no role.
        names: value by role, for example ``{"target_member": "train", "target_nonmember": "test"}``. None: the values
            are the roles' own names, or labels (1 0, member non-member ...) of the target.

    Raises:
        DataError: a name that no row has, or without ``names`` a value that is neither role nor label.
    """
    from m4i_fast.data.labels import is_member

    if len(values) != len(records):
        raise DataError(f"{len(values)} values for {len(records)} records", where="split column")
    found: dict[str, list[str]] = {}
    if names is not None:
        _check_roles(names)
        roles_of: dict[str, list[str]] = {}
        for role, name in names.items():
            roles_of.setdefault(str(name), []).append(role)
        shared = next((roles for roles in roles_of.values() if len(roles) > 1), None)
        if shared:
            raise AuditError(
                f"{' and '.join(shared)} are the same value '{names[shared[0]]}'",
                where="split",
                cure="Name two values.",
            )
    for record, value in zip(records, values, strict=True):
        if value is None or value == "":
            continue
        if names is not None:
            roles = roles_of.get(str(value), [])
            if roles:
                found.setdefault(roles[0], []).append(record.id)
        elif str(value) in ROLES:
            found.setdefault(str(value), []).append(record.id)
        else:
            role = "target_member" if is_member(value, where=f"record {record.id}") else "target_nonmember"
            found.setdefault(role, []).append(record.id)
    missing = sorted(set(names or ()) - found.keys())
    if missing:
        seen = ", ".join(f"'{value}'" for value, _ in Counter(map(str, values)).most_common(8))
        assert names is not None
        raise DataError(
            f"no row has the value '{names[missing[0]]}' that {missing[0]} asks for; there are: {seen}", where="split"
        )
    return {role: tuple(ids) for role, ids in found.items()}


def _check_roles(roles: Iterable[str]) -> None:
    for role in roles:
        if role not in ROLES:
            raise ConfigError(f"unknown role '{role}'", where="split", cure=f"One of: {', '.join(ROLES)}.")


def _check_sizes(sizes: Mapping[str, int]) -> None:
    _check_roles(sizes)
    for role, size in sizes.items():
        if size < 0:
            raise ConfigError(f"a size of {size}", where=f"split.{role}", cure="Give 0 or more.")


def _check_groups(groups: IntArray, records: Sequence[Record]) -> None:
    if len(groups) != len(records):
        raise DataError(f"{len(groups)} near-duplicate groups for {len(records)} records", where="split")


def _pool(
    records: Sequence[Record], groups: IntArray | None, *, need_references: bool
) -> tuple[list[Record], dict[str, int]]:
    """Records that may be drawn, sorted by id, and the counts of those that may not."""
    if len({record.id for record in records}) < len(records):
        raise DataError("an id is there twice", where="split", cure="Give every record an id of its own.")
    if groups is not None:
        _check_groups(groups, records)
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


def _split(kind: str, roles: Mapping[str, Sequence[str]], counts: Mapping[str, int], seed: int | None) -> Split:
    kept = {role: tuple(sorted(roles[role])) for role in ROLES if roles.get(role)}
    return Split(kind, kept, dict(counts) | {"used": sum(map(len, kept.values()))}, seed)
