"""Figures in words: what is said to a person may not be surer than the number."""

import pytest

from m4i_fast.report.wording import in_hundred


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.5, "50"),
        (0.634, "63"),
        (0.994, "99"),
        (0.996, "more than 99"),
        (1.0, "100"),
        (0.004, "less than 1"),
        (0.0, "0"),
    ],
)
def test_certainty_is_said_only_where_it_is_certain(value: float, words: str) -> None:
    assert in_hundred(value) == words
