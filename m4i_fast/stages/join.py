"""Joining a run's tables by id: every stage gets its rows in the order of ``records.parquet``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from m4i_fast.errors import RunError
from m4i_fast.runs import Run
from m4i_fast.types import Generations, Record

if TYPE_CHECKING:
    from m4i_fast.features.repeats import Repeats

__all__ = ["generations_of", "repeats_of", "rows_for"]


def rows_for(
    ids: Sequence[str], wanted: Sequence[str], *, where: object, cure: str
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """For each wanted id the row in ``ids``, int64 [len(wanted)].

    Raises:
        RunError: a wanted id is missing.
    """
    index = {identity: row for row, identity in enumerate(ids)}
    try:
        return np.fromiter((index[identity] for identity in wanted), np.int64, len(wanted))
    except KeyError as error:
        raise RunError(f"no row for record {error.args[0]!r}", where=where, cure=cure) from error


def generations_of(run: Run, records: Sequence[Record]) -> Generations:
    """The run's generations, in the order of ``records``."""
    from m4i_fast.query.parts import FOLDER, part_paths
    from m4i_fast.tables import read_generations

    folder = run.path(FOLDER)
    generations = read_generations(part_paths(run))
    ids = tuple(record.id for record in records)
    if generations.ids == ids:
        return generations
    rows = rows_for(generations.ids, ids, where=folder, cure="Finish the query: run the same 'm4i-fast query' again.")
    return Generations(
        ids,
        tuple(generations.texts[row] for row in rows),
        generations.tokens[rows],
        generations.lengths[rows],
        None if generations.log_probs is None else generations.log_probs[rows],
        tuple(generations.errors[row] for row in rows),
    )


def repeats_of(run: Run, plain: Generations) -> Repeats:
    """All answers about each record: the plain ones and the run's repeats, in the order of the plain ones.

    Raises:
        RunError: a repeat is of a record that has no plain answer.
    """
    from m4i_fast.features.repeats import Repeats
    from m4i_fast.query.parts import REPEATS, repeat_paths
    from m4i_fast.tables import read_repeats

    answers, variants, samples = read_repeats(repeat_paths(run))
    place = {identity: row for row, identity in enumerate(plain.ids)}
    strange = next((identity for identity in answers.ids if identity not in place), None)
    if strange is not None:
        raise RunError(
            f"a further answer is about {strange!r}, about which there is no plain one",
            where=run.path(REPEATS),
            cure="Finish the query: run the same 'm4i-fast query' again.",
        )
    rows = np.fromiter((place[identity] for identity in answers.ids), np.int64, len(answers.ids))
    texts, names = np.array(answers.texts, object), np.array(variants, object)
    texts[[error is not None for error in answers.errors]] = None
    said = {"": [[None if error else text for text, error in zip(plain.texts, plain.errors, strict=True)]]}
    for variant in dict.fromkeys(variants):
        of_variant = names == variant
        for sample in np.unique(samples[of_variant]):
            chosen = of_variant & (samples == sample)
            column = np.full(len(plain.ids), None, object)
            column[rows[chosen]] = texts[chosen]
            said.setdefault(variant, []).append(column.tolist())
    return Repeats(plain.ids, said)
