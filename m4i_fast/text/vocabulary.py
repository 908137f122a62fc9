"""The vocabulary of a captioner or text tower: words to numbers and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from m4i_fast.errors import DataError
from m4i_fast.text.words import words as words_of

__all__ = ["END", "PAD", "SPECIALS", "START", "UNKNOWN", "Vocabulary"]

PAD: Final = 0
START: Final = 1
END: Final = 2
UNKNOWN: Final = 3
SPECIALS: Final = ("<pad>", "<start>", "<end>", "<unk>")
"""The first four words of every vocabulary, by their ids. No text contains them: ``<`` parts words."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words by id. Equal words make equal vocabularies.

    Attributes:
        words: all words, the four specials first; specials that are not given are put there.

    Raises:
        DataError: a word occurs twice, or only some of the specials are there or not in front.
    """

    words: tuple[str, ...]
    _ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given = tuple(self.words)
        if given[: len(SPECIALS)] != SPECIALS:
            given = SPECIALS + given
        ids = {word: number for number, word in enumerate(given)}
        if len(ids) != len(given):
            twice = next(word for word, count in Counter(given).items() if count > 1)
            raise DataError(
                f"'{twice}' stands twice in the vocabulary",
                cure=f"List each word once, either without {' '.join(SPECIALS)} or with these four in front.",
            )
        object.__setattr__(self, "words", given)
        object.__setattr__(self, "_ids", ids)

    @classmethod
    def from_captions(cls, captions: Iterable[str], min_count: int = 4) -> Vocabulary:
        """All words seen at least ``min_count`` times, the most frequent first, ties in alphabetical order.

        The default of 4 is the published method's (Hu et al. 2022, code).
        """
        counts = Counter(chain.from_iterable(words_of(caption) for caption in captions))
        kept = [word for word, count in counts.items() if count >= min_count]
        return cls((*SPECIALS, *sorted(kept, key=lambda word: (-counts[word], word))))

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, captions: Sequence[str], max_tokens: int) -> npt.NDArray[np.int32]:
        """Token ids without start and end marks: int32 [N, max_tokens], cut at ``max_tokens``, padded with 0."""
        tokens = np.full((len(captions), max_tokens), PAD, dtype=np.int32)
        ids = self._ids
        for row, caption in zip(tokens, captions, strict=True):
            numbers = [ids.get(word, UNKNOWN) for word in words_of(caption)[:max_tokens]]
            row[: len(numbers)] = numbers
        return tokens

    def decode(self, tokens: npt.NDArray[np.int32], lengths: npt.NDArray[np.int32]) -> list[str]:
        """Captions of token ids; padding, start and end marks leave no trace, unknown words read ``<unk>``.

        Args:
            tokens: int32 [N, T].
            lengths: int32 [N]; how many tokens of each row count.

        Raises:
            DataError: an id inside a row's length is not of this vocabulary, or the shapes do not fit.
        """
        tokens, lengths = np.asarray(tokens), np.asarray(lengths)
        if tokens.ndim != 2 or lengths.shape != tokens.shape[:1]:
            raise DataError(
                f"token ids of shape {list(tokens.shape)} do not go with lengths of shape {list(lengths.shape)}",
                cure="Give tokens [N, T] and lengths [N].",
            )
        inside = np.arange(tokens.shape[1]) < lengths[:, None]
        wrong = inside & ((tokens < 0) | (tokens >= len(self)))
        if wrong.any():
            row, column = np.argwhere(wrong)[0].tolist()
            raise DataError(
                f"token id {tokens[row, column]} is outside the vocabulary of {len(self)} words",
                where=f"row {row}, token {column}",
                cure="Use the vocabulary that the captioner was trained with.",
            )
        shown = inside & (tokens >= UNKNOWN)
        words = [self.words[number] for number in tokens[shown].tolist()]
        ends = np.cumsum(shown.sum(axis=1)).tolist()
        return [" ".join(words[start:end]) for start, end in pairwise([0, *ends])]
