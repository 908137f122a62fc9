"""Texts that are not ASCII: the C++ core tokenises them by itself, and must give Python's tokens on every character."""

from __future__ import annotations

import random
import sys
import unicodedata
from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m4i_fast.kernels import backend
from m4i_fast.kernels.numbering import Numbering
from m4i_fast.kernels.tokens import TOKENISERS
from tests.kernels.test_tokens import assert_agree, statistics

CORES = tuple(name for name in backend.built_backends() if name in backend.CORES)
NATIVE = tuple(name for name in TOKENISERS if name != "ptb")  # see test_ptb.py
TOGETHER = 64  # characters of a text
BEYOND = 0x20000  # the first two planes have all that is not like its neighbours

pytestmark = pytest.mark.skipif(not CORES, reason="the C++ core is not built: Python tokenises, which is the truth")


def ids_of(texts: Iterable[str], tokeniser: str) -> list[int]:
    """Python's tokens as numbers, in order of appearance."""
    known: dict[str, int] = {}
    split = TOKENISERS[tokeniser].ngrams
    return [known.setdefault(token, len(known)) for text in texts for token in split(text)]


def ids_on(core: str, texts: list[str], tokeniser: str) -> list[int]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("M4I_FAST_KERNELS", core)
        ids: list[int] = Numbering(tokeniser).ids(texts).ids.tolist()
        return ids


def assert_same_tokens(texts: list[str], tokeniser: str) -> None:
    expected = ids_of(texts, tokeniser)
    for core in CORES:
        found = ids_on(core, texts, tokeniser)
        if found != expected:  # pytest would compare millions of numbers one by one
            wrong = next(text for text in texts if ids_on(core, [text], tokeniser) != ids_of([text], tokeniser))
            pytest.fail(f"{core}, {tokeniser}: {wrong!r}")


def every_character(last: int) -> list[str]:
    """Each code point up to ``last`` alone and between letters."""
    points = range(last + 1)
    return [
        " ".join(f"x{c}y {c}" for c in map(chr, points[first : first + TOGETHER]))
        for first in range(0, len(points), TOGETHER)
    ]


