"""scores.csv: one line a record, for a spreadsheet; no cell of it can run as a formula."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from m4i_fast.report.plain import plain
from m4i_fast.report.riskiest import false_alarms
from m4i_fast.runs import atomic_path
from m4i_fast.types import Generations, Membership, MembershipScores, OverlapScores, Record

__all__ = ["cell", "write_scores_csv"]

_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
# What Excel, LibreOffice and Google Sheets take for the start of a formula, and the wide forms of the same signs.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def cell(text: str) -> str:
    """A text for a CSV cell: control characters stripped; an apostrophe first where it could start a formula.

    A genuine number such as ``-12.5`` is left as it is.
    """
    text = plain(text, keep_lines=True)
    risky = text.startswith(_FORMULA) or text.lstrip(" \u00a0\u3000").startswith(_FORMULA)
    return f"'{text}" if risky and not _NUMBER.fullmatch(text) else text


def write_scores_csv(
    path: Path,
    records: Sequence[Record],
    scores: Sequence[MembershipScores],
    generations: Generations | None = None,
    overlap: OverlapScores | None = None,
    membership: Membership | None = None,
) -> Path:
    """Write id, is_member, score:ATTACK and fpr:ATTACK ..., overlap metrics, generated, references, error.

    ``is_member`` and ``fpr:...`` stand there where labels are given: the share of non-members that score at least as
    high, which is the false-positive rate at which the record would be called a member.

    Args:
        path: the file; written whole or not at all, UTF-8, one header line.
        records: every record gets a line, in this order, unread ones too.
        scores: one column an attack; an empty cell where it cannot say.
        generations: the captions, joined by id.
        overlap: one column a metric, joined by id.
        membership: the labels, joined by id; an empty cell where there is none.

    Returns:
        ``path``.
    """
    captions: Mapping[str, str] = {}
    errors: Mapping[str, str | None] = {}
    if generations is not None:
        captions = dict(zip(generations.ids, generations.texts, strict=True))
        errors = dict(zip(generations.ids, generations.errors, strict=True))
    columns: dict[str, Mapping[str, str]] = {}
    if membership is not None:
        words = ("false", "true")
        labels = membership.is_member.tolist()
        columns["is_member"] = {id_: words[label] for id_, label in zip(membership.ids, labels, strict=True)}
    for each in scores:
        columns[f"score:{each.attack}"] = _numbers(each.ids, each.values.tolist())
        alarms, non_members = false_alarms(each, membership, each.values)
        if alarms is not None:
            rates = np.where(np.isfinite(each.values), alarms / non_members, np.nan)
            columns[f"fpr:{each.attack}"] = _numbers(each.ids, rates.tolist())
    if overlap is not None:
        for name, column in zip(overlap.names, overlap.values.T.tolist(), strict=True):
            columns[name] = _numbers(overlap.ids, column)
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", *map(cell, columns), "generated", "references", "error"])
        writer.writerows(
            [
                cell(record.id),
                *(column.get(record.id, "") for column in columns.values()),
                cell(captions.get(record.id, "")),
                len(record.references),
                cell(record.error or errors.get(record.id) or ""),
            ]
            for record in records
        )
        file.flush()
    return path


def _numbers(ids: Sequence[str], values: Sequence[float]) -> Mapping[str, str]:
    return {id_: repr(value) if math.isfinite(value) else "" for id_, value in zip(ids, values, strict=True)}
