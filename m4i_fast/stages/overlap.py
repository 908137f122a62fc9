"""Step 5: ROUGE and BLEU of each generated caption against its record's references."""

from __future__ import annotations

from typing import Any

from m4i_fast.runs import Run, StageReport, stage
from m4i_fast.stages.settings import OverlapSettings
from m4i_fast.stages.standing import made_by, need_current

__all__ = ["overlap_stage"]


def overlap_stage(run: Run, settings: OverlapSettings, *, again: bool = False) -> StageReport:
    """Write ``overlap.parquet``: a row a record; NaN where a record has no caption or no reference."""
    from m4i_fast.text.recipes import recipe_named

    records = run.need("records.parquet", made_by=made_by(run, "query"))
    generations = run.need("generations", made_by=made_by(run, "query"))
    need_current(run, "query")
    return stage(
        run,
        "overlap",
        settings={"recipe": recipe_named(settings.recipe, reduce=settings.reduce).signature},
        inputs={"records": records, "generations": generations},
        outputs=["overlap.parquet"],
        work=lambda: _score(run, settings),
        again=again,
    )


def _score(run: Run, settings: OverlapSettings) -> dict[str, Any]:
    import numpy as np

    from m4i_fast.stages.join import generations_of
    from m4i_fast.tables import read_records, write_overlap
    from m4i_fast.text.overlap import overlap
    from m4i_fast.types import OverlapScores

    records = read_records(run.path("records.parquet"))
    generations = generations_of(run, records)
    table = overlap(
        generations.texts, [record.references for record in records], recipe=settings.recipe, reduce=settings.reduce
    )
    values = table.values.copy()
    unread = np.array([error is not None for error in generations.errors])
    values[unread] = np.nan
    write_overlap(run.path("overlap.parquet"), OverlapScores(generations.ids, table.names, values, table.recipe))
    good = ~np.isnan(values).any(axis=1)
    means = values[good].mean(axis=0) if good.any() else np.zeros(len(table.names))
    return {
        "records": len(records),
        "scored": int(good.sum()),
        "recipe": table.recipe,
        "mean": {name: round(float(mean), 6) for name, mean in zip(table.names, means, strict=True)},
    }
