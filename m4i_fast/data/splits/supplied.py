"""Splits that the user supplies: checked, never redrawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from m4i_fast.data.splits.roles import ROLES, IntArray, Split, check_groups, check_roles, make_split
from m4i_fast.errors import AuditError, DataError
from m4i_fast.types import Record

__all__ = ["ids_by_column", "split_supplied"]


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
    check_roles(roles)
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
        check_groups(groups, records)
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
    return make_split("supplied", kept, counts, None)


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
        check_roles(names)
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
