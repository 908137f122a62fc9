import base64
import io
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from m4i_fast.report.riskiest import false_alarms, riskiest, thumbnail
from m4i_fast.types import Generations, Membership, MembershipScores, OverlapScores, Record


def decoded(url: str | None) -> Image.Image:
    assert url is not None
    head, data = url.split(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_the_highest_scores_come_first_and_ties_by_id() -> None:
    scores = MembershipScores("both", ("d", "b", "a", "c", "e"), np.array([0.5, 0.9, 0.5, np.nan, 0.1]))
    rows = riskiest(
        scores,
        [Record("a", "", ("x",)), Record("b", "", ("y",))],
        generations=Generations(
            ("a", "b"), ("says a", ""), np.zeros((2, 0), np.int32), np.zeros(2, np.int32), None, (None, "broken")
        ),
        membership=Membership(("a", "b", "d", "e"), np.array([False, True, False, False])),
        overlap=OverlapScores(("a", "b"), ("bleu_1", "rouge_l"), np.array([[0.1, 0.75], [0.2, np.nan]]), "r"),
        count=3,
    )
    assert [(row.record.id, row.score, row.is_member) for row in rows] == [
        ("b", 0.9, True),
        ("a", 0.5, False),
        ("d", 0.5, False),
    ]
    assert [row.false_alarms for row in rows] == [0, 2, 2]
    assert {row.non_members for row in rows} == {3}
    assert [row.caption for row in rows] == [None, "says a", None]
    assert [row.overlap for row in rows] == [None, 0.75, None]
    assert rows[1].record.references == ("x",)


def test_without_labels_nothing_is_claimed() -> None:
    scores = MembershipScores("both", ("a",), np.array([0.5]))
    (row,) = riskiest(scores, [], generations=None, membership=None, overlap=None, count=9)
    assert (row.is_member, row.false_alarms, row.picture) == (None, None, None)


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0, float("nan")]), st.booleans()), min_size=1, max_size=30),
    st.integers(1, 8),
)
def test_order_and_false_alarms_agree_with_plain_counting(rows: list[tuple[float, bool]], count: int) -> None:
    ids = tuple(f"r{index}" for index in range(len(rows)))
    values = np.array([score for score, _ in rows])
    labels = Membership(ids, np.array([member for _, member in rows]))
    scores = MembershipScores("x", ids, values)
    found = riskiest(scores, [], generations=None, membership=labels, overlap=None, count=count)
    ranked = sorted((-value, id_) for value, id_ in zip(values.tolist(), ids, strict=True) if not np.isnan(value))
    assert [row.record.id for row in found] == [id_ for _, id_ in ranked[:count]]
    others = [score for score, member in rows if not member and not np.isnan(score)]
    for row in found:
        assert row.false_alarms == (sum(score >= row.score for score in others) if others else None)
    assert false_alarms(scores, labels, np.array([0.5]))[1] == len(others)


def test_a_thumbnail_is_small_fresh_and_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010E] = "secret description"
    Image.new("RGB", (640, 320), "red").save(tmp_path / "a.jpg", exif=exif)
    picture = decoded(thumbnail(tmp_path / "a.jpg"))
    assert picture.size == (80, 160)
    assert not picture.getexif()
    assert b"secret" not in base64.b64decode((thumbnail(tmp_path / "a.jpg") or "").split(",")[1])


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16", "I", "F", "YCbCr"])
def test_pictures_of_every_mode_become_rgb(mode: str, tmp_path: Path) -> None:
    path = tmp_path / ("a.jpg" if mode in {"CMYK", "YCbCr"} else "a.tiff" if mode in {"F", "I"} else "a.png")
    picture = Image.new(mode, (8, 8))
    if mode in {"I;16", "I", "F"}:
        picture.putpixel((0, 0), 60_000)
    picture.save(path)
    assert decoded(thumbnail(path)).mode == "RGB"


def test_transparency_becomes_white(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "a.png")
    assert decoded(thumbnail(tmp_path / "a.png")).getpixel((4, 4)) == (255, 255, 255)


def test_sixteen_bits_are_stretched(tmp_path: Path) -> None:
    Image.fromarray(np.array([[1000, 3000]] * 2, np.uint16)).resize((64, 64), 0).save(tmp_path / "a.png")
    picture = decoded(thumbnail(tmp_path / "a.png")).convert("L")
    assert picture.getpixel((4, 4)) < 20
    assert picture.getpixel((60, 4)) > 235


def test_what_is_no_picture_gives_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("<html>")
    Image.new("RGB", (64, 64)).save(tmp_path / "whole.jpg")
    (tmp_path / "half.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:300])
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    os.mkfifo(tmp_path / "fifo.jpg")
    for name in ("absent.jpg", "empty.jpg", "text.jpg", "half.jpg", "loop.jpg", "fifo.jpg", ".", "nul\0.jpg"):
        assert thumbnail(tmp_path / name) is None
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)  # a bomb: more pixels than allowed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # outside of tests a warning is no error
        assert thumbnail(tmp_path / "whole.jpg") is None