@pytest.mark.parametrize("tokeniser", NATIVE)
def test_every_character_is_what_it_is_in_python(tokeniser: str) -> None:
    # porter reads characters as rouge-score does, coco-space as whitespace does, and all cores read them alike.
    texts = every_character(BEYOND if tokeniser in {"porter", "coco-space"} else sys.maxunicode)
    expected = np.array(ids_of(texts, tokeniser))
    np.testing.assert_array_equal(np.array(ids_on(CORES[0], texts, tokeniser)), expected)
    texts = texts[: BEYOND // TOGETHER]
    expected = np.array(ids_of(texts, tokeniser))
    for core in CORES[1:]:
        np.testing.assert_array_equal(np.array(ids_on(core, texts, tokeniser)), expected, err_msg=core)


def test_every_character_beside_a_capital_sigma() -> None:
    """Such a text is in lower case before the core looks at it, and lower case must stay lower case."""
    texts = [f"{text} \u0391\u03a3" for text in every_character(BEYOND)]
    np.testing.assert_array_equal(np.array(ids_on(CORES[0], texts, "words")), np.array(ids_of(texts, "words")))


def pairs_that_compose() -> Iterator[str]:
    for point in range(sys.maxunicode + 1):
        parts = unicodedata.decomposition(chr(point))
        if parts and not parts.startswith("<"):
            yield "".join(chr(int(part, 16)) for part in parts.split())
    for syllable in range(0xAC00, 0xD7A4, 5):
        yield unicodedata.normalize("NFD", chr(syllable))
        yield unicodedata.normalize("NFC", unicodedata.normalize("NFD", chr(syllable))[:2]) + "\u11ab"


def test_whatever_composes_is_composed() -> None:
    """One text each: the core asks for NFC text by text, by the characters it holds."""
    texts = list(pairs_that_compose())
    assert len(texts) > 2000
    assert unicodedata.normalize("NFC", "e\u0301") in map(unicodedata.normalize, ["NFC"] * len(texts), texts)
    assert_same_tokens(texts + [chr(point) for point in range(0x80, 0x30000)], "words")


@pytest.mark.parametrize(
    ("tokeniser", "text", "tokens"),
    [
        ("words", "ΟΔΟΣ ΣΟΦΟΣ Σ", "οδος σοφος σ"),
        ("words", "ΑΣ. Α.Σ ΑΣ'Α ΑΣ\u2019Α \u2019Σ 'Σ", "ας α ς ασ'α ασ'α σ σ"),
        ("words", "Α\u00adΣ ΑΣ\u0301 ΑΣ\u0301Α \u2019ΑΣ\u2019", "α ς ας ασ α ας"),
        ("words", "ΑΣ1 1Σ ΑΣΣ ΣΑ ÉΣ\u0130Σ", "ας1 1σ ασς σα éσi ς"),
        ("words", "\u0130STANBUL d\u0130k \u0130'a a'\u0130", "i stanbul di k i a a'i"),
        ("words", "\u212aelvin \u212bngstr\u00d6m 5\u2126", "kelvin ångström 5ω"),
        ("words", "don\u2019t \u2019tis dogs\u2019 caf\u00e9\u2019s \u72d7\u2019\u72d7", "don't tis dogs café's 狗'狗"),
        (
            "words",
            "STRASSE Stra\u00dfe \u1e9e \u01c5 \ufb01 \u00b2 \u00bd \u2163 \u0663",
            "strasse straße ß ǆ ﬁ ² ½ ⅳ ٣",
        ),
        ("words", "हिन्दी ไทย שָׁלוֹם الكَلب", "ह न द ไทย ש לו ם الك لب"),
        ("words", "👩\u200d🚀a ❤\ufe0f 犬は走る。カﾂ", "a 犬は走る カﾂ"),
        ("words", "x\ud800y \udc00É", "x y é"),
        ("words", "naïve\u00a0na\u0308\u0131ve\u3000NA\u00cfVE", "naïve nä\u0131ve naïve"),
        ("rouge-score", "\u0130x \u212a\u212b caf\u00e9s Ж1 \ud8002", "i x k caf s 1 2"),
        ("porter", "\u0130running walk\u212aing caf\u00e9 \u72d7dogs\u72d7", "i run walk caf dog"),
        ("whitespace", "\u3000É\u2028b\x85c\x1cd\u00a0e\u200bf\ufeff", "É b c d e\u200bf\ufeff"),
        ("coco-space", "É\u00a0b 狗\u2009\U0001f415", "É b 狗 \U0001f415"),
        (
            "13a",
            "«Où?» 3,5€ é.5 5.é 5-é \u0663.5 狗、犬。x\u3000.",
            "«Où ? » 3,5€ é . 5 5 . é 5 - é \u0663 . 5 狗、犬。x .",
        ),
        ("13a", "..é.. 1..2é 3.,4 ½-5 5-", ". . é . . 1 . . 2é 3 . , 4 ½-5 5 -"),
        ("13a", "é &amp;&lt;<skipped> a-\nÉ \n", "é & < aÉ"),
    ],
)
def test_tokens_by_hand(tokeniser: str, text: str, tokens: str) -> None:
    assert TOKENISERS[tokeniser].ngrams(text) == tokens.split(" ")
    assert_same_tokens([text], tokeniser)
    # Texts of one, two and four bytes a character hold equal tokens.
    assert_same_tokens([text + more for more in ("", " é", " 狗", " \U0001f415", " é 狗 \U0001f415")], tokeniser)


def test_split_at_spaces_keeps_other_white_space() -> None:
    said = ["é\u00a0b  狗\u3000犬", "a\u2028b \ud800", "\u00a0", "é é"]
    for core in CORES:
        counts = statistics(core, said, [[text, "é", "é\tb  狗", "b \ud800"] for text in said], "coco-space")
        assert counts.hypothesis_length.tolist() == [4, 3, 0, 2]
        assert counts.hypothesis_length_lcs.tolist() == [3, 2, 1, 2]
        assert counts.lcs.tolist() == [3, 0, 1, 0, 2, 0, 0, 1, 1, 0, 0, 0, 2, 1, 0, 0]
        assert counts.matches[:, 0].tolist() == [4, 1, 3, 1, 3, 0, 1, 2, 0, 0, 0, 0, 2, 1, 1, 0]


def test_other_white_space_alone_makes_no_single_spaces() -> None:
    """As far as str.split() goes these tokens stand one space apart."""
    for core in CORES:
        counts = statistics(core, ["a\u2028b é"], [["a\u2028b é", "a b é"]], "coco-space")
        assert counts.hypothesis_length_lcs.tolist() == [2]
        assert counts.lcs.tolist() == [2, 1]
        assert counts.matches[:, 0].tolist() == [3, 3]


ALPHABETS = (
    "abcdefgh ABC ' \u2019",
    "éàüßÉÀÜñ a'",
    "абвгджзАБВГДЖЗ \u2019",
    "ΑΒΓΣσςαβγ .'",
    "狗犬人在跑步。、\u3000 ",
    "하나둘셋개고양이 ",
    "हिन्दीकुत्ता ",
    "🐕🐈👍🏽\u200d ",
    ".,5-é &1狗",
    "\x00\ud800\udfff\u2028\x85 a",
)


@pytest.mark.parametrize("tokeniser", NATIVE)
def test_long_texts_of_many_scripts(tokeniser: str) -> None:
    """Tokens and characters lie across the ends of blocks wherever they can."""
    rng = random.Random(64)
    texts = []
    for size in [*range(1, 140), 1000, 5000]:
        alphabet = "".join(rng.sample(ALPHABETS, rng.randint(1, 3)))
        longest = rng.choice([3, 9, 40])
        words = ("".join(rng.choices(alphabet, k=rng.randint(1, longest))) for _ in range(size))
        texts.append(" ".join(words)[:size])
    assert_same_tokens(texts, tokeniser)


anything = st.text(st.characters(exclude_categories=()), max_size=40)
mixed = st.lists(st.sampled_from([*"".join(ALPHABETS), "\u0130", "\u212a", "\u0301", "<skipped>", "-\n"]) | anything)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(mixed.map("".join), st.lists(mixed.map("".join), max_size=3)), max_size=3))
def test_backends_agree_on_any_characters(records: list[tuple[str, list[str]]]) -> None:
    for tokeniser in TOKENISERS:
        assert_agree([said for said, _ in records], [row for _, row in records], tokeniser, one_in=64)
