"""Porter's stemmer: by hand, as nltk's on any word, and the core's as Python's."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.stem.porter import PorterStemmer

from m4i_fast.kernels.backend import built_backends, overlap_statistics
from m4i_fast.kernels.porter import stem

THEIRS = PorterStemmer()
PARTS = re.findall(
    r"\w+",
    "sky dy ly ty news inning out cann how proc exc succ y yy ay oy s ss sses ies ied eed ed ing at bl iz ll tt zz "
    "ational tional enci anci izer bli abli alli entli eli ousli ization ation ator alism iveness fulness ousness "
    "aliti iviti biliti fulli logi icate ative alize iciti ical ful ness al ance ence er ic able ible ant ement "
    "ment ent ion sion tion ou ism ate iti ous ive ize e w x b tr ee 7 42 a geo run hop",
)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("caresses", "caress"),
        ("ponies", "poni"),
        ("dies", "die"),
        ("cats", "cat"),
        ("agreed", "agre"),
        ("feed", "feed"),
        ("died", "die"),
        ("spied", "spi"),
        ("hopping", "hop"),
        ("hoping", "hope"),
        ("falling", "fall"),
        ("sing", "sing"),
        ("happy", "happi"),
        ("enjoy", "enjoy"),
        ("rationalli", "ration"),
        ("geologi", "geolog"),
        ("adoption", "adopt"),
        ("controll", "control"),
        ("dying", "die"),
        ("skies", "sky"),
        ("by", "by"),
        ("", ""),
        ("3rd", "3rd"),
    ],
)
def test_by_hand(word: str, expected: str) -> None:
    assert stem(word) == expected


def words() -> list[str]:
    chance = random.Random(5)
    made = {"".join(chance.choices(PARTS, k=chance.randint(1, 4))) for _ in range(20_000)}
    return sorted(made | set(PARTS) | {f"{a}{b}" for a in PARTS for b in PARTS})


def test_as_nltk_on_words_made_of_what_its_rules_look_for() -> None:
    for word in words():
        assert stem(word) == THEIRS.stem(word), word


@settings(max_examples=500, deadline=None)
@given(st.text("aeiouybdglnrstz7", max_size=12))
def test_as_nltk_on_any_word(word: str) -> None:
    assert stem(word) == THEIRS.stem(word)


def test_the_core_stems_as_python_does() -> None:
    """A word's stem must match itself in full, and no other's unless Python says so."""
    made = [word for word in words() if word.isalnum()]
    expected = [stem(word) if len(word) > 3 else word for word in made]
    stems = [[each] for each in expected]
    for name in built_backends():
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M4I_FAST_KERNELS", name)
            mine = overlap_statistics(made, [[word] for word in made[1:] + made[:1]], tokeniser="porter")
            pythons = overlap_statistics(expected, stems[1:] + stems[:1], tokeniser="whitespace")
            # Stemmed by the core, beside the stem itself wherever that is not stemmed further.
            fixed = [row for row, each in enumerate(expected) if len(each) <= 3 or stem(each) == each]
            own = overlap_statistics([made[row] for row in fixed], [stems[row] for row in fixed], tokeniser="porter")
        assert mine.lcs.tolist() == pythons.lcs.tolist(), name
        assert own.lcs.tolist() == [1] * len(fixed), name


def test_a_very_long_word() -> None:
    word = "y" * 100_000 + "ing"
    own = THEIRS.stem(word)
    assert THEIRS.stem(own) == own
    for name in set(built_backends()) - {"reference", "rapidfuzz"}:  # these go letter by letter, several times
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M4I_FAST_KERNELS", name)
            counts = overlap_statistics([word, word], [[own], [own[:-2]]], tokeniser="porter")
        assert counts.lcs.tolist() == [1, 0], name
