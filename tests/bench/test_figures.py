"""Figures: which promises are kept, and how they are written."""

from __future__ import annotations

import json

import pytest

from m4i_fast.bench.figures import COLUMNS, Agreement, Figure, Findings, cells, markdown, shown
from m4i_fast.bench.harness import Spread

FOUND = Spread(10.0, 9.0, 12.0, 5)


@pytest.mark.parametrize(
    ("at_least", "target", "comparable", "holds"),
    [
        (True, 10.0, True, True),
        (True, 10.5, True, False),
        (False, 10.0, True, True),
        (False, 9.5, True, False),
        (True, None, True, None),
        (True, 1.0, False, None),
    ],
)
def test_holds(at_least: bool, target: float | None, comparable: bool, holds: bool | None) -> None:
    figure = Figure.of("f", FOUND, unit="x", what="w", target=target, at_least=at_least, comparable=comparable)
    assert figure.holds is holds
    assert (figure.value, figure.low, figure.high, figure.rounds) == (10.0, 9.0, 12.0, 5)


def test_what_is_not_measured_keeps_its_place() -> None:
    figure = Figure.of("f", None, unit="x", what="w", target=3.0, note="not measured: no Java")
    assert (figure.value, figure.holds, figure.note) == (None, None, "not measured: no Java")
    assert cells(figure) == ("f", "not measured", "", "≥ 3 x", "unknown", "w")


def test_cells() -> None:
    figure = Figure.of("f", Spread(1834567.0, 1.8e6, 1.9e6, 5), unit="rows/s", what="w", target=2e6)
    assert cells(figure) == ("f", "1,830,000 rows/s", "1,800,000 – 1,900,000", "≥ 2,000,000 rows/s", "no", "w")
    figure = Figure.of("f", FOUND, unit="ns/pair", what="w", at_least=False)
    assert cells(figure) == ("f", "10.0 ns/pair", "9.00 – 12.0", "", "", "w")


def test_three_digits() -> None:
    values = [0.0123456, 0.99951, 9.876, 98.76, 987.6, 12345.6]
    assert [shown(value) for value in values] == ["0.0123", "1.000", "9.88", "98.8", "988", "12,300"]
    assert (shown(None), shown(0.0)) == ("–", "0")


def test_the_document_and_the_page() -> None:
    figures = (
        Figure.of("kept", FOUND, unit="x", what="one | two", target=3.0),
        Figure.of("absent", None, unit="x", what="w", note="not measured: no Java"),
    )
    found = Findings("overlap", figures, (Agreement("r", "all", 1200, 0),), {"rounds": 5}, {"packages": {"a": "1"}})
    told = json.loads(json.dumps(found.to_dict()))
    assert list(told) == ["bench", "figures", "agreement", "method", "environment"]
    assert {"name", "value", "unit", "target", "holds", "low", "high", "rounds", "note"} <= set(told["figures"][0])
    page = markdown(found).splitlines()
    assert "| " + " | ".join(COLUMNS) + " |" in page
    assert r"| kept | 10.0 x | 9.00 – 12.0 | ≥ 3 x | yes | one \| two |" in page
    assert "| absent | not measured: no Java |" in page
    assert "| r | all | 1,200 | 0 |" in page
    assert "| packages | a 1 |" in page
