import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from m4i_fast.report.plots import Row, _densified, auc_forest, looks_of, roc_chart, score_histogram
from m4i_fast.types import Estimate, RocCurve


def forest(label: str = "both") -> str:
    looks = looks_of(["a"], ["b"])
    return auc_forest(
        [Row(label, Estimate(0.9, 0.88, 0.92), looks["a"], False), Row("b", Estimate(0.5, 0.4, 0.6), looks["b"], True)]
    )


def roc(*, log: bool) -> str:
    curve = RocCurve(np.array([0.0, 0.0, 0.5, 1.0]), np.array([0.0, 0.2, 0.9, 1.0]))
    return roc_chart({"a": curve, "b": curve, "unknown": curve}, looks_of(["a"], ["b"]), log=log, non_members=3000)


def histogram() -> str:
    rng = np.random.default_rng(1)
    return score_histogram(rng.normal(1, 1, 300), np.r_[rng.normal(0, 1, 300), np.nan], label="both", threshold=0.4)


CHARTS = {"forest": forest, "roc": lambda: roc(log=False), "log": lambda: roc(log=True), "histogram": histogram}


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_one_safe_element_in_the_colours_of_the_page(name: str) -> None:
    drawn = CHARTS[name]()
    root = ET.fromstring(drawn)  # noqa: S314 - our own drawing
    assert root.tag == "svg"
    assert root.get("role") == "img"
    assert root[0].tag == "title"
    assert root[0].text
    assert root[1].tag == "desc"
    assert root[1].text
    assert "style=" not in drawn
    assert "<style" not in drawn
    assert "http" not in drawn
    assert "date" not in drawn.lower()
    assert re.search(r"var\(--ink|var\(--soft", drawn)
    # No stand-in colour may be left; whatever is drawn without one is not seen.
    assert not re.search(r'"#0[1-3]0\d0\d"', drawn)
    assert not re.search(r'fill="#000000"|stroke="#000000"', drawn)


@pytest.mark.parametrize("name", CHARTS)
def test_the_same_chart_has_the_same_bytes(name: str) -> None:
    assert CHARTS[name]() == CHARTS[name]()


def test_ids_of_two_charts_on_one_page_do_not_meet() -> None:
    found = [re.findall(r' id="([^"]+)"', make()) for make in CHARTS.values()]
    every = [each for ids in found for each in ids]
    assert len(every) == len(set(every))
    for make in CHARTS.values():
        drawn = make()
        used = re.findall(r'(?:href="#|url\(#)([^")]+)', drawn)
        assert used
        assert set(used) <= set(re.findall(r' id="([^"]+)"', drawn))


def test_a_label_is_text_whatever_stands_in_it() -> None:
    evil = '$\\frac{1}{0}$ <script>" style="fill: red" id="forest-title'
    root = ET.fromstring(forest(evil))  # noqa: S314 - our own drawing
    texts = [element.text for element in root.iter("text")]
    assert any(text is not None and text.startswith('$\\frac{1}{0}$ <script>" style=') for text in texts)
    assert not list(root.iter("script"))


def test_the_forest_says_every_figure() -> None:
    drawn = forest()
    assert "0.900 (0.880 to 0.920)" in drawn
    assert "Attacks, which ask the model" in drawn
    assert "Blind baselines, which never ask it" in drawn


def test_curves_without_a_look_are_left_out() -> None:
    assert "unknown" not in roc(log=False)


def test_logarithmic_axes_reach_down_to_what_the_non_members_can_show() -> None:
    curve = RocCurve(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    looks = looks_of(["a"], [])
    assert "0.01 %" in roc_chart({"a": curve}, looks, log=True, non_members=3000)
    few = roc_chart({"a": curve}, looks, log=True, non_members=100)
    assert ">1 %" in few
    assert "0.1 %" not in few


def test_a_straight_stretch_is_bent_on_logarithmic_axes() -> None:
    fpr, tpr = _densified(RocCurve(np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.5, 1.0])), 0.001)
    assert len(fpr) > 100
    assert fpr.min() == pytest.approx(0.001)
    assert np.allclose(tpr, 0.5 + 0.5 * fpr)
    fpr, tpr = _densified(RocCurve(np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.0, 1.0])), 0.001)
    assert tpr.min() == 0.001
    assert tpr.max() == 1.0


@pytest.mark.parametrize(
    ("members", "others"),
    [([], []), ([1.0], [1.0]), ([1.0], []), ([np.nan], [np.nan]), ([1e300, -1e300], [0.0]), ([0.0] * 50, [1.0] * 50)],
)
def test_odd_scores_still_make_a_histogram(members: list[float], others: list[float]) -> None:
    drawn = score_histogram(np.array(members, float), np.array(others, float), label="x", threshold=0.5)
    assert drawn.startswith("<svg")


def test_the_histogram_shows_shares_of_each_group() -> None:
    drawn = score_histogram(np.array([0.9, 1.0, 1.0, 1.0]), np.array([0.0, 0.1]), label="x", threshold=None)
    assert "4 members, median score 1;" in drawn
    assert "2 non-members, median score 0.05." in drawn
    assert "threshold" not in drawn
