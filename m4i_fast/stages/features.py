"""Step 6: what the attacks look at, from overlap scores and embeddings."""

from __future__ import annotations

from m4i_fast.errors import RunError
from m4i_fast.runs import Run
from m4i_fast.stages.standing import need_scored
from m4i_fast.types import FeatureTable

__all__ = ["features_of", "keep_features"]


def keep_features(run: Run, *, z: str) -> dict[str, FeatureTable]:
    """Write ``features/overlap.parquet``, ``z.parquet`` and ``both.parquet``, as far as the run allows.

    Args:
        run: a run with ``overlap.parquet`` or ``embeddings/`` or both.
        z: ``signed`` or ``abs``.

    Returns:
        By need (``overlap``, ``z``, ``both``), the tables.

    Raises:
        RunError: the run holds neither, or one that is not of the answers and records that now stand there.
    """
    from m4i_fast.tables import write_features

    need_scored(run)

    tables = features_of(run, z=z)
    for need, table in tables.items():
        write_features(run.path(f"features/{need}.parquet"), table)
    return tables


def features_of(run: Run, *, z: str) -> dict[str, FeatureTable]:
    """The same tables, without writing them."""
    from m4i_fast.features.tables import embedding_features, join, overlap_features
    from m4i_fast.tables import read_embeddings, read_overlap

    tables: dict[str, FeatureTable] = {}
    if run.path("overlap.parquet").exists():
        tables["overlap"] = overlap_features(read_overlap(run.path("overlap.parquet")))
    if run.path("embeddings/image.parquet").exists() and run.path("embeddings/text.parquet").exists():
        image, image_recipe = read_embeddings(run.path("embeddings/image.parquet"))
        text, text_recipe = read_embeddings(run.path("embeddings/text.parquet"))
        tables["z"] = embedding_features(image, text, z, encoder=f"{image_recipe}+{text_recipe}")
    if not tables:
        raise RunError(
            "neither overlap scores nor embeddings stand in this run",
            where=run.root,
            cure=f"Run first: m4i-fast overlap {run.root} (metric-based attacks), "
            f"or m4i-fast encode {run.root} --encoders FOLDER (feature-based ones).",
        )
    if len(tables) == 2:
        tables["both"] = join(tables["overlap"], tables["z"])
    return tables
