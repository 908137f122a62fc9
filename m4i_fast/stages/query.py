"""Steps 2 and 3: the captioner's answer to every picture of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from m4i_fast.errors import DataError, EngineError
from m4i_fast.runs import Run, StageReport, stage
from m4i_fast.stages.settings import QuerySettings

__all__ = ["query_stage"]


def query_stage(run: Run, engine: str, settings: QuerySettings, *, again: bool = False) -> StageReport:
    """Write ``generations/part-*.parquet``; a run that was cut off goes on at the first part that is missing.

    Raises:
        EngineError: the engine cannot be used as asked, or gives no usable answer to any image.
        RunError: the run holds answers of another engine or other records.
        DataError: not one image can be read: a wrong folder, not some broken files.
    """
    from m4i_fast.engines import open_captioner

    path = Path(engine)
    if not path.is_file():
        with open_captioner(engine):  # raises with what is wrong with it: absent, a URL, a folder
            pass
    records = run.need("records.parquet", made_by=f"m4i-fast query DATA --engine {engine} --out {run.root}")
    return stage(
        run,
        "query",
        settings={"provider": settings.provider, "batch": settings.batch},
        inputs={"engine": path, "records": records},
        outputs=["generations"],
        work=lambda: _query(run, engine, settings, again),
        again=again,
    )


def _query(run: Run, engine: str, settings: QuerySettings, again: bool) -> dict[str, Any]:
    from m4i_fast.engines.protocol import MODEL_GAVE
    from m4i_fast.query import query
    from m4i_fast.query.parts import clear_parts
    from m4i_fast.stages.join import generations_of
    from m4i_fast.tables import read_records

    records = read_records(run.path("records.parquet"))
    report = query(
        run,
        records,
        engine,
        batch=settings.batch,
        provider=settings.provider,
        threads=settings.threads,
        again=again,
    )
    if report.errors == report.rows:
        reasons = [str(error) for error in generations_of(run, records).errors]
        clear_parts(run)  # not one answer in them
        at_model = [reason for reason in reasons if reason.startswith(MODEL_GAVE)]
        if at_model:
            raise EngineError(
                f"not one of {report.rows} images got a usable answer; the first: {at_model[0]}",
                where=engine,
                cure="Export the engine again with: m4i-fast export",
            )
        raise DataError(
            f"not one of {report.rows} images can be read; the first: {reasons[0]}",
            where=records[0].image,
            cure="Check the paths in DATA, or give the folder of the images with --images.",
        )
    return report.facts()
