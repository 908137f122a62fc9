"""Who is a member and who is not: sets of records that share no record, no study and no near-duplicate image.

The target's members and non-members, the shadow's, and the records that the encoder towers learn from, which neither
target nor shadow saw.
"""

from __future__ import annotations

from m4i_fast.data.splits.drawn import PaperSplit, split_iid, split_paper
from m4i_fast.data.splits.files import read_split, write_split
from m4i_fast.data.splits.roles import ROLES, SIDES, Split
from m4i_fast.data.splits.supplied import ids_by_column, split_supplied

__all__ = [
    "ROLES",
    "SIDES",
    "PaperSplit",
    "Split",
    "ids_by_column",
    "read_split",
    "split_iid",
    "split_paper",
    "split_supplied",
    "write_split",
]
