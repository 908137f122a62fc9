"""Where a fast path could slip: block edges, word lengths, bits of a word. Every backend against the slow truth."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m4i_fast.errors import ConfigError, DataError
from m4i_fast.kernels import backend
from m4i_fast.kernels.tokens import TOKENISERS

FAST = [name for name in backend.built_backends() if name in backend.CORES]
pytestmark = pytest.mark.skipif(not FAST, reason="the C++ core was not built here")


def agree(hypotheses: list[str], references: list[list[str]], tokeniser: str) -> None:
    found = {}
    for name in (*FAST, "reference"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M4I_FAST_KERNELS", name)
            found[name] = dataclasses.asdict(backend.overlap_statistics(hypotheses, references, tokeniser=tokeniser))
    for name in FAST:
        for column, wanted in found["reference"].items():
            assert np.array_equal(found[name][column], wanted), (name, column)


@pytest.mark.parametrize("tokeniser", TOKENISERS)
@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 31, 32, 33, 62, 63, 64, 65, 66, 127, 128, 129, 191, 192, 193])
def test_texts_that_end_at_a_block(tokeniser: str, size: int) -> None:
    whole = "a" * size
    spaced = ("ab c " * 60)[:size]
    marked = ("don't x'y 'tis " * 20)[:size]
    texts = [whole, spaced, marked, spaced.upper(), whole + " a", "a " + whole]
    agree(texts, [texts] * len(texts), tokeniser)


@pytest.mark.parametrize("tokeniser", TOKENISERS)
@pytest.mark.parametrize("at", range(58, 70))
def test_a_word_and_an_apostrophe_across_a_block(tokeniser: str, at: int) -> None:
    words = [" " * at + tail for tail in ("don't", "a'b'c", "''a'", "skateboarding", "ab", "O'Neill's x")]
    agree(words, [[*words, "don't a'b'c skateboarding", "don", "t"]] * len(words), tokeniser)


@pytest.mark.parametrize("tokeniser", ["words", "coco-space", "porter"])
@pytest.mark.parametrize("length", [1, 7, 8, 9, 10, 70])
def test_a_word_of_any_length_across_a_block(tokeniser: str, length: int) -> None:
    word = ("Skateboards" * 7)[:length]
    words = [" " * at + word + tail for at in range(54, 66) for tail in ("", " ab skateboarding")]
    agree(words, [[word, word[:-1] + "x", f"ab {word}"]] * len(words), tokeniser)


@pytest.mark.parametrize("tokeniser", ["words", "coco-space", "porter"])
@pytest.mark.parametrize("word", ["abcdefghi", "ABCDEFGH", "abc", "a"])
def test_blocks_full_of_words(tokeniser: str, word: str) -> None:
    several = [f"{word[1:]}{letter}" for letter in "bcdefghijklmnopqrstuvwxyz"] * 2
    texts = [" ".join([word, *several[:count]]) for count in (0, 6, 7, 8, 14, 15, 16, 17, 23, 24, 30, 31, 32, 50)]
    agree(texts, [[texts[0], texts[4], texts[-1]]] * len(texts), tokeniser)


@pytest.mark.parametrize("tokeniser", TOKENISERS)
def test_words_that_differ_only_beyond_what_a_key_holds(tokeniser: str) -> None:
    words = ["abcdefgh", "abcdefghi", "abcdefghj", "abcdefg", "abcdefg\0", "abc\0", "abc", "abc\0d", "\0", "\0\0"]
    words += ["é" * 4, "é" * 4 + "a", "abcdefé", "abcdefgé", "ab" * 40, "ab" * 40 + "c", "aé", "a\x80"]
    agree(words, [words] * len(words), tokeniser)
    lines = [" ".join(words), " ".join(reversed(words)), "  ".join(words)]
    agree(lines, [lines] * len(lines), tokeniser)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 62, 63, 64, 65, 66, 130])
@pytest.mark.parametrize("distinct", [1, 2, 3, 40])
def test_hypotheses_around_a_machine_word(length: int, distinct: int) -> None:
    rng = np.random.default_rng(length * 100 + distinct)

    def text(count: int) -> str:
        return " ".join(f"w{number}" for number in rng.integers(0, distinct, count))

    hypothesis = text(length)
    references = [hypothesis, text(length), text(length + 1), text(3), "", text(300), hypothesis + " " + hypothesis]
    agree([hypothesis] * 3, [references, references[:1], []], "words")


@pytest.mark.parametrize("length", [2047, 2048, 2049])
def test_references_around_the_lanes_room(length: int) -> None:
    long = " ".join(str(number % 7) for number in range(length))
    agree(["1 2 3 4 5 6 0 1", "2 2 2"], [[long, "1 2"], ["2 2", long]], "whitespace")


@pytest.mark.parametrize("tokeniser", TOKENISERS)
@given(
    st.lists(
        st.tuples(
            st.text("ab 'A9\t\n\x1c\0é\u2003", max_size=140),
            st.lists(st.text("ab 'A9\t\n\x1c\0é\u2003", max_size=140), max_size=9),
        ),
        max_size=9,
    )
)
@settings(max_examples=120, deadline=None)
def test_any_rows_together(tokeniser: str, rows: list[tuple[str, list[str]]]) -> None:
    agree([hypothesis for hypothesis, _ in rows], [references for _, references in rows], tokeniser)


def test_many_records_in_one_call_are_the_same_as_one_by_one() -> None:
    rng = np.random.default_rng(0)
    words = np.array(["a", "dog", "runs", "skateboarding", "isn't", "the", "Frisbee"])
    lines = [" ".join(rng.choice(words, size=int(rng.integers(0, 30)))) for _ in range(900)]
    references = [lines[int(i) : int(i) + int(rng.integers(0, 12))] for i in rng.integers(0, 880, 900)]
    together = backend.overlap_statistics(lines, references, tokeniser="words")
    for row in range(0, 900, 37):
        alone = backend.overlap_statistics([lines[row]], [references[row]], tokeniser="words")
        pairs = slice(together.offsets[row], together.offsets[row + 1])
        assert np.array_equal(together.matches[pairs], alone.matches)
        assert np.array_equal(together.lcs[pairs], alone.lcs)
        assert np.array_equal(together.best_matches[row], alone.best_matches[0])


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_threads_change_nothing(threads: int) -> None:
    rng = np.random.default_rng(threads)
    words = np.array(["a", "dog", "runs", "skateboarding", "isn't", "the", "Frisbee", "café"])
    lines = [" ".join(rng.choice(words, size=int(rng.integers(0, 90)))) for _ in range(3000)]
    references = [lines[int(i) : int(i) + int(rng.integers(0, 7))] for i in rng.integers(0, 2990, 3000)]
    alone = dataclasses.asdict(backend.overlap_statistics(lines, references, tokeniser="coco-space", threads=1))
    together = dataclasses.asdict(
        backend.overlap_statistics(lines, references, tokeniser="coco-space", threads=threads)
    )
    for column, values in alone.items():
        assert np.array_equal(values, together[column]), column


def test_a_bad_text_late_in_the_rows_stops_all_threads() -> None:
    lines: list[str] = ["a dog"] * 5000
    lines[4990] = None  # type: ignore[call-overload]
    with pytest.raises(DataError, match=r"hypotheses\[4990\]"):
        backend.overlap_statistics(lines, [["a cat"]] * 5000, tokeniser="words", threads=4)


def test_less_than_no_threads_are_refused() -> None:
    with pytest.raises(ConfigError, match="-1 threads"):
        backend.overlap_statistics(["a"], [["a"]], tokeniser="words", threads=-1)
