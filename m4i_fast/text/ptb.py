"""The PTB tokeniser that pycocoevalcap runs in Java, without Java, exact or repaired."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from m4i_fast.errors import DataError
from m4i_fast.kernels.backend import ptb_lines
from m4i_fast.kernels.texts import as_tuple, kind_of, plain_text

__all__ = ["ptb_document", "ptb_tokenise"]


def ptb_tokenise(captions: Sequence[str], *, repaired: bool = False) -> list[str]:
    r"""The tokens of captions in lower case, joined by blanks; pycocoevalcap's list of punctuation is left out.

    Exact: what ``PTBTokenizer().tokenize`` of pycocoevalcap gives for these captions in this order, to the last
    character. It makes one document of them, a caption a line, and so has two faults. A caption that holds another end
    of a line (U+000B, U+000C, U+000D, U+2028, U+2029) moves all captions after it by one: each then gets its
    predecessor's text, and the last ones fall off. And a rule that looks ahead looks into the next caption: the ``B.``
    at the end of ``Plan B.`` loses its full stop where the next caption begins with ``The``, and keeps it elsewhere.

    Repaired: each caption by itself; every end of a line in it parts tokens, as a blank does. That is the same wherever
    neither fault shows.

    Args:
        captions: N texts; ``\n`` in them counts as a blank, as in pycocoevalcap.
        repaired: without the two faults.

    Returns:
        N lines.

    Raises:
        DataError: something is not a string, or exact and holds a lone surrogate, which pycocoevalcap cannot write to
            its file (says which).
        ConfigError: ``M4I_FAST_KERNELS`` is wrong.

    >>> ptb_tokenise(["A dog's ball, isn't it?", "Two\u2028lines (here).", "The last."])
    ["a dog 's ball is n't it", 'two', 'lines -lrb- here -rrb-']
    >>> ptb_tokenise(["Two\u2028lines (here).", "The last."], repaired=True)
    ['two lines -lrb- here -rrb-', 'the last']
    """
    rows = as_tuple(captions, "captions")
    try:
        return ptb_lines(rows, as_document=not repaired)
    except (AttributeError, TypeError, ValueError):
        _check(rows)
        return ptb_lines(tuple(map(plain_text, rows)), as_document=not repaired)


def ptb_document(texts: tuple[str, ...], place: Callable[[int], str]) -> list[str]:
    """As ``ptb_tokenise``, exact, for plain strings; errors say ``place(i)``, where the caller has the i-th from.

    Raises:
        DataError: a text holds a lone surrogate.
    """
    try:
        return ptb_lines(texts, as_document=True)
    except ValueError:
        bad = next((i for i, text in enumerate(texts) if _has_surrogate(text)), None)
        if bad is None:
            raise
        raise DataError(
            "the text holds a lone surrogate, which UTF-8 cannot write",
            where=place(bad),
            cure="Repair it, or take the recipe coco/ptb.",
        ) from None


def _check(captions: tuple[object, ...]) -> None:
    for i, caption in enumerate(captions):
        if not isinstance(caption, str):
            raise DataError(
                f"the caption is {kind_of(caption)}, not a string",
                where=f"captions[{i}]",
                cure="Leave it out, or give an empty one.",
            )
        if _has_surrogate(caption):
            raise DataError(
                "the caption holds a lone surrogate, which UTF-8 cannot write",
                where=f"captions[{i}]",
                cure="Repair the text, or take repaired=True.",
            )


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
