from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m4i_fast.engines.onnx import OnnxImageEncoder, OnnxTextEncoder
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


def test_an_encoding_that_was_killed_goes_on_at_the_part_that_is_missing(
    graphs: Any, picture_records: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = picture_records([0, 1, 2, 9, 50, 60, 70], broken=(3,))
    towers = graphs.image_encoder(), graphs.text_encoder()
    for name in ("calm", "killed"):
        with open_run(tmp_path / name) as run:
            _asked(run, records, graphs)
    with open_run(tmp_path / "calm") as run:
        assert encode(run, *towers, batch=2, part_rows=3).kept == 0
    real = OnnxImageEncoder.encode

    def stops(self: OnnxImageEncoder, pixels: Any) -> Any:
        if 60 in pixels[:, 0, 0, 0]:
            raise KeyboardInterrupt
        return real(self, pixels)

    with open_run(tmp_path / "killed") as run:
        with monkeypatch.context() as patch:
            patch.setattr(OnnxImageEncoder, "encode", stops)
            with pytest.raises(KeyboardInterrupt):
                encode(run, *towers, batch=2, part_rows=3)
        assert not run.path("embeddings/image.parquet").exists()
        assert encode(run, *towers, batch=2, part_rows=3).kept == 3
    files = [sorted((tmp_path / name / "embeddings").iterdir()) for name in ("calm", "killed")]
    assert [path.name for path in files[0]] == [path.name for path in files[1]] == ["image.parquet", "text.parquet"]
    for calm, killed in zip(*files, strict=True):
        assert calm.read_bytes() == killed.read_bytes()


def breaks(tower: OnnxTextEncoder, texts: list[str]) -> Any:
    if texts == [""]:
        return np.zeros((1, 3), np.float32)
    raise ZeroDivisionError


def test_vectors_of_another_tower_are_not_taken_over(
    graphs: Any, picture_records: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_run(tmp_path / "run") as run:
        _asked(run, picture_records([1, 2, 3]), graphs)
        with monkeypatch.context() as patch:
            patch.setattr(OnnxTextEncoder, "encode", breaks)
            with pytest.raises(ZeroDivisionError):
                encode(run, graphs.image_encoder(), graphs.text_encoder())
        assert encode(run, graphs.image_encoder("other.onnx", poison=2.0), graphs.text_encoder()).kept == 0
        assert encode(run, graphs.image_encoder(), graphs.text_encoder()).image_errors == 0
