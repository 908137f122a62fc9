"""Records that stand in two sets at once, by id or as near-duplicate pictures, and what that does to an audit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from m4i_fast.errors import AuditError

__all__ = ["Contamination", "contamination"]

_EFFECT = {
    ("target_member", "target_nonmember"): "labels of these are not sure, which hides a leak",
    ("shadow_member", "target_member"): "the attack has seen what it is asked about",
    ("shadow_nonmember", "target_member"): "the attack learned members as non-members, which hides a leak",
    ("shadow_member", "target_nonmember"): "the attack learned non-members as members, which hides a leak",
    ("shadow_nonmember", "target_nonmember"): "the attack has seen what it is asked about",
}


@dataclass(frozen=True, slots=True)
class Contamination:
    """What two roles share.

    Attributes:
        shared: records in both roles by id, by pair of roles; only pairs that share something.
        near: near-duplicate pairs that lie across two roles, by pair of roles; the same.
        sizes: records of each role.
    """

    shared: dict[tuple[str, str], int]
    near: dict[tuple[str, str], int]
    sizes: dict[str, int]

    @property
    def clean(self) -> bool:
        """Nothing is shared."""
        return not self.shared and not self.near

    @property
    def sentences(self) -> tuple[str, ...]:
        """One plain sentence a finding, for the verdict's reasons."""
        found = []
        for counts, what in ((self.shared, "records are in both"), (self.near, "near-duplicate pairs lie across")):
            for (one, two), count in counts.items():
                effect = _EFFECT.get((one, two)) or _EFFECT.get((two, one)) or "the sets are not independent"
                found.append(
                    f"Contamination: {count} {what} {_plain(one)} ({self.sizes[one]}) and {_plain(two)} "
                    f"({self.sizes[two]}): {effect}."
                )
        return tuple(found)


def contamination(roles: Mapping[str, Sequence[str]], pairs: Iterable[tuple[str, str]] = ()) -> Contamination:
    """Count what the roles share.

    Args:
        roles: ids of each role, for example ``target_member``, ``target_nonmember``, ``shadow_member``, ``encoder``.
        pairs: near-duplicates as pairs of ids; pairs within a role and pairs of one id with itself count for nothing.

    Raises:
        AuditError: a pair names an id that is in no role.
    """
    sets = {role: frozenset(ids) for role, ids in roles.items()}
    shared = {(one, two): len(sets[one] & sets[two]) for one, two in combinations(sets, 2)}
    homes: dict[str, list[str]] = {}
    for role, ids in sets.items():
        for each in ids:
            homes.setdefault(each, []).append(role)
    near = dict.fromkeys(combinations(sets, 2), 0)
    for first, second in {tuple(sorted(pair)) for pair in pairs if pair[0] != pair[1]}:
        for each in (first, second):
            if each not in homes:
                raise AuditError(f"the near-duplicate '{each}' is in no set", cure="Give pairs of audited records.")
        crossed = {tuple(sorted((one, two))) for one in homes[first] for two in homes[second] if one != two}
        for pair in near:
            near[pair] += tuple(sorted(pair)) in crossed
    return Contamination(
        {pair: count for pair, count in shared.items() if count},
        {pair: count for pair, count in near.items() if count},
        {role: len(ids) for role, ids in sets.items()},
    )


def _plain(role: str) -> str:
    return {
        "target_member": "the members",
        "target_nonmember": "the non-members",
        "shadow_member": "the shadow's members",
        "shadow_nonmember": "the shadow's non-members",
        "encoder": "the encoders' training records",
    }.get(role, f"'{role}'")
