"""Every recipe against its package, and every backend against the truth, on strings that no one would write."""

from __future__ import annotations

import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from m4i_fast.kernels.backend import CORES, built_backends
from m4i_fast.text.overlap import overlap
from tests.text.oracles import ORACLES, agrees

FAST = tuple(name for name in built_backends() if name in CORES)

KINDS = {
    "empty": st.sampled_from(["", " ", "  ", "\t", "\n", "\u00a0", "\u200b"]),
    "a word": st.sampled_from(["a", "dog", "dog's", "skateboarding", "abcdefgh", "abcdefghi", "7", "3.5", "x-y"]),
    "signs": st.text(st.sampled_from(".,;:!?-'\"()[]{}<>&/\\|@#$%^*_+=~` "), max_size=12),
    "entities": st.lists(
        st.sampled_from(["&amp;", "&lt;", "&quot;", "&gt", "<skipped>", "-\n", "\n", "a", " "]), max_size=6
    ).map("".join),
    "latin": st.text(st.characters(min_codepoint=0xC0, max_codepoint=0x24F), max_size=12),
    "marks": st.text(st.sampled_from("aeoA \u0301\u0308\u0323\u0345\u20dd\u00e9\u1e69\u212b"), max_size=12),
    "cases": st.text(
        st.sampled_from("iI\u0130\u0131\u017f\u212a\u1e9e\u00df\u03c3\u03c2\u03a3\u01c5 \u1c90"), max_size=12
    ),
    "han and kana": st.text(st.sampled_from("一只狗在跑犬はカﾂ。、　 개ᄀ\U00020bb7"), max_size=12),
    "emoji": st.lists(
        st.sampled_from(["🐕", "👩\u200d🚀", "👍🏽", "🇩🇪", "❤\ufe0f", "#\ufe0f\u20e3", " ", "a"]), max_size=6
    ).map("".join),
    "right to left": st.text(st.sampled_from("שלום כלב\u05b0\u05f4الكلب\u064e٣؟ \u200f\u202b\u202c"), max_size=12),
    "nul": st.text(st.sampled_from("\0ab "), max_size=20),
    "surrogates": st.text(st.sampled_from("\ud800\udbff\udc00\udfffa \U0001f600"), max_size=10),
    "lines": st.text(st.sampled_from("a b.\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e\x1f\r\n"), max_size=14),
    "digits": st.text(st.sampled_from("0123456789.,-\u00b2\u00bd\u0663\u0967\uff11 "), max_size=14),
    "any": st.text(max_size=12),
}
some_text = st.lists(st.one_of(*KINDS.values()), min_size=1, max_size=4).map(" ".join) | st.one_of(*KINDS.values())
some_rows = st.lists(st.tuples(some_text, st.lists(some_text, min_size=1, max_size=3)), min_size=1, max_size=4)

ODD = [
    "",
    "a",
    "...",
    "5-..5",
    "5 - a",
    "\0",
    "a\0b",
    "\ud800",
    "\udfff\ud800",
    "a\u2028b",
    "a\x85b",
    "e\u0301 \u00e9",
    "狗 狗",
    "🐕 a",
    "כלב רץ",
]


@pytest.mark.parametrize("recipe", ORACLES)
@settings(max_examples=40, deadline=None)
@given(drawn=some_rows)
@example(drawn=[(text, ODD[i + 1 :] + ODD[:i]) for i, text in enumerate(ODD)])
def test_as_the_package_and_as_the_truth(recipe: str, drawn: list[tuple[str, list[str]]]) -> None:
    agrees(recipe, [said for said, _ in drawn], [row for _, row in drawn])


@pytest.mark.parametrize("recipe", ORACLES)
def test_every_character_there_is(recipe: str) -> None:
    """512 in a row, surrogates too; beside the same in another order and the same apart."""
    texts = ["".join(map(chr, range(first, first + 512))) for first in range(0, sys.maxunicode + 1, 512)]
    # Of the planes that hold few characters, a part; of the first one, all.
    texts = texts[:128] + texts[128::97]
    if recipe in {"m4i", "rouge-score/porter"}:
        texts = texts[::4]
    references = [[text[::-1], " ".join(text[::3]), text[100:]] for text in texts]
    agrees(recipe, texts, references, backends=[*FAST, "rapidfuzz"])


LENGTH = 100_000
LONG = {
    "one word": "x" * LENGTH,
    "one word of wide letters": "\u00e9" * LENGTH,
    "words": " ".join(f"w{i % 997}" for i in range(LENGTH // 5)),
    "the same word": "a " * (LENGTH // 2),
    "signs": ".,-" * (LENGTH // 3),
    "digits": "1,2.3-" * (LENGTH // 6),
    "han": "一 只 狗 " * (LENGTH // 6),
    "nothing": " " * LENGTH,
    "nul": "\0" * LENGTH,
    "surrogates": "\ud800" * LENGTH,
    "entities": "&amp;" * (LENGTH // 5),
}


@pytest.mark.parametrize("recipe", ["coco/coco-space", "rouge-score", "rouge-score/porter", "sacrebleu", "nltk"])
@pytest.mark.parametrize("kind", LONG)
def test_a_hundred_thousand_characters(recipe: str, kind: str) -> None:
    """Against few, since the packages fill a table of Python numbers for the subsequence."""
    if recipe == "rouge-score/porter" and "word" in kind and kind.startswith("one"):
        pytest.skip("nltk's stemmer takes minutes for such a word; test_porter.py holds ours to it")
    long, short = LONG[kind], "a w1 狗 ."
    hypotheses, references = [long, short], [[short], [short, long[: LENGTH // 2]]]
    agrees(recipe, hypotheses, references, backends=FAST)


@pytest.mark.parametrize("kind", LONG)
def test_a_hundred_thousand_characters_against_as_many(kind: str) -> None:
    """What must come out: all is shared with itself; with one word more, all of the shorter one."""
    text = LONG[kind]
    for recipe in ("coco/whitespace", "rouge-score", "sacrebleu", "m4i"):
        values = overlap([text, text], [[text, "a"], [text + " end"]], recipe=f"{recipe}/max").values
        unigrams, _, subsequence = values[0, :3].tolist()
        assert unigrams == subsequence or recipe == "coco/whitespace"  # to it, nothing equals nothing
        assert unigrams in {0.0, 1.0, 2.0 * (1.0 / (2.0 + 1e-8))}
        assert values[1, 0] < values[0, 0] or unigrams == 0.0
        assert values[1, 0] >= 0.6 * unigrams or kind == "nothing"


@pytest.mark.parametrize("name", FAST[:1])
def test_a_token_of_ten_million_characters(name: str) -> None:
    token = "x" * 10_000_000
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("M4I_FAST_KERNELS", name)
        for recipe in ("coco", "coco/coco-space", "sacrebleu", "m4i"):
            values = overlap([token, f"a {token}"], [[token[:-1], token], [token + "x"]], recipe=f"{recipe}/max").values
            assert values[0, 0] == pytest.approx(1.0, abs=1e-8)
            assert values[1, 0] == 0.0


@pytest.mark.parametrize("name", FAST[:1])
def test_a_million_empty_strings(name: str) -> None:
    count = 1_000_000
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("M4I_FAST_KERNELS", name)
        values = overlap([""] * count, [[""]] * count).values
        assert values.shape == (count, 7)
        assert (values[:, 2] == 1.0).all()  # pycocoevalcap's one empty token
        assert (values[:, :2] == 0.0).all()
        one = overlap(["a"], [[""] * count], recipe="rouge-score/mean").values
        assert (one[:, :3] == 0.0).all()
