"""Finding a recipe, and what its signature says."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m4i_fast.errors import ConfigError
from m4i_fast.kernels.backend import built_backends, overlap_statistics
from m4i_fast.text import bleu, recipes
from m4i_fast.text.recipes import RECIPES, REDUCTIONS, recipe_named, scores


@pytest.mark.parametrize(
    ("recipe", "signature"),
    [
        ("coco", "recipe:coco|tok:words|refs:max|beta:1.2|v:0.1.0"),
        ("coco/coco-space", "recipe:coco|tok:coco-space|refs:max|beta:1.2|v:0.1.0"),
        ("coco/mean", "recipe:coco|tok:words|refs:mean|beta:1.2|v:0.1.0"),
        ("coco/ptb", "recipe:coco|tok:ptb|refs:max|beta:1.2|v:0.1.0"),
        ("coco/ptb-exact", "recipe:coco|tok:ptb-exact|refs:max|beta:1.2|v:0.1.0"),
        ("coco/whitespace/mean", "recipe:coco|tok:whitespace|refs:mean|beta:1.2|v:0.1.0"),
        ("coco/mean/whitespace", "recipe:coco|tok:whitespace|refs:mean|beta:1.2|v:0.1.0"),
        ("rouge-score", "recipe:rouge-score|tok:rouge-score|refs:max|v:0.1.0"),
        ("sacrebleu", "recipe:sacrebleu|tok:13a|refs:max|scale:100|smooth:exp|v:0.1.0"),
        ("sacrebleu/none/words", "recipe:sacrebleu|tok:words|refs:max|scale:100|smooth:none|v:0.1.0"),
        ("nltk/mean/method1", "recipe:nltk|tok:whitespace|refs:mean|smooth:method1|v:0.1.0"),
        ("rouge-score/mean", "recipe:rouge-score|tok:rouge-score|refs:mean|v:0.1.0"),
    ],
)
def test_signatures(recipe: str, signature: str) -> None:
    assert recipe_named(recipe).signature == signature


def test_arguments_say_the_same_as_the_name() -> None:
    assert recipe_named("coco", tokeniser="coco-space", reduce="mean") == recipe_named("coco/coco-space/mean")
    assert recipe_named("coco/mean", reduce="mean") == recipe_named("coco/mean")
    assert recipe_named("nltk/method0") == recipe_named("nltk")


def test_all_signatures_differ() -> None:
    seen = {
        recipe_named("/".join(filter(None, (name, variant))), tokeniser=tokeniser, reduce=reduce).signature
        for name, definition in RECIPES.items()
        for variant in definition.numbers
        for tokeniser in definition.tokenisers
        for reduce in ("max", "mean")
    }
    assert len(seen) == 2 * sum(len(each.numbers) * len(each.tokenisers) for each in RECIPES.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"recipe": "meteor"}, "recipe: 'meteor' is not a recipe. Choose one of coco, rouge-score, sacrebleu, nltk"),
        ({"recipe": "sacrebleu/method1"}, "'method1' in 'sacrebleu/method1' is unknown.* max or mean, exp or none"),
        ({"recipe": "sacrebleu/exp/none"}, "'none' in 'sacrebleu/exp/none'"),
        ({"recipe": "coco/mean/mean"}, "'mean' in 'coco/mean/mean'"),
        ({"recipe": ""}, "'' is not a recipe"),
        ({"recipe": "coco/penn"}, "'penn' in 'coco/penn' is unknown"),
        ({"recipe": "coco/words/whitespace"}, "'whitespace' in 'coco/words/whitespace'"),
        ({"recipe": "coco/max/mean"}, "contradicts another part"),
        ({"recipe": "coco/mean", "reduce": "max"}, "contradicts another part"),
        ({"recipe": "rouge-score", "tokeniser": "ptb"}, "does not work with the tokeniser 'ptb'"),
        ({"recipe": "rouge-score", "tokeniser": "coco-space"}, "does not work with the tokeniser 'coco-space'"),
        ({"recipe": "coco", "reduce": "median"}, "reduce: 'median' is no way to join references"),
    ],
)
def test_what_is_unknown_or_contradicts_is_refused(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        recipe_named(**arguments)


@given(
    st.integers(0, 2**32),
    st.sampled_from(
        [
            f"{name}/{variant}".strip("/")
            for name, each in RECIPES.items()
            for variant in each.numbers
            if "words" in each.tokenisers
        ]
    ),
    st.sampled_from(REDUCTIONS),
)
@settings(max_examples=60, deadline=None)
def test_the_core_scores_as_the_definition_to_the_last_bit(seed: int, name: str, join: str) -> None:
    rng = np.random.default_rng(seed)
    words = ["a", "b", "the", "dog", "skateboarding"][: int(rng.integers(1, 6))]
    lines = [" ".join(rng.choice(words, size=int(rng.integers(0, 25)))) for _ in range(40)]
    references = [lines[int(i) : int(i) + int(rng.integers(0, 20))] for i in rng.integers(0, 40, 40)]
    counts = overlap_statistics(lines, references, tokeniser="words")
    recipe = recipe_named(name, tokeniser="words", reduce=join)
    found = {}
    for backend in ("reference", built_backends()[0]):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M4I_FAST_KERNELS", backend)
            found[backend] = scores(counts, recipe)
    assert np.array_equal(found["reference"], found[built_backends()[0]], equal_nan=True)


def compensated(values: list[float]) -> float:
    """What ``sum()`` of floats gives from Python 3.12 on (Neumaier 1974)."""
    total = lost = 0.0
    for value in values:
        following = total + value
        large, small = (total, value) if abs(total) >= abs(value) else (value, total)
        lost += (large - following) + small
        total = following
    return total + lost


@pytest.mark.parametrize(
    ("exact", "total"), [(True, compensated), (False, lambda values: reduce(operator.add, values, 0.0))]
)
def test_sacrebleus_last_bits_follow_the_sum_of_either_python(
    monkeypatch: pytest.MonkeyPatch, exact: bool, total: Callable[[list[float]], float]
) -> None:
    rng = np.random.default_rng(12)
    lines = [" ".join(rng.choice(["a", "b", "the", "dog"], size=int(rng.integers(4, 25)))) for _ in range(3000)]
    counts = overlap_statistics(lines, [[line] for line in lines[1:] + lines[:1]], tokeniser="words")
    recipe = recipe_named("sacrebleu/words")
    monkeypatch.setattr(bleu, "sum", total, raising=False)
    monkeypatch.setattr(recipes, "SUM_COMPENSATES", exact)
    found = scores(counts, recipe)
    monkeypatch.setenv("M4I_FAST_KERNELS", "reference")
    np.testing.assert_array_equal(found, scores(counts, recipe))
    monkeypatch.setattr(bleu, "sum", math.fsum, raising=False)
    assert exact or (found != scores(counts, recipe)).any()
