"""Which features a run gives depends on what stands in it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from m4i_fast.errors import RunError
from m4i_fast.runs import Run
from m4i_fast.stages.features import keep_features
from m4i_fast.stages.overlap import overlap_stage
from m4i_fast.stages.settings import OverlapSettings
from m4i_fast.tables import read_features, write_generations, write_records, write_repeats
from m4i_fast.types import Generations, Record

IDS = ("a", "b", "c")


def said(texts: Sequence[str], ids: tuple[str, ...] = IDS, log_probs: bool = False) -> Generations:
    errors = tuple(None if text else "it was not read" for text in texts)
    lengths = np.array([len(text.split()) for text in texts], np.int32)
    shape = (len(texts), int(lengths.max()))
    rates = np.full(shape, -0.5, np.float32) if log_probs else None
    return Generations(ids, tuple(texts), np.ones(shape, np.int32), lengths, rates, errors)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run(tmp_path / "run")
    write_records(run.path("records.parquet"), [Record(each, f"{each}.jpg", ("a dog runs",)) for each in IDS])
    write_generations(run.path("generations/part-00000.parquet"), said(["a dog runs", "a cat", ""]))
    return run


def with_repeats(run: Run) -> None:
    # Two parts, the second first in the alphabet of ids: places are by id, and a part ends in the middle.
    for part, ids, blocks in (
        (0, ("b", "a"), [["a cat", "a dog runs"], ["b b", "a dog"], ["a cat", "x"]]),
        (1, ("c",), [["c"], ["c"], ["c"]]),
    ):
        write_repeats(
            run.path(f"repeats/part-{part:05d}.parquet"),
            [said(block, ids) for block in blocks],
            variants=["", "flip", "flip"],
            samples=[1, 0, 1],
        )


def test_a_table_a_family_for_all_that_is_there(run: Run) -> None:
    with_repeats(run)
    write_generations(run.path("generations/part-00000.parquet"), said(["a dog runs", "a cat", ""], log_probs=True))
    overlap_stage(run, OverlapSettings())
    run.path("features").mkdir()
    run.path("features/both.parquet").write_bytes(b"of an earlier version")
    tables = keep_features(run, z="signed")
    assert list(tables) == ["overlap", "answer", "views", "samples", "pseudo"]
    assert {path.stem for path in run.path("features").iterdir()} == set(tables)
    for family, table in tables.items():
        kept = read_features(run.path(f"features/{family}.parquet"))
        assert kept.ids == IDS
        assert np.array_equal(kept.values, table.values, equal_nan=True)
    views = dict(zip(tables["views"].names, tables["views"].values.T, strict=True))
    assert views["agree_flip"] == pytest.approx([0.4, 0.5, np.nan], nan_ok=True)
    assert views["same_flip"] == pytest.approx([0.0, 0.5, np.nan], nan_ok=True)
    assert tables["samples"].values == pytest.approx(np.array([[1, 1], [1, 1], [np.nan] * 2]), nan_ok=True)
    assert tables["pseudo"].values[0] == pytest.approx([1, 1, 1, 1])
    assert tables["answer"].values[:2].tolist() == [[-0.5, -0.5]] * 2


def test_where_there_is_nothing_to_look_at_it_is_said_what_to_run(run: Run) -> None:
    with pytest.raises(RunError, match=r"neither overlap scores nor embeddings nor further answers.*m4i-fast overlap"):
        keep_features(run, z="signed")


def test_a_repeat_without_a_plain_answer_is_refused(run: Run) -> None:
    with_repeats(run)
    write_records(run.path("records.parquet"), [Record("a", "a.jpg")])
    with pytest.raises(RunError, match="a further answer is about 'b', about which there is no plain one"):
        keep_features(run, z="signed")
