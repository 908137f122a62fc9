"""Whether what stands in a run still belongs together: a file is of no use once those it was made from have changed.

Each stage can be run by itself, and so be forgotten: a captioner asked anew leaves old overlap scores behind, under ids
that still fit. Judged together they would be a verdict on a model that no longer stands there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from m4i_fast.errors import RunError
from m4i_fast.runs import Run, sha256_of

__all__ = ["made_by", "need_current", "need_scored", "sources"]


@dataclass(frozen=True, slots=True)
class _Made:
    """By role in its stamp, what a stage reads from its own run; and the command that does it."""

    reads: Mapping[str, str]
    command: str


_ASKED = {"records": "records.parquet", "generations": "generations"}

_MADE = {
    "query": _Made({"records": "records.parquet"}, "m4i-fast query DATA --engine ENGINE --out {run}"),
    "overlap": _Made(_ASKED, "m4i-fast overlap {run}"),
    "encode": _Made(_ASKED, "m4i-fast encode {run} --encoders FOLDER"),
    "attack-score": _Made(
        {
            "records": "records.parquet",
            "generations": "generations",
            "repeats": "repeats",
            "overlap": "overlap.parquet",
            "image embeddings": "embeddings/image.parquet",
            "text embeddings": "embeddings/text.parquet",
        },
        "m4i-fast attack score {run} --heads HEADS",
    ),
    "evaluate": _Made(
        {
            "records": "records.parquet",
            "scores": "scores.parquet",
            "embeddings/image.parquet": "embeddings/image.parquet",
        },
        "m4i-fast evaluate {run} --membership LABELS",
    ),
}


def made_by(run: Run, stage: str) -> str:
    """The command that does a stage."""
    return _MADE[stage].command.format(run=run.root)


def need_current(run: Run, *stages: str) -> None:
    """Hold that each of these stages has ended, and that what it read and wrote still stands as it was then.

    A run without a stamp of ``query`` is let through: its answers were collected elsewhere (docs/query.md).

    Args:
        run: the open run.
        stages: names, the earliest first: the first that must be done again is the one that the message names.

    Raises:
        RunError: a stage has not ended, or a file it read or wrote has changed or gone since; or the run is void: not
            one model has answered.
    """
    _need_valid(run)
    for stage in stages:
        stamp = run.stamp(stage)
        if stamp is None and stage == "query":
            continue  # answers may have been written from Python; missing rows are found where they are joined
        if stamp is None:
            raise RunError(
                f"'{stage}' has not ended in this run", where=run.root, cure=f"Run first: {made_by(run, stage)}"
            )
        read = {
            _MADE[stage].reads[role]: digest for role, digest in stamp["inputs"].items() if role in _MADE[stage].reads
        }
        changed = [name for name, digest in (read | stamp["outputs"]).items() if not _is(run, name, digest)]
        if changed:
            raise RunError(
                f"'{stage}' was done with other files than now stand in this run ({', '.join(changed)})",
                where=run.root,
                cure=f"Run first: {made_by(run, stage)}",
            )


def _need_valid(run: Run) -> None:
    from m4i_fast.query import ledger

    reason = ledger.void_reason(run.path(ledger.NAME))
    if reason is not None:
        raise RunError(
            f"this run is void: {reason}",
            where=run.root,
            cure="An audit is about one model: pin its version, and ask anew with: m4i-fast query ... --again",
        )


def need_scored(run: Run, *more: str) -> None:
    """The same for all that stands in a run of what scores are made from, and for ``more`` stages after it."""
    scored = [name for name, file in (("overlap", "overlap.parquet"), ("encode", "embeddings")) if _any(run, file)]
    need_current(run, "query", *scored, *more)


def sources(run: Run) -> dict[str, Path]:
    """By role, the files that stand in a run and that scores are made from; the features are drawn from them."""
    return {role: run.path(name) for role, name in _MADE["attack-score"].reads.items() if run.path(name).exists()}


def _any(run: Run, name: str) -> bool:
    path = run.path(name)
    return path.is_file() or any(path.glob("*.parquet"))


def _is(run: Run, name: str, digest: str) -> bool:
    path = run.path(name)
    return path.exists() and sha256_of(path) == digest
