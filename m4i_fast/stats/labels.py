"""Labels in the order of somebody's records, joined by id."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from m4i_fast.errors import AuditError
from m4i_fast.types import Membership

__all__ = ["labels_of"]


def labels_of(ids: Sequence[str], membership: Membership) -> npt.NDArray[np.bool_]:
    """The labels of ``ids``, in their order: bool [N]. Labels of other records are left aside.

    Raises:
        AuditError: a record has no label, or an id is labelled twice.
    """
    place = {each: i for i, each in enumerate(membership.ids)}
    if len(place) != len(membership.ids):
        double = next(each for i, each in enumerate(membership.ids) if place[each] != i)
        raise AuditError(f"'{double}' is labelled twice", cure="Give each record one label.")
    absent = [each for each in ids if each not in place]
    if absent:
        raise AuditError(
            f"{len(absent)} of {len(ids)} records have no label (the first: '{absent[0]}')",
            cure="Label each record, or leave those records out of the run.",
        )
    return np.asarray(membership.is_member, np.bool_)[np.fromiter((place[each] for each in ids), np.intp, len(ids))]
