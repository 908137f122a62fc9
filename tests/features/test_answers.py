import numpy as np
import pytest

from m4i_fast.errors import AuditError
from m4i_fast.features.answers import answer_features
from m4i_fast.types import Generations


def answers(rates: list[list[float]], errors: list[str | None] | None = None) -> Generations:
    lengths = np.array([len(row) for row in rates], np.int32)
    width = max(lengths, default=0)
    log_probs = np.array([row + [-99.0] * (width - len(row)) for row in rates], np.float32).reshape(len(rates), width)
    ids = tuple(f"r{row}" for row in range(len(rates)))
    tokens = np.zeros((len(rates), width), np.int32)
    return Generations(ids, ("a",) * len(rates), tokens, lengths, log_probs, tuple(errors or [None] * len(rates)))


def test_by_hand() -> None:
    table = answer_features(answers([[-1.0, -3.0], [-0.5], [-2.0, -2.0, -2.0, -6.0]]))
    assert table.names == ("log_prob_mean", "log_prob_min")
    assert table.values.tolist() == [[-2.0, -3.0], [-0.5, -0.5], [-3.0, -6.0]]


def test_rows_that_tell_nothing_are_nan() -> None:
    table = answer_features(answers([[], [-1.0], [float("nan")], [-np.inf], [-2.0]], [None, "no", None, None, None]))
    assert np.isnan(table.values).all(axis=1).tolist() == [True, True, True, True, False]
    assert answer_features(answers([])).values.shape == (0, 2)


def test_an_engine_that_gives_none_is_refused() -> None:
    said = answers([[-1.0]])
    bare = Generations(said.ids, said.texts, said.tokens, said.lengths, None, said.errors)
    with pytest.raises(AuditError, match=r"no log-probabilities.*an engine that gives them"):
        answer_features(bare)
