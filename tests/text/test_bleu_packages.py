"""BLEU as sacrebleu and nltk say it, to the last bit, on every backend; and the tokeniser 13a as sacrebleu's."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from backends import backends_for
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

from m4i_fast.kernels.backend import built_backends, overlap_statistics
from m4i_fast.kernels.tokens import TOKENISERS
from m4i_fast.text.overlap import overlap
from tests.text.oracles import agrees

Rows = tuple[list[str], list[list[str]]]
PACKAGES = ("sacrebleu", "sacrebleu/none", "nltk", "nltk/method1")


WORDS = [
    "a",
    "A",
    "the",
    "dog",
    "dog's",
    "runs",
    ",",
    ".",
    "3.5",
    "1,000",
    "x-y",
    "4-5",
    "(b)",
    '"c"',
    "skateboarding",
    "&amp;",
]


def drawn(seed: int, count: int) -> Rows:
    chance = random.Random(seed)
    lines = [
        " ".join(chance.choices(WORDS[: chance.randint(1, len(WORDS))], k=chance.randint(0, 20))) for _ in range(count)
    ]
    return lines, [[chance.choice(lines) for _ in range(chance.randint(1, 6))] for _ in lines]


@pytest.mark.parametrize("recipe", PACKAGES)
def test_as_the_package_on_drawn_captions(recipe: str) -> None:
    agrees(recipe, *drawn(7, 400))


@pytest.mark.parametrize("recipe", PACKAGES)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_as_the_package_on_any_draw(recipe: str, seed: int) -> None:
    agrees(recipe, *drawn(seed, 12))


def test_the_default_variants_have_names() -> None:
    rows = drawn(3, 60)
    for short, long in (("sacrebleu", "sacrebleu/exp"), ("nltk", "nltk/method0")):
        assert overlap(*rows, recipe=short).values.tolist() == overlap(*rows, recipe=long).values.tolist()


@pytest.mark.parametrize("recipe", ["sacrebleu", "nltk"])
@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.text(max_size=30), st.lists(st.text(max_size=30), min_size=1, max_size=3)), min_size=1, max_size=4
    )
)
def test_as_the_package_on_any_text(recipe: str, rows: list[tuple[str, list[str]]]) -> None:
    agrees(recipe, [hypothesis for hypothesis, _ in rows], [references for _, references in rows])


@pytest.mark.parametrize(
    ("recipe", "hypothesis", "references", "expected"),
    [
        ("sacrebleu", "a b c d", ["a b c d"], [100.0, 100.0, 100.0, 100.0]),
        ("sacrebleu", "a b", ["a b"], [100.0, 100.0, 100.0, 100.0]),  # too short for the higher orders
        ("sacrebleu", "a x", ["a b"], [50.0, 50.0, 50.0, 50.0]),  # no bigram of one: half of one
        ("sacrebleu/none", "a x", ["a b"], [50.0, 0.0, 0.0, 0.0]),
        ("sacrebleu", "x", ["a"], [0.0, 0.0, 0.0, 0.0]),
        ("sacrebleu", "", ["a"], [0.0, 0.0, 0.0, 0.0]),
        ("nltk", "a b c d", ["a b c d"], [1.0, 1.0, 1.0, 1.0]),
        ("nltk/method1", "a x", ["a b"], [0.5, 0.22360679774997896, 0.1709975946676697, 0.14953487812212205]),
        ("nltk", "x", ["a"], [0.0, 0.0, 0.0, 0.0]),
        ("nltk", "", [""], [0.0, 0.0, 0.0, 0.0]),
    ],
)
def test_by_hand(recipe: str, hypothesis: str, references: list[str], expected: list[float]) -> None:
    found = overlap([hypothesis], [references], recipe=recipe).values[0, 3:]
    assert found.tolist() == pytest.approx(expected, rel=1e-12)
    agrees(recipe, [hypothesis], [references])


def test_rouge_is_the_best_references_f1_and_a_record_without_reference_has_none() -> None:
    for recipe in ("sacrebleu", "nltk"):
        table = overlap(["a b c", "a"], [["a b", "x"], []], recipe=recipe)
        assert table.values[0, :3].tolist() == pytest.approx([0.8, 2 / 3, 0.8])
        assert np.isnan(table.values[1]).all()


THEIRS = Tokenizer13a()


def as_theirs(text: str) -> list[str]:
    # What sacrebleu does with a segment: rstrip, tokenise, and split where n-grams are taken.
    tokens: list[str] = THEIRS(text.rstrip()).split()
    return tokens


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 6])
def test_13a_parts_signs_as_sacrebleu_does(length: int) -> None:
    """All strings of few signs of each kind."""
    texts = ["".join(signs) for signs in itertools.product("a5.,-! ", repeat=length)]
    chance = random.Random(length)
    texts = chance.sample(texts, min(len(texts), 4000))
    ours = TOKENISERS["13a"].ngrams
    for text in texts:
        assert ours(text) == as_theirs(text), text
    # And the core: its tokens are Python's, if they match, in full, those that Python parts by spaces.
    parted = [" ".join(as_theirs(text)) for text in texts]
    for name in built_backends():
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M4I_FAST_KERNELS", name)
            counts = overlap_statistics(texts, [[text] for text in texts], tokeniser="13a")
        assert counts.hypothesis_length.tolist() == [len(text.split()) for text in parted], name


@pytest.mark.parametrize("seed", range(4))
def test_13a_of_texts_beyond_a_block_of_the_core(seed: int) -> None:
    """The core looks at 64 characters at once: its edges must not show."""
    chance = random.Random(seed)
    texts = ["".join(chance.choices("aab55.,-! '", k=chance.randint(50, 200))) for _ in range(150)]
    texts += [
        "a" * length + each + "5" * 70 for length in range(58, 68) for each in ("", ".", "-", "5.", "5-", "5.5", "..")
    ]
    texts += [
        (each * 80)[:length] for length in (63, 64, 65, 127, 128, 129) for each in ("!", "a", "5.", "a-", "5-", "a ")
    ]
    spaced = [" ".join(as_theirs(text)) for text in texts]
    for name in backends_for(seed):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M4I_FAST_KERNELS", name)
            # Each against its neighbour: a token with a wrong end would match, or not match, where Python's would.
            found = overlap_statistics(texts, [[text] for text in texts[1:] + texts[:1]], tokeniser="13a")
            wanted = overlap_statistics(spaced, [[text] for text in spaced[1:] + spaced[:1]], tokeniser="whitespace")
        for field in ("hypothesis_length", "reference_length", "matches", "lcs"):
            assert getattr(found, field).tolist() == getattr(wanted, field).tolist(), (name, field)


@settings(max_examples=400, deadline=None)
@given(
    st.text()
    | st.text(st.characters(max_codepoint=127))
    | st.lists(
        st.sampled_from([*".,-&;<>\n\t 5a\x1c\x85\u2028\u00b2\u0663", "&amp;", "&lt;", "&quot;", "<skipped>", "lt;"])
    ).map("".join)
)
def test_13a_is_sacrebleus_on_any_text(text: str) -> None:
    assert TOKENISERS["13a"].ngrams(text) == as_theirs(text)
