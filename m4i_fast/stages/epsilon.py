"""A lower bound on epsilon, for runs whose members were chosen by the auditor's coin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from m4i_fast.errors import ConfigError
from m4i_fast.runs import Run, StageReport, stage, write_json
from m4i_fast.stages.standing import made_by, need_scored

__all__ = ["epsilon_stage"]


def epsilon_stage(
    run: Run, membership: Path, names: Sequence[str], *, delta: float, again: bool = False
) -> StageReport:
    """Write ``epsilon.json``: a bound an attack, together right in 95 of 100 such audits.

    Args:
        run: the target's run, after ``attack score``.
        membership: the target's labels, a fair coin each.
        names: attacks; none: all that scored.
        delta: for which the bound holds.
        again: do it even where the same bound already stands.

    Raises:
        ConfigError: an attack that did not score, or no delta.
        AuditError: the labels are not of fair coins.
        DataError: the labels cannot be read.
        RunError: a stage before has not ended, or its files are not of what now stands in the run.
    """
    from m4i_fast.data.labels import read_membership_file

    labels = read_membership_file(membership)
    inputs = {
        "records": run.need("records.parquet", made_by=made_by(run, "query")),
        "scores": run.need("scores.parquet", made_by=made_by(run, "attack-score")),
        "membership": membership,
    }
    need_scored(run, "attack-score")
    return stage(
        run,
        "epsilon",
        settings={"attacks": list(names), "delta": delta},
        inputs=inputs,
        outputs=["epsilon.json"],
        work=lambda: _bounds(run, labels, names, delta),
        again=again,
    )


def _bounds(run: Run, labels: Any, names: Sequence[str], delta: float) -> dict[str, Any]:
    from m4i_fast.stats.epsilon import epsilon_bound
    from m4i_fast.tables import read_records, read_scores

    groups = [record.group for record in read_records(run.path("records.parquet"))]
    scores = {each.attack: each for each in read_scores(run.path("scores.parquet"))}
    for name in names:
        if name not in scores:
            raise ConfigError(f"'{name}' has no scores", where="attack", cure=f"Choose from: {', '.join(scores)}.")
    chosen = list(names) or list(scores)
    bounds = {
        name: asdict(epsilon_bound(scores[name], labels, groups, delta=delta, attacks=len(chosen))) for name in chosen
    }
    write_json(run.path("epsilon.json"), {"bounds": bounds})
    return {"bounds": bounds}
