"""Words to numbers and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m4i_fast.errors import DataError
from m4i_fast.text.vocabulary import SPECIALS, Vocabulary

CAPTIONS = ["A dog runs.", "a dog sits", "the cat runs", "A bird"]


def test_words_seen_often_enough_most_frequent_first() -> None:
    assert Vocabulary.from_captions(CAPTIONS, min_count=2).words == (
        *("<pad>", "<start>", "<end>", "<unk>"),
        *("a", "dog", "runs"),
    )
    assert Vocabulary.from_captions(CAPTIONS * 3).words[4:] == ("a", "dog", "runs")
    assert len(Vocabulary.from_captions(CAPTIONS)) == 4


def test_ties_are_alphabetical_whatever_the_order() -> None:
    forward = Vocabulary.from_captions(["b c a"], min_count=1)
    assert forward.words[4:] == ("a", "b", "c")
    assert forward == Vocabulary.from_captions(["a", "c", "b"], min_count=1)


def test_encode_pads_cuts_and_marks_the_unknown() -> None:
    vocabulary = Vocabulary(("a", "dog"))
    tokens = vocabulary.encode(["A dog, a dog", "the dog", ""], max_tokens=3)
    assert tokens.dtype == np.int32
    assert tokens.tolist() == [[4, 5, 4], [3, 5, 0], [0, 0, 0]]
    assert vocabulary.encode([], max_tokens=3).shape == (0, 3)


def test_decode_counts_only_what_lies_inside_the_length() -> None:
    vocabulary = Vocabulary((*SPECIALS, "a", "dog"))
    tokens = np.array([[1, 4, 5, 2], [5, 3, 4, 99], [0, 0, 0, 0]], dtype=np.int32)
    assert vocabulary.decode(tokens, np.array([4, 2, 0], dtype=np.int32)) == ["a dog", "dog <unk>", ""]
    assert vocabulary.decode(np.zeros((0, 0), np.int32), np.zeros(0, np.int32)) == []


def test_specials_are_put_in_front_once() -> None:
    assert Vocabulary(("a",)) == Vocabulary((*SPECIALS, "a"))
    assert len(Vocabulary(())) == 4


@pytest.mark.parametrize("words", [("a", "b", "a"), ("a", "<unk>"), ("<pad>", "a")])
def test_a_word_that_stands_twice_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match="stands twice"):
        Vocabulary(words)


def test_ids_of_another_vocabulary_are_refused() -> None:
    vocabulary = Vocabulary(("a",))
    with pytest.raises(DataError, match="row 1, token 0: token id 5 is outside the vocabulary of 5 words"):
        vocabulary.decode(np.array([[4], [5]], np.int32), np.array([1, 1], np.int32))
    with pytest.raises(DataError, match="token id -1"):
        vocabulary.decode(np.array([[-1]], np.int32), np.array([1], np.int32))
    with pytest.raises(DataError, match=r"shape \[1, 1\] do not go with lengths of shape \[2\]"):
        vocabulary.decode(np.array([[4]], np.int32), np.array([1, 1], np.int32))


@given(st.lists(st.lists(st.sampled_from(["a", "dog", "runs", "isn't"]), max_size=6)))
def test_known_words_survive_the_round_trip(rows: list[list[str]]) -> None:
    vocabulary = Vocabulary(("a", "dog", "isn't", "runs"))
    captions = [" ".join(row) for row in rows]
    tokens = vocabulary.encode(captions, max_tokens=6)
    lengths = np.array([len(row) for row in rows], dtype=np.int32)
    assert vocabulary.decode(tokens, lengths) == captions
