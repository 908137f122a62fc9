"""Finding a recipe, and what its signature says."""

from __future__ import annotations

import pytest

from m4i_fast.errors import ConfigError
from m4i_fast.text.recipes import RECIPES, recipe_named


@pytest.mark.parametrize(
    ("recipe", "signature"),
    [
        ("coco", "recipe:coco|tok:words|refs:max|beta:1.2|v:0.1.0"),
        ("coco/coco-space", "recipe:coco|tok:coco-space|refs:max|beta:1.2|v:0.1.0"),
        ("coco/mean", "recipe:coco|tok:words|refs:mean|beta:1.2|v:0.1.0"),
        ("coco/whitespace/mean", "recipe:coco|tok:whitespace|refs:mean|beta:1.2|v:0.1.0"),
        ("coco/mean/whitespace", "recipe:coco|tok:whitespace|refs:mean|beta:1.2|v:0.1.0"),
        ("rouge-score", "recipe:rouge-score|tok:rouge-score|refs:max|stem:no|v:0.1.0"),
        ("rouge-score/mean", "recipe:rouge-score|tok:rouge-score|refs:mean|stem:no|v:0.1.0"),
    ],
)
def test_signatures(recipe: str, signature: str) -> None:
    assert recipe_named(recipe).signature == signature


def test_arguments_say_the_same_as_the_name() -> None:
    assert recipe_named("coco", tokeniser="coco-space", reduce="mean") == recipe_named("coco/coco-space/mean")
    assert recipe_named("coco/mean", reduce="mean") == recipe_named("coco/mean")


def test_all_signatures_differ() -> None:
    seen = {
        recipe_named(name, tokeniser=tokeniser, reduce=reduce).signature
        for name, definition in RECIPES.items()
        for tokeniser in definition.tokenisers
        for reduce in ("max", "mean")
    }
    assert len(seen) == 2 * (4 + 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"recipe": "sacrebleu"}, "recipe: 'sacrebleu' is not a recipe. Choose one of coco, rouge-score"),
        ({"recipe": ""}, "'' is not a recipe"),
        ({"recipe": "coco/ptb"}, "'ptb' in 'coco/ptb' is unknown"),
        ({"recipe": "coco/words/whitespace"}, "'whitespace' in 'coco/words/whitespace'"),
        ({"recipe": "coco/max/mean"}, "contradicts another part"),
        ({"recipe": "coco/mean", "reduce": "max"}, "contradicts another part"),
        ({"recipe": "coco", "tokeniser": "ptb"}, "does not work with the tokeniser 'ptb'"),
        ({"recipe": "rouge-score", "tokeniser": "coco-space"}, "does not work with the tokeniser 'coco-space'"),
        ({"recipe": "coco", "reduce": "median"}, "reduce: 'median' is no way to join references"),
    ],
)
def test_what_is_unknown_or_contradicts_is_refused(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        recipe_named(**arguments)
