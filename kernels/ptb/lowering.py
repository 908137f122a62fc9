"""Lower case as Java 17's ``String.toLowerCase`` has it: Unicode 13, and its own idea of where a Greek word ends."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["CASED", "LAST_CHARACTER", "in_words", "in_words_by_unit", "lower", "of_character"]

LAST_CHARACTER: Final = 0x1FFFF
"""No character beyond has a case."""
CASED: Final = 1
LETTER: Final = 2
DIGIT: Final = 4
IN_WORD: Final = 8  # may stand between two letters
IN_NUMBER: Final = 16  # may stand between two digits
IGNORED: Final = 32  # belongs to what it follows

SIGMA: Final = "\u03a3"
FINAL_SIGMA: Final = "\u03c2"

_YOUNG: Final = re.compile(
    "[\u1c89\u2c2f\ua7c0\ua7cb\ua7cc\ua7ce\ua7d0-\ua7dc\U00010570-\U00010595\U00010d50-\U00010d65\U00016ea0-\U00016eb8]"
)
"""Capitals that came after Unicode 13."""
_ALIKE: Final = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xD800, 0xF8FF), (0x10000, 0x10000))
"""Ranges of letters, for speed; surrogates, which are none, are cleared below."""
_JAPANESE: Final = ((0x3005, 0x3005), (0x3041, 0x309E), (0x30A1, 0x30FE), (0x4E00, 0x9FFF), (0xF900, 0xFAFF))
_ALSO_CASED: Final = (
    *((0x02B0, 0x02B8), (0x02C0, 0x02C1), (0x02E0, 0x02E4), (0x0345, 0x0345), (0x037A, 0x037A), (0x1D2C, 0x1D61)),
    *((0x2160, 0x217F), (0x24B6, 0x24E9)),
)
_OF_CATEGORY: Final = {
    **dict.fromkeys(("Lu", "Ll", "Lt"), CASED | LETTER),
    **dict.fromkeys(("Mn", "Me", "Cf"), IGNORED),
    **dict.fromkeys(("Pc", "Pd"), IN_WORD),
    "L": LETTER,
    "Mc": LETTER,
    "N": DIGIT,
}
_IN_WORD: Final = frozenset("\"'.\u00ad\u2027")
_IN_NUMBER: Final = frozenset("\"',.\u066b")


def lower(text: str) -> str:
    """The text in lower case.

    >>> lower("ΟΔΟΣ ΣΟΦΟΣ-ΣΑΣ")
    'οδος σοφοσ-σας'
    """
    if text.isascii():
        return text.lower()
    found = [of_character(character) for character in text]
    for at, character in enumerate(text):
        if character == SIGMA and _ends_word(text, at):
            found[at] = FINAL_SIGMA
    return "".join(found)


def of_character(character: str) -> str:
    """One character in lower case; a sigma as within a word."""
    return character if _YOUNG.match(character) else character.lower()


def in_words(character: str) -> int:
    """What a character is to words, as a sum of ``CASED``, ``LETTER`` ... ``IGNORED``."""
    return int(_in_words()[ord(character)]) if character <= "\uffff" else 0


def in_words_by_unit() -> npt.NDArray[np.uint8]:
    """The same for every 16-bit unit: uint8 [65536]."""
    bits = np.zeros(0x10000, dtype=np.uint8)
    known: dict[str, int] = {}
    for first, last in _ALIKE:
        bits[first : last + 1] = LETTER
    for first, last in ((0, _ALIKE[0][0]), *((before[1] + 1, after[0]) for before, after in pairwise(_ALIKE))):
        categories = list(map(unicodedata.category, map(chr, range(first, last))))
        for kind in set(categories) - set(known):
            known[kind] = _OF_CATEGORY.get(kind, _OF_CATEGORY.get(kind[0], 0))
        bits[first:last] = list(map(known.__getitem__, categories))
    bits[0xD800:0xF900] = 0
    for first, last in _JAPANESE:
        bits[first : last + 1] &= ~LETTER & 0xFF
    for first, last in _ALSO_CASED:
        bits[first : last + 1] |= CASED
    bits[ord("\u00ad")] = 0
    bits[list(map(ord, _IN_WORD))] |= IN_WORD
    bits[list(map(ord, _IN_NUMBER))] |= IN_NUMBER
    return bits


_in_words = cache(in_words_by_unit)


def _ends_word(text: str, sigma: int) -> bool:
    """Whether something cased stands before in the same word, and nothing cased after."""
    at = sigma
    while _joined(text, at) and not in_words(text[at - 1]) & CASED:
        at -= 1
    if not _joined(text, at):
        return False
    for after in range(sigma + 1, len(text)):
        if not _joined(text, after):
            break
        if in_words(text[after]) & CASED:
            return False
    return True


def _joined(text: str, at: int) -> bool:
    """Whether a character belongs to the word before it."""
    if at == 0:
        return False
    if in_words(text[at]) & IGNORED:
        return True
    left = _neighbour(text, at, -1)
    if left is None:
        return False
    here, there = in_words(text[at]) & (LETTER | DIGIT), in_words(text[left]) & (LETTER | DIGIT)
    return bool((here and there) or (there and _inside(text, at)) or (here and _inside(text, left)))


def _inside(text: str, at: int) -> bool:
    left, right = _neighbour(text, at, -1), _neighbour(text, at, 1)
    if left is None or right is None:
        return False
    both = in_words(text[left]) & in_words(text[right])
    kind = in_words(text[at])
    return bool((kind & IN_WORD and both & LETTER) or (kind & IN_NUMBER and both & DIGIT))


def _neighbour(text: str, at: int, step: int) -> int | None:
    at += step
    while 0 <= at < len(text):
        if not in_words(text[at]) & IGNORED:
            return at
        at += step
    return None
