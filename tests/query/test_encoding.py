from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m4i_fast.errors import EngineError, RunError
from m4i_fast.query import encode, query
from m4i_fast.runs import Run, open_run
from m4i_fast.tables import read_embeddings, write_records
from m4i_fast.types import Record


def _asked(run: Run, records: list[Record], graphs: Any) -> None:
    write_records(run.path("records.parquet"), records)
    query(run, records, graphs.captioner(), part_rows=2)


def test_pictures_and_captions_become_vectors(graphs: Any, picture_records: Any, tmp_path: Path) -> None:
    records = picture_records([0, 1, 2, 9, 50], broken=(3,))
    with open_run(tmp_path / "run") as run:
        _asked(run, records, graphs)
        report = encode(run, graphs.image_encoder(poison=50.0), graphs.text_encoder(), batch=2)
    image, image_recipe = read_embeddings(tmp_path / "run/embeddings/image.parquet")
    text, text_recipe = read_embeddings(tmp_path / "run/embeddings/text.parquet")
    nothing = [np.nan] * 3
    assert image.ids == text.ids == tuple(record.id for record in records)
    np.testing.assert_array_equal(image.values, [[0, 0, 0], [1, 1, 1], [2, 2, 2], nothing, nothing])
    np.testing.assert_array_equal(text.values, [[4, 0, 0], [5, 6, 0], [6, 7, 8], nothing, [5, 6, 7]])
    assert image_recipe.startswith("image_encoder|name:means|sha256:")
    assert text_recipe.startswith("text_encoder|name:ids|sha256:")
    assert (report.rows, report.image_errors, report.text_errors) == (5, 2, 1)
    assert (report.image_dim, report.text_dim) == (3, 3)
    assert report.facts()["rows"] == 5


def test_a_run_of_unreadable_pictures_alone_still_has_its_rows(
    graphs: Any, picture_records: Any, tmp_path: Path
) -> None:
    with open_run(tmp_path / "run") as run:
        _asked(run, picture_records([1, 2], broken=(0, 1)), graphs)
        encode(run, graphs.image_encoder(), graphs.text_encoder())
    assert np.isnan(read_embeddings(tmp_path / "run/embeddings/image.parquet")[0].values).sum() == 6


def test_what_is_missing_is_named_with_the_command(graphs: Any, picture_records: Any, tmp_path: Path) -> None:
    records = picture_records([1, 2, 3, 4, 5])
    with open_run(tmp_path / "run") as run:
        with pytest.raises(RunError, match=r"'records.parquet' is missing.*m4i-fast query"):
            encode(run, graphs.image_encoder(), graphs.text_encoder())
        write_records(run.path("records.parquet"), records)
        with pytest.raises(RunError, match=r"'generations' is missing.*m4i-fast query"):
            encode(run, graphs.image_encoder(), graphs.text_encoder())
        _asked(run, records, graphs)
        run.path("generations/part-00001.parquet").unlink()
        with pytest.raises(RunError, match="3 generations do not go with 5 records"):
            encode(run, graphs.image_encoder(), graphs.text_encoder())


def test_towers_given_the_wrong_way_round_are_refused_before_any_work(
    graphs: Any, picture_records: Any, tmp_path: Path
) -> None:
    with open_run(tmp_path / "run") as run:
        _asked(run, picture_records([1]), graphs)
        with pytest.raises(EngineError, match=r"text encoder.*where an image encoder is needed"):
            encode(run, graphs.text_encoder(), graphs.image_encoder())
        with pytest.raises(EngineError, match="where a text encoder is needed"):
            encode(run, graphs.image_encoder(), graphs.captioner())
        assert not run.path("embeddings").exists()
