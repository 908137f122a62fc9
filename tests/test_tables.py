"""The tables of a run: what was written is read, to the bit; what is not ours is refused with its reason."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from m4i_fast import tables
from m4i_fast.errors import DataError, RunError
from m4i_fast.types import (
    Embeddings,
    FeatureTable,
    Generations,
    Membership,
    MembershipScores,
    OverlapScores,
    Record,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
REASON = st.none() | TEXT
many = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@many
@given(rows=st.lists(st.tuples(TEXT, TEXT, st.lists(TEXT, max_size=3), TEXT, REASON), max_size=5))
def test_records_come_back_as_they_were(rows: list[Any], tmp_path: Path) -> None:
    records = [Record(key, image, tuple(refs), group or key, error) for key, image, refs, group, error in rows]
    tables.write_records(tmp_path / "x.parquet", records)
    assert tables.read_records(tmp_path / "x.parquet") == records


def test_a_record_without_a_group_is_its_own(tmp_path: Path) -> None:
    tables.write_records(tmp_path / "x.parquet", [Record("a", "a.png")])
    assert tables.read_records(tmp_path / "x.parquet") == [Record("a", "a.png", group="a")]


@st.composite
def generations(draw: st.DrawFn) -> Generations:
    rows, width = draw(st.integers(0, 4)), draw(st.integers(0, 3))
    lengths = draw(st_numpy.arrays(np.int32, rows, elements=st.integers(0, width)))
    inside = np.arange(width) < lengths[:, None]
    tokens = draw(st_numpy.arrays(np.int32, (rows, width), elements=st.integers(0, 2**31 - 1)))
    log_probs = draw(st_numpy.arrays(np.float32, (rows, width), elements=st.floats(-100, 0, width=32)))
    texts = [draw(st.lists(TEXT, min_size=rows, max_size=rows)) for _ in range(2)]
    return Generations(
        tuple(texts[0]),
        tuple(texts[1]),
        np.where(inside, tokens, 0),
        lengths,
        np.where(inside, log_probs, np.float32(0)) if draw(st.booleans()) else None,
        tuple(draw(st.lists(REASON, min_size=rows, max_size=rows))),
    )


@many
@given(parts=st.lists(generations(), min_size=1, max_size=3))
def test_parts_of_generations_come_back_as_one(parts: list[Generations], tmp_path: Path) -> None:
    paths = [tmp_path / f"part-{index}.parquet" for index in range(len(parts))]
    for index, (path, part) in enumerate(zip(paths, parts, strict=True)):
        tables.write_generations(path, part, metadata={"part": str(index)})
        assert tables.read_metadata(path) == (len(part.ids), {"part": str(index)})
    read = tables.read_generations(paths)
    assert read.ids == tuple(key for part in parts for key in part.ids)
    assert read.texts == tuple(text for part in parts for text in part.texts)
    assert read.errors == tuple(error for part in parts for error in part.errors)
    assert read.lengths.tolist() == [length for part in parts for length in part.lengths.tolist()]
    assert read.tokens.dtype == read.lengths.dtype == np.dtype(np.int32)
    assert read.tokens.shape == (len(read.ids), max(read.lengths.tolist(), default=0))
    rows = [row[:length] for part in parts for row, length in zip(part.tokens.tolist(), part.lengths, strict=True)]
    assert [row[:length] for row, length in zip(read.tokens.tolist(), read.lengths, strict=True)] == rows
    assert all(not any(row[length:]) for row, length in zip(read.tokens.tolist(), read.lengths, strict=True))
    filled = [part for part in parts if len(part.ids)]
    if filled and all(part.log_probs is not None for part in filled):
        assert read.log_probs is not None
        values = [
            row[:length]
            for part in filled
            if part.log_probs is not None
            for row, length in zip(part.log_probs.tolist(), part.lengths, strict=True)
        ]
        assert [row[:length] for row, length in zip(read.log_probs.tolist(), read.lengths, strict=True)] == values
    else:
        assert read.log_probs is None


def _said(ids: tuple[str, ...], words: int, *, log_probs: bool = True) -> Generations:
    rows = len(ids)
    tokens = np.tile(np.arange(1, words + 1, dtype=np.int32), (rows, 1))
    return Generations(
        ids,
        tuple(f"{key} {words}" for key in ids),
        tokens,
        np.full(rows, words, np.int32),
        -tokens.astype(np.float32) if log_probs else None,
        ("bad", *(None,) * (rows - 1)),
    )


def test_repeats_come_back_with_their_variant_and_sample(tmp_path: Path) -> None:
    paths = [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    tables.write_repeats(
        paths[0],
        [_said(("a", "b"), 1), _said(("a", "b"), 3)],
        variants=["", "flip"],
        samples=[1, 0],
        metadata={"part": "0"},
    )
    tables.write_repeats(paths[1], [_said(("c",), 2)], variants=["crop"], samples=[7])
    assert tables.read_metadata(paths[0]) == (4, {"part": "0"})
    assert pq.read_schema(paths[0]).names == ["id", "variant", "sample", "text", "tokens", "log_probs", "error"]
    said, variants, samples = tables.read_repeats(paths)
    assert said.ids == ("a", "b", "a", "b", "c")
    assert said.texts == ("a 1", "b 1", "a 3", "b 3", "c 2")
    assert said.errors == ("bad", None, "bad", None, "bad")
    assert said.tokens.tolist() == [[1, 0, 0], [1, 0, 0], [1, 2, 3], [1, 2, 3], [1, 2, 0]]
    assert said.log_probs is not None
    assert said.log_probs[2].tolist() == [-1, -2, -3]
    assert variants == ("", "", "flip", "flip", "crop")
    assert (samples.tolist(), str(samples.dtype)) == ([1, 1, 0, 0, 7], "int32")


def test_repeats_of_which_some_have_no_log_probabilities_have_none(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    both = [_said(("a",), 1), _said(("a",), 1, log_probs=False)]
    tables.write_repeats(path, both, variants=["", "flip"], samples=[1, 0])
    assert tables.read_repeats([path])[0].log_probs is None


def test_repeats_are_as_many_as_their_names_and_no_generations(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    with pytest.raises(ValueError, match="shorter"):
        tables.write_repeats(path, [_said(("a",), 1)] * 2, variants=["flip"], samples=[0])
    tables.write_generations(path, _said(("a",), 1))
    with pytest.raises(DataError, match="column variant, sample is missing"):
        tables.read_repeats([path])
    with pytest.raises(DataError, match="no part of any generation"):
        tables.read_repeats([])


@many
@given(values=st_numpy.arrays(np.float32, st.tuples(st.integers(0, 4), st.integers(1, 3))))
def test_vectors_come_back_to_the_bit(values: Any, tmp_path: Path) -> None:
    ids = tuple(str(row) for row in range(len(values)))
    tables.write_embeddings(tmp_path / "x.parquet", Embeddings(ids, values), recipe="tower|1")
    read, recipe = tables.read_embeddings(tmp_path / "x.parquet")
    assert (read.ids, recipe) == (ids, "tower|1")
    assert read.values.dtype == np.dtype(np.float32)
    np.testing.assert_array_equal(read.values, values)


def test_vectors_that_are_a_view_of_another_order_are_written_right(tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3).T
    tables.write_embeddings(tmp_path / "x.parquet", Embeddings(("a", "b", "c"), values), recipe="")
    assert tables.read_embeddings(tmp_path / "x.parquet")[0].values.tolist() == [[0, 3], [1, 4], [2, 5]]


@many
@given(values=st_numpy.arrays(np.float64, st.tuples(st.integers(0, 4), st.integers(0, 3))))
def test_overlap_and_features_come_back_to_the_bit(values: Any, tmp_path: Path) -> None:
    ids, names = tuple(str(row) for row in range(len(values))), tuple(f"f{j}" for j in range(values.shape[1]))
    tables.write_overlap(tmp_path / "o.parquet", OverlapScores(ids, names, values, "o|1"))
    tables.write_features(tmp_path / "f.parquet", FeatureTable(ids, names, values, "f|1"))
    overlap, features = tables.read_overlap(tmp_path / "o.parquet"), tables.read_features(tmp_path / "f.parquet")
    assert (overlap.ids, overlap.names, overlap.recipe) == (ids, names, "o|1")
    assert (features.ids, features.names, features.recipe) == (ids, names, "f|1")
    np.testing.assert_array_equal(overlap.values, values)
    np.testing.assert_array_equal(features.values, values)


def test_scores_and_thresholds_come_back(tmp_path: Path) -> None:
    wanted = [
        MembershipScores("mb_svm", ("a", "b"), np.array([0.1, np.nan]), 0.1 + 0.2),
        MembershipScores("fb_mlp", ("a", "b"), np.array([-np.inf, 3.0]), -1e-300),
    ]
    tables.write_scores(tmp_path / "x.parquet", wanted)
    read = tables.read_scores(tmp_path / "x.parquet")
    assert [(each.attack, each.ids, each.threshold) for each in read] == [
        ("mb_svm", ("a", "b"), 0.30000000000000004),
        ("fb_mlp", ("a", "b"), -1e-300),
    ]
    np.testing.assert_array_equal(read[0].values, [0.1, np.nan])
    np.testing.assert_array_equal(read[1].values, [-np.inf, 3.0])


def test_scores_of_no_attack_or_of_different_records_are_refused(tmp_path: Path) -> None:
    one = MembershipScores("a", ("x", "y"), np.zeros(2))
    other = MembershipScores("b", ("y", "x"), np.zeros(2))
    with pytest.raises(RunError, match="different records"):
        tables.write_scores(tmp_path / "x.parquet", [one, other])
    with pytest.raises(RunError, match="no attack gave scores"):
        tables.write_scores(tmp_path / "x.parquet", [])
    with pytest.raises(RunError, match="two columns of one name"):
        tables.write_scores(tmp_path / "x.parquet", [one, one])
    with pytest.raises(RunError, match="two columns of one name"):
        tables.write_features(tmp_path / "x.parquet", FeatureTable(("a",), ("id",), np.zeros((1, 1)), ""))
    assert list(tmp_path.iterdir()) == []


def test_labels_come_back(tmp_path: Path) -> None:
    tables.write_membership(tmp_path / "x.parquet", Membership(("a", "b"), np.array([True, False])))
    read = tables.read_membership(tmp_path / "x.parquet")
    assert (read.ids, read.is_member.tolist()) == (("a", "b"), [True, False])
    assert read.is_member.dtype == np.dtype(bool)


def test_a_folder_whose_name_looks_like_a_column_adds_none(tmp_path: Path) -> None:
    path = tmp_path / "lr=0.1" / "x.parquet"
    tables.write_features(path, FeatureTable(("a",), ("f",), np.ones((1, 1)), ""))
    assert tables.read_features(path).names == ("f",)


def test_the_same_table_is_the_same_file(tmp_path: Path) -> None:
    for name in "ab":
        tables.write_features(tmp_path / name, FeatureTable(("x",), ("f",), np.ones((1, 1)), "r"))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("record", [Record("\ud800", "x"), Record("a", "\udcff.png"), Record("a", "x", ("\udfff",))])
def test_text_that_is_no_unicode_is_refused_by_name(record: Record, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not valid Unicode: '\\ud") as caught:
        tables.write_records(tmp_path / "x.parquet", [record])
    assert caught.value.cure
    assert list(tmp_path.iterdir()) == []


def test_large_strings_of_other_writers_are_read(tmp_path: Path) -> None:
    table = pa.table({"id": pa.array(["a"], pa.large_string()), "is_member": [True]})
    pq.write_table(table, tmp_path / "x.parquet")
    assert tables.read_membership(tmp_path / "x.parquet").ids == ("a",)


@pytest.mark.parametrize(
    ("read", "columns", "says"),
    [
        (tables.read_membership, {"id": ["a"]}, "column is_member is missing; it has id"),
        (tables.read_membership, {"id": [1], "is_member": [True]}, "column id is int64, and must be string"),
        (tables.read_membership, {"id": ["a"], "is_member": [2]}, "column is_member is int64, and must be bool"),
        (tables.read_membership, {"id": ["a", None], "is_member": [True] * 2}, "column id has 1 empty cells"),
        (tables.read_membership, {"id": ["a"], "is_member": pa.array([None], pa.bool_())}, "1 empty cells"),
        (tables.read_features, {"id": ["a"], "f": ["x"]}, "column f is string, and must be double"),
        (tables.read_overlap, {"f": [1.0]}, "column id is missing"),
        (tables.read_embeddings, {"id": ["a"], "values": [1.0]}, "no vectors of one length"),
        (tables.read_embeddings, {"id": ["a"]}, "no vectors of one length"),
        (tables.read_scores, {"id": ["a"], "mb": [1.0]}, "no table of scores"),
        (tables.read_records, {"id": ["a"]}, "column image, references, group, error, image_sha256 is missing"),
        (lambda path: tables.read_generations([path]), {"id": ["a"]}, "column text, tokens"),
    ],
)
def test_tables_of_another_shape_are_refused(
    read: Callable[[Path], object], columns: dict[str, Any], says: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table(columns), path)
    with pytest.raises(DataError, match=says) as caught:
        read(path)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("damage", ["gone", "empty", "text", "truncated", "flipped", "folder"])
def test_damaged_files_are_refused(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    ids = tuple(str(row) for row in range(500))
    tables.write_features(path, FeatureTable(ids, ("f",), np.random.default_rng(1).random((500, 1)), "r"))
    whole = path.read_bytes()
    if damage in {"gone", "folder"}:
        path.unlink()
    if damage == "folder":
        path.mkdir()
    contents = {
        "empty": b"",
        "text": b"id,f\na,1\n",
        "truncated": whole[:-20],
        "flipped": whole[:20] + b"\xff" * 200 + whole[220:],
    }
    if damage in contents:
        path.write_bytes(contents[damage])
    with pytest.raises(DataError, match=r"no such file|not a readable Parquet file") as caught:
        tables.read_features(path)
    assert caught.value.where == str(path)


def test_no_part_at_all_is_refused() -> None:
    with pytest.raises(DataError, match="no part"):
        tables.read_generations([])
