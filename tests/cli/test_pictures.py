"""Answers are about pictures, not about names of files: others under the same names are never mixed in or judged."""

import json
import shutil
from pathlib import Path

import onnx
import pytest
from onnx import helper
from PIL import Image

from m4i_fast.data.fingerprints import CHANGED
from m4i_fast.engines.metadata import KEY
from m4i_fast.tables import read_generations, read_records
from tests.cli.conftest import House, m4i


@pytest.fixture
def photos(house: House, tmp_path: Path) -> Path:
    """A set of our own, whose pictures may be spoilt."""
    shutil.copytree(house.data.parent, tmp_path / "photos")
    return tmp_path / "photos/captions.json"


def _query(house: House, data: Path, run: Path, *more: object) -> tuple[int, str]:
    done = m4i("query", data, "--engine", house.engines / "target.onnx", "--out", run, "--quiet", *more)
    return done.code, done.err


def _spoil(run: Path, count: int) -> list[Path]:
    paths = [Path(record.image) for record in read_records(run / "records.parquet")[:count]]
    for path in paths:
        Image.new("RGB", (64, 64), "red").save(path)
    return paths


def test_a_query_of_other_pictures_is_another_query(house: House, photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert _query(house, photos, run)[0] == 0
    before = (run / "records.parquet").read_bytes()
    first, second = _spoil(run, 2)
    code, said = _query(house, photos, run)
    assert code == 2
    assert f"2 of 230 images have changed since they were asked about, the first: {first}" in said
    assert "--again" in said
    assert (run / "records.parquet").read_bytes() == before
    assert _query(house, photos, run, "--again")[0] == 0
    said_now = read_generations(sorted((run / "generations").glob("*.parquet")))
    rows = [read_records(run / "records.parquet")[row].image for row in (0, 1)]
    assert rows == [str(first), str(second)]
    assert said_now.texts[0] == said_now.texts[1], "one red picture, one answer"


def test_a_killed_query_does_not_go_on_with_other_pictures(house: House, photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert _query(house, photos, run)[0] == 0
    (run / "stages/query.json").unlink()  # as if killed after its last part
    _spoil(run, 1)
    code, said = _query(house, photos, run)
    assert code == 2
    assert "1 of 230 images have changed" in said


@pytest.mark.parametrize("how", ["other", "gone"])
def test_other_pictures_are_neither_encoded_nor_judged(house: House, photos: Path, how: str, tmp_path: Path) -> None:
    run, heads, labels = tmp_path / "run", tmp_path / "heads", tmp_path / "labels.csv"
    assert _query(house, photos, run)[0] == 0
    records = read_records(run / "records.parquet")
    labels.write_text(
        "id,is_member\n" + "".join(f"{record.id},{row % 2}\n" for row, record in enumerate(records)), encoding="utf-8"
    )
    fit = ("attack", "fit", run, "--membership", labels, "--out", heads, "--quiet")
    evaluate = ("evaluate", run, "--membership", labels, "--quiet")
    for command in (("overlap", run), fit, ("attack", "score", run, "--heads", heads)):
        assert m4i(*command).code == 0
    picture = Path(records[0].image)
    kept = picture.read_bytes()
    if how == "gone":
        picture.unlink()
    else:
        picture.write_bytes(kept + b"x")
    for command in (("encode", run, "--encoders", house.engines / "encoders", "--quiet"), evaluate):
        done = m4i(*command)
        assert done.code == 2
        assert (
            f"1 of 230 images are not those that the model was asked about: changed or gone; the first: {picture}"
            in (done.err)
        )
        assert "m4i-fast query ... --again" in done.err
    picture.write_bytes(kept)
    assert m4i(*evaluate).code == 0


def test_a_split_remembers_its_pictures(house: House, photos: Path, tmp_path: Path) -> None:
    split, run = tmp_path / "split", tmp_path / "run"
    sizes = ("--target-member", 20, "--target-nonmember", 20, "--quiet")
    assert m4i("data", "split", photos, "--out", split, *sizes).code == 0
    target = split / "target/records.parquet"
    first = Path(read_records(target)[0].image)
    first.write_bytes(first.read_bytes() + b"x")
    assert _query(house, target, run)[0] == 0
    records = read_records(run / "records.parquet")
    assert [record.error for record in records[:2]] == [CHANGED, None]
    said = read_generations(sorted((run / "generations").glob("*.parquet")))
    assert said.errors[:2] == (CHANGED, None)


def test_a_model_that_never_answers_is_not_the_pictures_fault(house: House, photos: Path, tmp_path: Path) -> None:
    model = onnx.load(house.engines / "target.onnx")
    about = {prop.key: prop.value for prop in model.metadata_props}
    own = json.loads(about[KEY])
    own["vocabulary"] = own["vocabulary"][:5]
    helper.set_model_props(model, about | {KEY: json.dumps(own)})
    onnx.save(model, tmp_path / "cut.onnx")
    run = tmp_path / "run"
    done = m4i("query", photos, "--engine", tmp_path / "cut.onnx", "--out", run, "--quiet")
    assert done.code == 2
    assert "cut.onnx: not one of 230 images got a usable answer; the first: the model gave a token outside" in done.err
    assert "export" in done.err
    assert not (run / "generations").exists(), "a later stage would take what has no stamp for answers from elsewhere"


def test_a_folder_of_other_things_is_not_asked_into(house: House, photos: Path, tmp_path: Path) -> None:
    before = sorted(photos.parent.iterdir())
    code, said = _query(house, photos, photos.parent)
    assert code == 2
    assert "holds other things (captions.json, images)" in said
    assert m4i("data", "split", photos, "--out", photos.parent, "--target-member", 9, "--target-nonmember", 9).code == 2
    assert sorted(photos.parent.iterdir()) == before


def test_towers_are_not_exported_into_a_folder_that_is_named_like_a_file(house: House, tmp_path: Path) -> None:
    done = m4i("export", house.models / "encoders", "--out", tmp_path / "x.onnx")
    assert done.code == 2
    assert "two files" in done.err
    assert not (tmp_path / "x.onnx").exists()


def test_a_fault_in_a_late_row_leaves_no_folder(house: House, photos: Path, tmp_path: Path) -> None:
    picture = next(photos.parent.rglob("*.png"), None) or next(photos.parent.rglob("*.jpg"))
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"id": 1, "image": str(picture)}) + "\nno json\n")
    code, said = _query(house, rows, tmp_path / "run")
    assert code == 2
    assert "rows.jsonl:2:1: not valid JSON" in said
    assert not (tmp_path / "run").exists()
