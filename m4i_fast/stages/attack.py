"""Step 7: heads are fitted on the shadow's run alone; the target's records are scored with them, without a label."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m4i_fast.errors import AuditError, RunError
from m4i_fast.runs import Run, StageReport, open_run, stage
from m4i_fast.stages.features import keep_features
from m4i_fast.stages.settings import AttackSettings, QuerySettings
from m4i_fast.stages.standing import sources
from m4i_fast.types import FeatureTable, Membership

if TYPE_CHECKING:
    from m4i_fast.engines.metadata import EngineMetadata

__all__ = ["fit_stage", "score_stage"]


def fit_stage(
    shadow: Run, membership: Path, heads: Path, settings: AttackSettings, *, seed: int, again: bool = False
) -> StageReport:
    """Fit one head an attack and write it to ``heads/<attack>.onnx``.

    Args:
        shadow: the shadow's run, after ``overlap`` or ``encode`` or both.
        membership: the shadow's labels.
        heads: folder for the heads.
        settings: which attacks (none named: all that the run allows) and which z.
        seed: of the fits.
        again: fit even where the same heads already stand.

    Raises:
        ConfigError: an attack of no known name.
        RunError: the run lacks what a named attack needs.
        AuditError: one class only, too few records.
        DataError: the labels cannot be read.
    """
    from m4i_fast.data.labels import read_membership_file

    tables = keep_features(shadow, z=settings.z)
    names = _chosen(settings.names, tables)
    labels = read_membership_file(membership)  # before it is hashed: this says what is wrong with the file
    inputs = {f"features {family}": shadow.path(f"features/{family}.parquet") for family in tables}
    inputs["membership"] = membership
    with open_run(heads) as opened:
        return stage(
            opened,
            "attack-fit",
            settings={"attacks": names, "z": settings.z, "seed": seed},
            inputs=inputs,
            outputs=[f"{name}.onnx" for name in names],
            work=lambda: _fit(shadow, opened, labels, names, tables, seed),
            again=again,
        )


def score_stage(run: Run, heads: Path, *, again: bool = False) -> StageReport:
    """Write ``scores.parquet``: a column a head, through the engine layer; no label is read.

    z is made as the heads want it: their recipe says how.

    Raises:
        RunError: there is no head in the folder.
        AuditError: a head was fitted on other features than this run holds.
    """
    files = _in_order(heads.glob("*.onnx"))
    if not files:
        raise RunError("no heads (*.onnx) in this folder", where=heads, cure="Run first: m4i-fast attack fit")
    z = _z_of(files, heads)
    tables = keep_features(run, z=z)
    inputs = {f"features {family}": run.path(f"features/{family}.parquet") for family in tables} | sources(run)
    return stage(
        run,
        "attack-score",
        settings={"z": z},
        inputs=inputs | {f"head {file.stem}": file for file in files},
        outputs=["scores.parquet"],
        work=lambda: _score(run, files, tables),
        again=again,
    )


def _in_order(files: Iterable[Path]) -> list[Path]:
    """Heads in the order of ``ATTACKS``, others after them by name: so they stand in every table."""
    from m4i_fast.attacks.catalogue import ATTACKS

    order = list(ATTACKS)
    return sorted(files, key=lambda file: (order.index(file.stem) if file.stem in ATTACKS else len(order), file.stem))


def _z_of(files: Sequence[Path], heads: Path) -> str:
    """How the heads subtract: ``signed`` or ``abs``; ``signed`` where none of them looks at z."""
    from m4i_fast.engines import open_head

    found = {}
    for file in files:
        with open_head(str(file), threads=1) as head:
            mode = re.search(r"(?:^|\+)z\|mode:(\w+)\|", head.metadata.recipe or "")
        if mode:
            found[mode[1]] = file.stem
    if len(found) > 1:
        raise AuditError(
            f"'{found['signed']}' was fitted on signed z, '{found['abs']}' on absolute z",
            where=heads,
            cure="Keep heads of one fit in a folder: m4i-fast attack fit ... --again",
        )
    return next(iter(found), "signed")


def _chosen(asked: tuple[str, ...], has: Collection[str]) -> list[str]:
    from m4i_fast.attacks.catalogue import families_of, possible

    for name in asked:
        families_of(name, has)
    return list(asked) or possible(has)


def _fit(
    shadow: Run, heads: Run, labels: Membership, names: list[str], tables: dict[str, Any], seed: int
) -> dict[str, Any]:
    from threadpoolctl import threadpool_limits

    from m4i_fast.attacks import fitted_rows
    from m4i_fast.attacks.catalogue import ATTACKS
    from m4i_fast.attacks.fitting import FAMILIES_KEY, fit, table_of
    from m4i_fast.attacks.onnx_file import save_head
    from m4i_fast.progress import progress
    from m4i_fast.tables import read_records

    groups = [record.group for record in read_records(shadow.path("records.parquet"))]
    fitted = []
    # One thread: sums are then in one order on every machine, and beside a busy neighbour BLAS's waiting threads made
    # these small fits fifteen times as long.
    with progress("fitting attacks", len(names)) as advance, threadpool_limits(1):
        for name in names:
            head = fit(name, tables, labels, seed=seed, groups=groups)
            table = table_of(head.about[FAMILIES_KEY].split("+"), tables)
            known = {fitted_rows.KEY: fitted_rows.sketch(table)}
            save_head(replace(head, about=head.about | known), heads.path(f"{name}.onnx"))
            fitted.append({"attack": name, "threshold": head.threshold, "recipe": head.recipe, **head.about})
            advance(note=name)
    # A head of an earlier fit that was not asked for now must not be scored with. Other engines are not ours to remove.
    for stale in ATTACKS.keys() - set(names):
        heads.path(f"{stale}.onnx").unlink(missing_ok=True)
    return {"heads": fitted}


def _score(run: Run, files: list[Path], tables: Mapping[str, FeatureTable]) -> dict[str, Any]:
    import numpy as np

    from m4i_fast.attacks.fitted_rows import KEY, share_known
    from m4i_fast.attacks.heads import aligned_values
    from m4i_fast.engines import open_head
    from m4i_fast.tables import write_scores
    from m4i_fast.types import MembershipScores

    scores, known = [], {}
    for file in files:
        with open_head(str(file), threads=QuerySettings().threads) as head:
            about = head.metadata
            table = _table_for(about, file, tables)
            # The metadata's check saw to both.
            assert about.features is not None
            assert about.threshold is not None
            values = aligned_values(table, tuple(about.features), about.recipe, head=file.stem)
            scores.append(MembershipScores(file.stem, table.ids, head.score(values), about.threshold))
            known[file.stem] = round(share_known(about.about.get(KEY, ""), table), 3)
    write_scores(run.path("scores.parquet"), scores)
    return {"scored": {each.attack: int(np.isfinite(each.values).sum()) for each in scores}, "fitted_here": known}


def _table_for(about: EngineMetadata, file: Path, tables: Mapping[str, FeatureTable]) -> FeatureTable:
    """The features that a head looks at."""
    from m4i_fast.attacks.catalogue import FAMILIES
    from m4i_fast.attacks.fitting import FAMILIES_KEY, table_of

    families = about.about.get(FAMILIES_KEY, "").split("+")
    unknown = next((family for family in families if family not in FAMILIES), None)
    if unknown is not None:
        raise AuditError(
            "the head does not say which features it looks at"
            if not unknown
            else f"the head looks at features ('{unknown}') that this version does not make",
            where=file,
            cure="Fit it again with this version: m4i-fast attack fit",
        )
    missing = next((family for family in families if family not in tables), None)
    if missing is not None:
        family = FAMILIES[missing]
        raise AuditError(
            f"the head looks at {family.what} ('{missing}'), which this run lacks",
            where=file,
            cure=f"Run first: {family.cure}; or name attacks that need less, and fit again.",
        )
    return table_of(families, tables)
