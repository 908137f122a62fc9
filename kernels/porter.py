"""Porter's stemmer (Program 14, 1980) with the changes that nltk's default mode makes to it: the slow definition.

A letter is a consonant unless it is a, e, i, o, u, or a y after a consonant. The measure of a stem counts how often a
consonant follows a vowel in it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

__all__ = ["stem"]

_IRREGULAR: Final = {
    "sky": "sky",
    "skies": "sky",
    "dying": "die",
    "lying": "lie",
    "tying": "tie",
    **{form: form for form in ("news", "inning", "outing", "canning", "howe", "proceed", "exceed", "succeed")},
    **{f"{form}s": form for form in ("inning", "outing", "canning")},
}


def _rules(text: str) -> tuple[tuple[str, str], ...]:
    """Suffix and replacement, in the order in which they are tried: the first suffix that fits decides."""
    suffixes = (rule.partition(">") for rule in text.split())
    return tuple((suffix, replacement) for suffix, _, replacement in suffixes)


_STEP_2: Final = _rules(
    "ational>ate tional>tion enci>ence anci>ance izer>ize bli>ble alli>al entli>ent eli>e ousli>ous ization>ize "
    "ation>ate ator>ate alism>al iveness>ive fulness>ful ousness>ous aliti>al iviti>ive biliti>ble fulli>ful"
)
_STEP_3: Final = _rules("icate>ic ative> alize>al iciti>ic ical>ic ful> ness>")
_STEP_4: Final = _rules(
    "al> ance> ence> er> ic> able> ible> ant> ement> ment> ent> ion> ou> ism> ate> iti> ous> ive> ize>"
)


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """The stem of a lower-case word; words of one or two letters are their own.

    >>> [stem(word) for word in ("running", "happily", "relational", "dies", "skies", "oed")]
    ['run', 'happili', 'relat', 'die', 'sky', 'o']
    """
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) <= 2:
        return word
    for step in (_plural, _past, _final_y, _step_2, _step_3, _step_4, _final_e, _double_l):
        word = step(word)
    return word


def _kinds(word: str) -> str:
    kinds = ""
    for letter in word:
        vowel = letter in "aeiou" or (letter == "y" and kinds[-1:] == "c")
        kinds += "v" if vowel else "c"
    return kinds


def _measure(word: str) -> int:
    return _kinds(word).count("vc")


def _is_short(word: str) -> bool:
    """Ends consonant, vowel, consonant other than w, x, y; or is a vowel and a consonant."""
    kinds = _kinds(word)
    return kinds == "vc" or (kinds.endswith("cvc") and word[-1] not in "wxy")


def _plural(word: str) -> str:
    if word.endswith("ies"):
        return word[: -1 if len(word) == 4 else -2]
    if word.endswith("sses"):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _past(word: str) -> str:
    if word.endswith("ied"):
        return word[: -1 if len(word) == 4 else -2]
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    for suffix in ("ed", "ing"):
        rest = word.removesuffix(suffix)
        if rest != word and "v" in _kinds(rest):
            return _mended(rest)
    return word


def _mended(word: str) -> str:
    """The end of a word that has lost its -ed or -ing."""
    if word.endswith(("at", "bl", "iz")):
        return word + "e"
    if word[-2:-1] == word[-1] and _kinds(word)[-1] == "c":
        return word if word[-1] in "lsz" else word[:-1]
    return word + "e" if _measure(word) == 1 and _is_short(word) else word


def _final_y(word: str) -> str:
    after_consonant = len(word) > 2 and _kinds(word[:-1])[-1] == "c"
    return word[:-1] + "i" if word.endswith("y") and after_consonant else word


def _step_2(word: str) -> str:
    if word.endswith("alli") and _measure(word[:-4]) > 0:
        return _step_2(word[:-2])
    if any(word.endswith(suffix) for suffix, _ in _STEP_2):
        return _by_rule(word, _STEP_2)
    return word[:-1] if word.endswith("logi") and _measure(word[:-3]) > 0 else word


def _step_3(word: str) -> str:
    return _by_rule(word, _STEP_3)


def _by_rule(word: str, rules: tuple[tuple[str, str], ...]) -> str:
    for suffix, replacement in rules:
        if word.endswith(suffix):
            rest = word.removesuffix(suffix)
            return rest + replacement if _measure(rest) > 0 else word
    return word


def _step_4(word: str) -> str:
    for suffix, _ in _STEP_4:
        if word.endswith(suffix):
            rest = word.removesuffix(suffix)
            fits = _measure(rest) > 1 and (suffix != "ion" or rest[-1] in "st")
            return rest if fits else word
    return word


def _final_e(word: str) -> str:
    if not word.endswith("e"):
        return word
    measure = _measure(word[:-1])
    return word[:-1] if measure > 1 or (measure == 1 and not _is_short(word[:-1])) else word


def _double_l(word: str) -> str:
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word
