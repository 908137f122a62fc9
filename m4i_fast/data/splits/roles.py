"""The roles that records play, and a split: disjoint sets of ids by role."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from m4i_fast.errors import ConfigError, DataError
from m4i_fast.types import Membership, Record

__all__ = ["ROLES", "SIDES", "IntArray", "Split", "check_groups", "check_roles", "make_split"]

IntArray = npt.NDArray[np.int64]

ROLES = ("target_member", "target_nonmember", "shadow_member", "shadow_nonmember", "encoder")
"""In the order in which they are filled: a larger later role leaves the earlier ones as they are."""
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


def make_split(kind: str, roles: Mapping[str, Sequence[str]], counts: Mapping[str, int], seed: int | None) -> Split:
    """A split whose ids are sorted, in the order of the roles, with the count of those used."""
    kept = {role: tuple(sorted(roles[role])) for role in ROLES if roles.get(role)}
    return Split(kind, kept, dict(counts) | {"used": sum(map(len, kept.values()))}, seed)


def check_roles(roles: Iterable[str]) -> None:
    """ConfigError where a role is unknown."""
    for role in roles:
        if role not in ROLES:
            raise ConfigError(f"unknown role '{role}'", where="split", cure=f"One of: {', '.join(ROLES)}.")


def check_groups(groups: IntArray, records: Sequence[Record]) -> None:
    """DataError where there is not one near-duplicate group for each record."""
    if len(groups) != len(records):
        raise DataError(f"{len(groups)} near-duplicate groups for {len(records)} records", where="split")
