import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m4i_fast.report.csv import cell, write_scores_csv
from m4i_fast.types import Generations, Membership, MembershipScores, OverlapScores, Record


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a dog", "a dog"),
        ("=1+1", "'=1+1"),
        ("=cmd|'/C calc'!A0", "'=cmd|'/C calc'!A0"),
        ("+49 30 123", "'+49 30 123"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("\n=1", "'\n=1"),
        (" =1", "' =1"),
        ("\x00=1", "'=1"),
        ("\x1b[1m=1", "'=1"),
        ("＝1", "'＝1"),
        ("-12.5", "-12.5"),
        ("+7", "+7"),
        ("-1e-3", "-1e-3"),
        ("-١", "'-١"),
        ("", ""),
        ("a=b", "a=b"),
    ],
)
def test_no_cell_can_start_a_formula_and_numbers_stay_numbers(text: str, expected: str) -> None:
    assert cell(text) == expected


@given(st.text(max_size=20))
def test_a_cell_starts_with_no_sign_of_a_formula_unless_it_is_a_number(text: str) -> None:
    made = cell(text)
    if made[:1] in {"=", "+", "-", "@", "\t", "\r"}:
        float(made)


def test_a_line_a_record_with_everything_known_of_it(tmp_path: Path) -> None:
    records = [
        Record("a", "a.jpg", ("x", "y")),
        Record("=b", "b.jpg", (), error="the file is empty"),
        Record("c", "c.jpg", ("z",)),
    ]
    scores = [
        MembershipScores("both", ("c", "a"), np.array([-0.25, 1.5])),
        MembershipScores("fb_mlp", ("a", "=b", "c"), np.array([np.nan, 2.0, np.inf])),
    ]
    generations = Generations(
        ("a", "c"),
        ('a "dog", running', "=HYPERLINK(1)\x1b[31m"),
        np.zeros((2, 0), np.int32),
        np.zeros(2, np.int32),
        None,
        (None, "decoder stopped"),
    )
    overlap = OverlapScores(("a",), ("rouge_l",), np.array([[0.5]]), "r")
    membership = Membership(("a", "=b"), np.array([True, False]))
    path = write_scores_csv(tmp_path / "scores.csv", records, scores, generations, overlap, membership)
    assert path == tmp_path / "scores.csv"
    assert [each.name for each in tmp_path.iterdir()] == ["scores.csv"]
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    # No non-member has a score of 'both': there is no rate.
    judged = ["score:both", "score:fb_mlp", "fpr:fb_mlp"]
    assert rows == [
        ["id", "is_member", *judged, "rouge_l", "generated", "references", "error"],
        ["a", "true", "1.5", "", "", "0.5", 'a "dog", running', "2", ""],
        ["'=b", "false", "", "2.0", "1.0", "", "", "0", "the file is empty"],
        ["c", "", "-0.25", "", "", "", "'=HYPERLINK(1)", "1", "decoder stopped"],
    ]


def test_the_rate_at_which_a_record_would_be_called(tmp_path: Path) -> None:
    ids = ("a", "b", "c", "d", "e", "f")
    scores = MembershipScores("x", ids, np.array([0.9, 0.5, 0.5, 0.1, np.nan, 0.4]))
    labels = Membership(ids, np.array([True, True, False, False, True, False]))
    path = write_scores_csv(tmp_path / "s.csv", [Record(each, "") for each in ids], [scores], membership=labels)
    with path.open(encoding="utf-8", newline="") as file:
        rates = [row["fpr:x"] for row in csv.DictReader(file)]
    assert [rate and round(float(rate), 3) for rate in rates] == [0.0, 0.333, 0.333, 1.0, "", 0.667]


def test_scores_alone_are_enough(tmp_path: Path) -> None:
    write_scores_csv(tmp_path / "s.csv", [Record("a", "")], [MembershipScores("both", ("a",), np.array([0.1]))])
    assert (tmp_path / "s.csv").read_text() == "id,score:both,generated,references,error\na,0.1,,0,\n"


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("old")
    with pytest.raises(ValueError, match=r"shorter|longer"):
        write_scores_csv(path, [], [MembershipScores("both", ("a", "b"), np.array([0.1]))])
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["scores.csv"]
