import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m4i_fast.errors import AuditError
from m4i_fast.features import alignment
from m4i_fast.features.alignment import alignment_features
from m4i_fast.types import Embeddings


def vectors(rows: list[list[float]]) -> Embeddings:
    return Embeddings(tuple(f"r{row}" for row in range(len(rows))), np.array(rows, np.float32))


def test_by_hand() -> None:
    pictures = vectors([[2, 0], [0, 1], [1, 1], [1, 0]])
    captions = vectors([[1, 0], [3, 0], [1, 1], [-1, 0]])
    table = alignment_features(pictures, captions, encoder="e")
    assert table.names == ("cosine", "rank")
    assert table.recipe == "alignment|others:1000|encoder:e"
    assert table.values[:, 0] == pytest.approx([1.0, 0.0, 1.0, -1.0])
    # Row 0: the second caption is as good as its own, the others are worse. Row 1: the fourth caption is as good as its
    # own, the first too, the third is better. Row 3: all others are better.
    assert table.values[:, 1] == pytest.approx([2.5 / 3, 1.0 / 3, 1.0, 0.0])


def test_a_row_that_cannot_be_had_is_nan_and_counts_for_nobody() -> None:
    pictures = vectors([[1, 0], [np.nan, 1], [0, 0], [0, 1]])
    captions = vectors([[1, 0], [1, 0], [1, 0], [1, 1]])
    table = alignment_features(pictures, captions)
    assert np.isnan(table.values).all(axis=1).tolist() == [False, True, True, False]
    assert table.values[[0, 3], 1].tolist() == [1.0, 1.0]


def test_one_record_alone_is_in_the_middle_and_none_is_none() -> None:
    assert alignment_features(vectors([[1, 0]]), vectors([[1, 1]])).values[0, 1] == 0.5
    nothing = Embeddings((), np.zeros((0, 3), np.float32))
    assert alignment_features(nothing, nothing).values.shape == (0, 2)


@given(
    st.integers(1, 12).flatmap(
        lambda n: st.tuples(*(st.lists(st.tuples(*[st.integers(-3, 3)] * 3), min_size=n, max_size=n) for _ in range(2)))
    )
)
def test_the_rank_is_the_share_of_captions_that_fit_less_well(
    rows: tuple[list[tuple[int, ...]], list[tuple[int, ...]]],
) -> None:
    pictures, captions = ([list(map(float, row)) for row in each] for each in rows)
    found = alignment_features(vectors(pictures), vectors(captions)).values

    def cosine(one: list[float], other: list[float]) -> float:
        return float(np.dot(one, other) / (np.linalg.norm(one) * np.linalg.norm(other)))

    good = [row for row in range(len(pictures)) if any(pictures[row]) and any(captions[row])]
    for row in range(len(pictures)):
        if row not in good:
            assert np.isnan(found[row]).all()
            continue
        own = cosine(pictures[row], captions[row])
        others = [cosine(pictures[row], captions[each]) for each in good if each != row]
        better = [1.0 if each < own - 1e-9 else 0.5 if each < own + 1e-9 else 0.0 for each in others]
        assert found[row] == pytest.approx([own, np.mean(better) if better else 0.5], abs=1e-6)


def test_of_many_records_some_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    pictures = rng.normal(size=(900, 8))
    captions = pictures + rng.normal(size=(900, 8))
    every = alignment_features(vectors(pictures.tolist()), vectors(captions.tolist())).values[:, 1]
    monkeypatch.setattr(alignment, "OTHERS", 300)
    monkeypatch.setattr(alignment, "BLOCK", 64)
    some = alignment_features(vectors(pictures.tolist()), vectors(captions.tolist())).values[:, 1]
    assert np.abs(every - some).max() < 0.12
    assert some.min() >= 0
    assert some.max() <= 1


def test_vectors_of_other_records_or_widths_are_refused() -> None:
    with pytest.raises(AuditError, match="2 image vectors but 1 text vectors"):
        alignment_features(vectors([[1, 0], [0, 1]]), vectors([[1, 0]]))
    with pytest.raises(AuditError, match="gives 2 numbers a record, the text tower 3"):
        alignment_features(vectors([[1, 0]]), vectors([[1, 0, 0]]))
