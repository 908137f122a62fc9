"""A picture's place as one text: nothing is mistaken for anything else, and every name survives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m4i_fast.data.locators import Cell, Member, Whole, format_locator, is_local_file, is_url, parse_locator

# File names: any characters but NUL, and bytes that are not UTF-8 as the surrogates that Python makes of them.
names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
raw_names = st.binary(min_size=1).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
numbers = st.integers(0, 10**18 - 1)


@pytest.mark.parametrize(
    ("text", "locator"),
    [
        ("/photos/a#1@2.jpg", Whole("/photos/a#1@2.jpg")),
        ("photos/100%.jpg", Whole("photos/100%.jpg")),
        ("s3://b/k#1.jpg", Whole("s3://b/k#1.jpg")),
        ("/tar:x#y@1+2", Whole("/tar:x#y@1+2")),
        ("./tar:x#y@1+2", Whole("./tar:x#y@1+2")),
        ("tar:photo.jpg", Whole("tar:photo.jpg")),
        ("tar:x#y@1+", Whole("tar:x#y@1+")),
        ("tar:x#y@-1+2", Whole("tar:x#y@-1+2")),
        ("tar:x#y@1+" + "9" * 19, Whole("tar:x#y@1+" + "9" * 19)),
        ("tar:x#y#z@1+2", Whole("tar:x#y#z@1+2")),
        ("tar:/d/s.tar#a/7.jpg@512+1024", Member("/d/s.tar", "a/7.jpg", 512, 1024)),
        ("tar:s3://b/s%23.tar#me@home@3+4", Member("s3://b/s#.tar", "me@home", 3, 4)),
        ("parquet:/d/t%25.parquet#image@17", Cell("/d/t%.parquet", "image", 17)),
        ("parquet:/d/t.parquet#image", Whole("parquet:/d/t.parquet#image")),
    ],
)
def test_what_a_text_means(text: str, locator: object) -> None:
    assert parse_locator(text) == locator


def test_how_it_is_written() -> None:
    assert format_locator(Member("/d/50%.tar", "a#b/7.jpg", 512, 9)) == "tar:/d/50%25.tar#a%23b/7.jpg@512+9"
    assert format_locator(Member("/é.tar", "\n\udcff", 0, 1)) == "tar:/é.tar#%0A%FF@0+1"
    assert format_locator(Cell("hf://datasets/a/b@main/t.parquet", "img", 3)) == (
        "parquet:hf://datasets/a/b@main/t.parquet#img@3"
    )


@given(names | raw_names, names | raw_names, numbers, numbers)
def test_member_and_cell_come_back(container: str, name: str, offset: int, length: int) -> None:
    for locator in (Member(container, name, offset, length), Cell(container, name, offset)):
        text = format_locator(locator)
        assert parse_locator(text) == locator
        assert text.encode()  # it goes into Parquet, which holds Unicode alone
        assert not is_local_file(text)


@given(names)
def test_absolute_path_is_a_file(name: str) -> None:
    assert parse_locator("/" + name) == Whole("/" + name)
    assert is_local_file("/" + name)


def test_urls() -> None:
    assert is_url("s3://b")
    assert is_url("HTTPS://x")
    assert is_url("a+b.c-d://")
    assert not is_url("/s3://b")
    assert not is_url("s3:/b")
    assert not is_url("C:\\x")
    assert not is_local_file("s3://b/a.jpg")
    assert is_local_file("a.jpg")
    assert is_local_file("tar:a.jpg")
