"""records.parquet of a run, from any source: sorted, hashed where a file lies here, replaced only where it may be."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from m4i_fast.errors import DataError, RunError
from m4i_fast.query import query
from m4i_fast.runs import open_run
from m4i_fast.stages.records import keep_stream, need_pictures, records_stage
from m4i_fast.stages.settings import DataSettings
from m4i_fast.tables import read_generations, read_records
from tests.conftest import Graphs


def shard(path: Path, shades: dict[str, int]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, shade in shades.items():
            buffer = io.BytesIO()
            Image.new("RGB", (4, 4), (shade, shade, shade)).save(buffer, "PNG")
            info = tarfile.TarInfo(f"{name}.png")
            info.size = buffer.tell()
            buffer.seek(0)
            tar.addfile(info, buffer)
    return path


def test_a_query_of_a_tar_answers_as_one_of_its_files(tmp_path: Path, graphs: Graphs) -> None:
    shades = {"c": 12, "a": 100, "b": 31}
    path = shard(tmp_path / "s.tar", shades)
    (tmp_path / "files").mkdir()
    with tarfile.open(path) as tar:
        for member in tar:
            content = tar.extractfile(member)
            assert content is not None
            (tmp_path / "files" / member.name).write_bytes(content.read())
    said = {}
    for name, data in (("tar", path), ("files", tmp_path / "files")):
        with open_run(tmp_path / name / "run") as run:
            records = records_stage(run, DataSettings(path=str(data)))
            query(run, records, graphs.captioner())
            need_pictures(run)
            answers = read_generations(sorted(run.path("generations").glob("*.parquet")))
            said[name] = dict(zip(records, answers.texts, strict=True))
    assert [each.id for each in said["tar"]] == ["a", "b", "c"]
    assert list(said["tar"].values()) == list(said["files"].values())
    assert len(set(said["tar"].values())) == 3
    # A file's hash is taken here; what is fetched from elsewhere is hashed where it is fetched for the query.
    assert [each.image_sha256 for each in said["tar"]] == [None] * 3
    assert [each.image_sha256 for each in said["files"]] == [
        hashlib.sha256((tmp_path / f"files/{name}.png").read_bytes()).hexdigest() for name in ("a", "b", "c")
    ]


def test_other_records_are_refused_and_what_stood_stands(tmp_path: Path, graphs: Graphs) -> None:
    first = DataSettings(path=str(shard(tmp_path / "s.tar", {"a": 1, "b": 2})))
    other = DataSettings(path=str(shard(tmp_path / "t.tar", {"a": 1, "c": 2})))
    with open_run(tmp_path / "run") as run:
        records = records_stage(run, first)
        query(run, records, graphs.captioner())
        before = run.path("records.parquet").stat().st_mtime_ns
        assert records_stage(run, first) == records
        assert run.path("records.parquet").stat().st_mtime_ns == before, "the same records are left as they are"
        with pytest.raises(RunError, match=r"this run holds answers about other records\. .*--again$"):
            records_stage(run, other)
        with pytest.raises(DataError, match="the id 'a' is there twice"):
            keep_stream(run, [*records, records[0]])
        assert read_records(run.path("records.parquet")) == records
        assert [each.name for each in run.root.iterdir() if "m4i-tmp" in each.name] == []
        assert [each.id for each in records_stage(run, other, again=True)] == ["a", "c"]
        assert not list(run.path("generations").glob("*.parquet"))


def test_rows_of_captions_that_lie_apart_are_one_record(tmp_path: Path) -> None:
    for name in "ab":
        Image.new("RGB", (2, 2)).save(tmp_path / f"{name}.png")
    rows = [("a", "one"), ("b", "two"), ("a", "three")]
    (tmp_path / "d.csv").write_text("id,image,caption\n" + "".join(f"{id_},{id_}.png,{said}\n" for id_, said in rows))
    with open_run(tmp_path / "run") as run:
        records = records_stage(run, DataSettings(path=str(tmp_path / "d.csv")))
    assert [(each.id, each.references) for each in records] == [("a", ("one", "three")), ("b", ("two",))]
