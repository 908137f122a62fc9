"""The tokenisers, defined. The C++ core repeats them for ASCII and asks this file about everything else.

``words``
    NFC, lower case, runs of Unicode letters and digits; one apostrophe between two of them stays inside the word
    (``don't``; the typographic apostrophe counts as the plain one). Signs and combining marks part words.
``rouge-score``
    As the package rouge-score 0.1.2 without its stemmer: lower case, runs of ``[a-z0-9]``.
``whitespace``
    ``str.split()``; the case is kept.
``coco-space``
    What pycocoevalcap does with text that was tokenised before: ROUGE-L splits at single spaces (so ``""`` is one
    token, and two spaces hold an empty one), n-grams come from ``str.split()``; the case is kept.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

__all__ = ["TOKENISERS", "Tokeniser", "words"]

_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_ROUGE_TOKEN: Final = re.compile(r"[a-z0-9]+")


def words(text: str) -> list[str]:
    """The lower-case words of a text: runs of Unicode letters and digits, apostrophes only inside.

    >>> words("The dog's ball -- it isn't RED!")
    ['the', "dog's", 'ball', 'it', "isn't", 'red']
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text).replace("\u2019", "'")
    return _WORD.findall(text.lower())


@dataclass(frozen=True, slots=True)
class Tokeniser:
    """One way from text to tokens.

    Attributes:
        name: as users and signatures write it.
        number: as the C++ core knows it.
        ngrams: tokens for n-grams and lengths.
        subsequence: tokens for the longest common subsequence.
        encode: a text that is not ASCII, as the core wants it: its tokens joined by spaces, or (where the core splits
            at white space itself) the text; UTF-8 with lone surrogates passed through.
    """

    name: str
    number: int
    ngrams: Callable[[str], list[str]]
    subsequence: Callable[[str], list[str]]
    encode: Callable[[str], bytes]


def _rouge_tokens(text: str) -> list[str]:
    return _ROUGE_TOKEN.findall(text.lower())


def _split_spaces(text: str) -> list[str]:
    return text.split(" ")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _bytes_of_words(text: str) -> bytes:
    return _bytes(" ".join(words(text)))


def _bytes_of_rouge_tokens(text: str) -> bytes:
    return _bytes(" ".join(_rouge_tokens(text)))


TOKENISERS: Final = {
    tokeniser.name: tokeniser
    for tokeniser in (
        Tokeniser("words", 0, words, words, _bytes_of_words),
        Tokeniser("rouge-score", 1, _rouge_tokens, _rouge_tokens, _bytes_of_rouge_tokens),
        Tokeniser("whitespace", 2, str.split, str.split, _bytes),
        Tokeniser("coco-space", 3, str.split, _split_spaces, _bytes),
    )
}
"""By name."""
