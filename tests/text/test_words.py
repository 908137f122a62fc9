"""The word tokeniser."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from m4i_fast.text.words import words


def test_words_by_hand() -> None:
    assert words("A man's dog (brown) runs, doesn't it?") == ["a", "man's", "dog", "brown", "runs", "doesn't", "it"]
    assert words("") == []
    assert words("...!?") == []
    assert words("ÉTÉ naïve Straße 2nd") == ["été", "naïve", "straße", "2nd"]


@given(st.text())
def test_words_hold_only_letters_digits_and_inner_apostrophes(text: str) -> None:
    for word in words(text):
        assert re.fullmatch(r"[^\W_]+('[^\W_]+)*", word)


@given(st.text())
def test_words_of_joined_words_are_the_same(text: str) -> None:
    once = words(text)
    assert words(" ".join(once)) == once
