"""Step 4: pictures and generated captions as vectors of the two towers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from m4i_fast.errors import EngineError
from m4i_fast.runs import Run, StageReport, stage
from m4i_fast.stages.settings import QuerySettings
from m4i_fast.stages.standing import made_by, need_current

__all__ = ["encode_stage", "towers_in"]


def towers_in(folder: Path) -> tuple[Path, Path]:
    """The two towers of a folder.

    Raises:
        EngineError: one is missing.
    """
    found = (folder / "image.onnx", folder / "text.onnx")
    for tower in found:
        if not tower.is_file():
            raise EngineError(
                f"'{tower.name}' is missing in this folder of encoders",
                where=folder,
                cure="Make both with: m4i-fast train encoders DATA --out TOWERS && m4i-fast export TOWERS --out FOLDER",
            )
    return found


def encode_stage(run: Run, encoders: Path, settings: QuerySettings, *, again: bool = False) -> StageReport:
    """Write ``embeddings/image.parquet`` and ``embeddings/text.parquet``; rows that cannot be encoded are NaN."""
    records = run.need("records.parquet", made_by=made_by(run, "query"))
    generations = run.need("generations", made_by=made_by(run, "query"))
    image, text = towers_in(encoders)
    need_current(run, "query")
    return stage(
        run,
        "encode",
        settings={"provider": settings.provider, "batch": settings.batch},
        inputs={
            "records": records,
            "generations": generations,
            "image tower": image,
            "text tower": text,
        },
        outputs=["embeddings/image.parquet", "embeddings/text.parquet"],
        work=lambda: _encode(run, image, text, settings),
        again=again,
    )


def _encode(run: Run, image: Path, text: Path, settings: QuerySettings) -> dict[str, Any]:
    from m4i_fast.query import encode
    from m4i_fast.stages.records import need_pictures

    need_pictures(run)
    report = encode(run, image, text, batch=settings.batch, provider=settings.provider, threads=settings.threads)
    return report.facts()
