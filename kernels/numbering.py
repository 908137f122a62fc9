"""Texts as numbers: what ``kernels.ids`` works on."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

from m4i_fast.errors import DataError
from m4i_fast.kernels import backend
from m4i_fast.kernels.ids import TokenIds
from m4i_fast.kernels.texts import as_rows, kind_of, plain_text

__all__ = ["Numbering"]


class Numbering:
    """Tokens of texts as numbers, from 0 in order of appearance; the same token has the same number in every call.

    Args:
        tokeniser: a name in ``kernels.tokens.TOKENISERS``; of ``coco-space`` and ``ptb`` the tokens of their n-grams.

    Raises:
        ConfigError: no such tokeniser, or ``M4I_FAST_KERNELS`` is wrong.

    >>> numbering = Numbering()
    >>> numbering.ids(["a dog runs", "A cat runs"]).ids.tolist()
    [0, 1, 2, 0, 3, 2]
    >>> len(numbering)
    4
    """

    def __init__(self, tokeniser: str = "words") -> None:
        self._splitter = backend.tokeniser_named(tokeniser)
        self._lock = Lock()
        self._known: dict[str, int] = {}
        self._core: Any = None
        core = backend.host_core()
        if core is not None:
            self._core = core.Numbering(
                backend.told(core, self._splitter), self._splitter.encode, backend.host_machine()
            )

    def __len__(self) -> int:
        """How many distinct tokens there were."""
        return len(self._known) if self._core is None else len(self._core)

    def ids(self, texts: Sequence[str]) -> TokenIds:
        """Number N texts.

        Raises:
            DataError: something is not a string (says which).
        """
        rows = as_rows(texts, "texts")
        for i, text in enumerate(rows):
            if not isinstance(text, str):
                raise DataError(
                    f"the text is {kind_of(text)}, not a string",
                    where=f"texts[{i}]",
                    cure="Leave it out, or give an empty one.",
                )
        rows = tuple(map(plain_text, rows))
        with self._lock:  # one thread at a time gives numbers
            if self._core is not None:
                return TokenIds(*self._core.ids(rows))
            known = self._known
            return TokenIds.from_lists(
                [[known.setdefault(token, len(known)) for token in self._splitter.ngrams(text)] for text in rows]
            )
