import numpy as np
import pytest

from m4i_fast.errors import AuditError, ConfigError
from m4i_fast.features.tables import embedding_features, join, overlap_features
from m4i_fast.types import Embeddings, OverlapScores

NAN = float("nan")


def overlap() -> OverlapScores:
    values = np.array([[0.1, 0.2, 0.3], [NAN, NAN, NAN]])
    return OverlapScores(("a", "b"), ("rouge_1", "rouge_2", "rouge_l"), values, "coco|tok:words")


def embeddings(*rows: list[float], ids: tuple[str, ...] = ("a", "b")) -> Embeddings:
    return Embeddings(ids, np.array(rows, np.float32))


def test_overlap_features_take_the_named_columns_in_the_named_order() -> None:
    table = overlap_features(overlap(), ("rouge_l", "rouge_1"))
    assert table.names == ("rouge_l", "rouge_1")
    assert table.values[0].tolist() == [0.3, 0.1]
    assert table.recipe == "coco|tok:words"


def test_rows_without_a_score_stay_as_nan() -> None:
    table = overlap_features(overlap())
    assert table.ids == ("a", "b")
    assert np.isnan(table.values[1]).all()


def test_z_is_image_minus_text() -> None:
    table = embedding_features(embeddings([1, 2], [0, 0]), embeddings([3, 1], [1, -1]), encoder="towers:ab12")
    assert table.values.tolist() == [[-2.0, 1.0], [-1.0, 1.0]]
    assert table.values.dtype == np.float64
    assert table.names == ("z_0", "z_1")
    assert table.recipe == "z|mode:signed|encoder:towers:ab12"


def test_abs_mode_drops_the_sign_and_says_so() -> None:
    table = embedding_features(embeddings([1, 2], [0, 0]), embeddings([3, 1], [1, -1]), "abs", encoder="e")
    assert table.values.tolist() == [[2.0, 1.0], [1.0, 1.0]]
    assert table.recipe == "z|mode:abs|encoder:e"


def test_half_a_vector_is_no_vector() -> None:
    table = embedding_features(embeddings([1, NAN], [0, 0]), embeddings([3, 1], [1, np.inf]))
    assert np.isnan(table.values).all()


def test_join_puts_columns_side_by_side() -> None:
    both = join(overlap_features(overlap()), embedding_features(embeddings([1], [2]), embeddings([0], [0])))
    assert both.names == ("rouge_1", "rouge_2", "rouge_l", "z_0")
    assert both.values[0].tolist() == [0.1, 0.2, 0.3, 1.0]
    assert np.isnan(both.values[1, :3]).all()
    assert both.values[1, 3] == 2.0
    assert both.recipe == "coco|tok:words+z|mode:signed|encoder:unknown"


@pytest.mark.parametrize("ids", [("b", "a"), ("a", "c"), ("a",)])
def test_tables_of_other_records_are_refused(ids: tuple[str, ...]) -> None:
    other = Embeddings(ids, np.zeros((len(ids), 1), np.float32))
    with pytest.raises(AuditError, match="same run"):
        embedding_features(embeddings([1], [2]), other)


def test_order_is_named_where_only_the_order_differs() -> None:
    with pytest.raises(AuditError, match="different orders"):
        embedding_features(embeddings([1], [2]), embeddings([1], [2], ids=("b", "a")))


def test_towers_of_other_widths_are_refused() -> None:
    with pytest.raises(AuditError, match="gives 1 numbers a record, the text tower 2"):
        embedding_features(embeddings([1], [2]), embeddings([1, 2], [2, 3]))


def test_the_same_feature_twice_is_refused() -> None:
    with pytest.raises(AuditError, match="'rouge_1'"):
        join(overlap_features(overlap()), overlap_features(overlap(), ["rouge_1"]))


@pytest.mark.parametrize("subset", [["rouge_9"], ["rouge_l", "rouge_l"], []])
def test_a_wrong_choice_of_metrics_is_refused(subset: list[str]) -> None:
    with pytest.raises(ConfigError, match="rouge_1, rouge_2, rouge_l"):
        overlap_features(overlap(), subset)


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ConfigError, match="signed, abs"):
        embedding_features(embeddings([1], [2]), embeddings([1], [2]), "squared")
