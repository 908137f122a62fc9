"""The tokenisers, defined. The C++ core repeats them, and asks this file where ``13a`` replaces parts of a text.

``words``
    NFC, lower case, runs of Unicode letters and digits; one apostrophe between two of them stays inside the word
    (``don't``; the typographic apostrophe counts as the plain one). Signs and combining marks part words.
``rouge-score``
    As the package rouge-score 0.1.2 without its stemmer: lower case, runs of ``[a-z0-9]``.
``porter``
    The same with it: Porter's stemmer as in nltk, on tokens of more than three letters.
``whitespace``
    ``str.split()``; the case is kept.
``coco-space``
    What pycocoevalcap does with text that was tokenised before: ROUGE-L splits at single spaces (so ``""`` is one
    token, and two spaces hold an empty one), n-grams come from ``str.split()``; the case is kept.
``13a``
    As sacrebleu's: the tokeniser of NIST's mteval-v13a. ``<skipped>`` goes, a hyphen at a line's end joins the lines,
    ``&quot; &amp; &lt; &gt;`` become their signs. ASCII signs stand alone but for the apostrophe; points and commas
    but between digits; a hyphen only after a digit. The case is kept.
``ptb``
    The tokeniser that pycocoevalcap runs in Java, without Java: lower case, its punctuation left out, each text by
    itself; then as ``coco-space``. See ``m4i_fast.kernels.ptb``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from m4i_fast.kernels.porter import stem

__all__ = ["TOKENISERS", "Tokeniser", "words"]

_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_ROUGE_TOKEN: Final = re.compile(r"[a-z0-9]+")
_SIGN: Final = re.compile(r"[!-&(-+/:-@\[-`{-~]")
_POINTS: Final = re.compile(r"[.,]+")
_DIGITS: Final = frozenset("0123456789")
_HYPHEN: Final = re.compile(r"(?<=[0-9])-")
_REPLACED: Final = (
    *(("<skipped>", ""), ("-\n", ""), ("\n", " ")),
    *(("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")),
)


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
        encode: a text as the core wants it where it does not read it itself: its tokens (of ``porter``, not yet
            stemmed) joined by spaces, or (where the core splits at white space itself) the text; UTF-8 with lone
            surrogates passed through.
    """

    name: str
    number: int
    ngrams: Callable[[str], list[str]]
    subsequence: Callable[[str], list[str]]
    encode: Callable[[str], bytes]


def _rouge_tokens(text: str) -> list[str]:
    return _ROUGE_TOKEN.findall(text.lower())


def _porter_tokens(text: str) -> list[str]:
    return [stem(token) if len(token) > 3 else token for token in _rouge_tokens(text)]


def _split_spaces(text: str) -> list[str]:
    return text.split(" ")


def _points_apart(match: re.Match[str]) -> str:
    """A run of points and commas with spaces between; mteval takes them in pairs and so may miss the last one."""
    run, text = match[0], match.string
    after_digit = text[match.start() - 1 : match.start()] in _DIGITS
    before_digit = text[match.end() : match.end() + 1] in _DIGITS
    if before_digit and after_digit == (len(run) % 2 == 1):
        return f" {' '.join(run)}" if len(run) > 1 else run
    return f" {' '.join(run)} "


def _mteval_13a(text: str) -> list[str]:
    text = text.rstrip()
    for old, new in _REPLACED:
        text = text.replace(old, new)
    text = _SIGN.sub(r" \g<0> ", text)
    text = _POINTS.sub(_points_apart, text)
    return _HYPHEN.sub(" - ", text).split()


@lru_cache(maxsize=1 << 12)
def _ptb(text: str) -> str:
    from m4i_fast.kernels.ptb.truth import alone  # rarely wanted

    return alone(text)


def _ptb_tokens(text: str) -> list[str]:
    return _ptb(text).split()


def _ptb_steps(text: str) -> list[str]:
    return _ptb(text).split(" ")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _bytes_of_words(text: str) -> bytes:
    return _bytes(" ".join(words(text)))


def _bytes_of_rouge_tokens(text: str) -> bytes:
    return _bytes(" ".join(_rouge_tokens(text)))


def _bytes_of_13a(text: str) -> bytes:
    return _bytes(" ".join(_mteval_13a(text)))


TOKENISERS: Final = {
    tokeniser.name: tokeniser
    for tokeniser in (
        Tokeniser("words", 0, words, words, _bytes_of_words),
        Tokeniser("rouge-score", 1, _rouge_tokens, _rouge_tokens, _bytes_of_rouge_tokens),
        Tokeniser("whitespace", 2, str.split, str.split, _bytes),
        Tokeniser("coco-space", 3, str.split, _split_spaces, _bytes),
        Tokeniser("13a", 4, _mteval_13a, _mteval_13a, _bytes_of_13a),
        Tokeniser("porter", 5, _porter_tokens, _porter_tokens, _bytes_of_rouge_tokens),
        Tokeniser("ptb", 6, _ptb_tokens, _ptb_steps, _bytes),
    )
}
"""By name."""
