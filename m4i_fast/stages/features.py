"""Step 6: what the attacks look at, from overlap scores, embeddings and all answers; a table a family."""

from __future__ import annotations

from m4i_fast.errors import RunError
from m4i_fast.runs import Run
from m4i_fast.stages.standing import need_scored
from m4i_fast.types import FeatureTable

__all__ = ["features_of", "keep_features"]


def keep_features(run: Run, *, z: str) -> dict[str, FeatureTable]:
    """Write ``features/<family>.parquet``, as far as the run allows.

    Args:
        run: a run with ``overlap.parquet``, ``embeddings/`` or ``repeats/``.
        z: ``signed`` or ``abs``.

    Returns:
        By family, the tables.

    Raises:
        RunError: the run holds none of these, or one that is not of the answers and records that now stand there.
    """
    from m4i_fast.tables import write_features

    need_scored(run)
    tables = features_of(run, z=z)
    for stale in {path.stem for path in run.path("features").glob("*.parquet")} - tables.keys():
        run.path(f"features/{stale}.parquet").unlink()
    for family, table in tables.items():
        write_features(run.path(f"features/{family}.parquet"), table)
    return tables


def features_of(run: Run, *, z: str) -> dict[str, FeatureTable]:
    """The same tables, without writing them."""
    from m4i_fast.features.alignment import alignment_features
    from m4i_fast.features.tables import embedding_features, overlap_features
    from m4i_fast.tables import read_embeddings, read_overlap

    tables: dict[str, FeatureTable] = {}
    if run.path("overlap.parquet").exists():
        tables["overlap"] = overlap_features(read_overlap(run.path("overlap.parquet")))
    if run.path("embeddings/image.parquet").exists() and run.path("embeddings/text.parquet").exists():
        image, image_recipe = read_embeddings(run.path("embeddings/image.parquet"))
        text, text_recipe = read_embeddings(run.path("embeddings/text.parquet"))
        encoder = f"{image_recipe}+{text_recipe}"
        tables["z"] = embedding_features(image, text, z, encoder=encoder)
        tables["alignment"] = alignment_features(image, text, encoder=encoder)
    tables |= _answers(run)
    if not tables.keys() - {"answer"}:
        raise RunError(
            "neither overlap scores nor embeddings nor further answers stand in this run",
            where=run.root,
            cure=f"Run first: m4i-fast overlap {run.root} (metric-based attacks), "
            f"or m4i-fast encode {run.root} --encoders FOLDER (feature-based ones).",
        )
    return tables


def _answers(run: Run) -> dict[str, FeatureTable]:
    """Families that are drawn from the answers themselves."""
    from m4i_fast.features.answers import answer_features
    from m4i_fast.features.repeats import pseudo_features, samples_features, views_features
    from m4i_fast.query.parts import part_paths, repeat_paths
    from m4i_fast.stages.join import generations_of, repeats_of
    from m4i_fast.tables import read_records

    if not part_paths(run):
        return {}
    records = read_records(run.path("records.parquet"))
    said = generations_of(run, records)
    tables: dict[str, FeatureTable] = {}
    if said.log_probs is not None:
        tables["answer"] = answer_features(said)
    if not repeat_paths(run):
        return tables
    repeats = repeats_of(run, said)
    if repeats.variants:
        tables["views"] = views_features(repeats)
    if len(repeats.said[""]) > 1:
        tables["samples"] = samples_features(repeats)
        if any(record.references for record in records):
            tables["pseudo"] = pseudo_features(repeats, [record.references for record in records])
    return tables
