"""Every noun phrase of a drawn scene's captions, read back with a table typed by hand, holds in the scene's plan."""

import re
from collections import Counter

import pytest

from m4i_fast.data.scenes import WORLDS, _streams
from m4i_fast.data.scenes.grammar import describe
from m4i_fast.data.scenes.layout import Dice, Group, Plan, plan_scene
from m4i_fast.data.scenes.lexicon import BACKGROUNDS, COLOUR_OF_WORD, LIGHTS, RELATIONS, SHAPES, TONGUES
from m4i_fast.text.words import words

COUNTS = {
    "a": {1},
    "an": {1},
    "one": {1},
    "a single": {1},
    "two": {2},
    "a pair of": {2},
    "a couple of": {2},
    "three": {3},
    "a trio of": {3},
    "four": {4},
    "a group of": {4},
    "five": {5},
    "a bunch of": {5},
    "a handful of": {5},
    "several": {4, 5},
}
# word -> smallest and largest diameter that it may be said of, as a share of the picture's side
SIZES = {
    **dict.fromkeys(["tiny", "very small", "minute", "teeny"], (0.0, 0.15)),
    **dict.fromkeys(["small", "little", "smallish"], (0.15, 0.21)),
    **dict.fromkeys(["medium-sized", "middling", "ordinary"], (0.21, 0.29)),
    **dict.fromkeys(["large", "big", "sizeable"], (0.29, 0.39)),
    **dict.fromkeys(["huge", "giant", "enormous", "very big"], (0.39, 1.0)),
}
TEXTURES = {
    **dict.fromkeys(["plain", "solid"], "plain"),
    **dict.fromkeys(["striped", "stripy", "banded"], "striped"),
    **dict.fromkeys(["dotted", "spotted", "polka-dot"], "dotted"),
    **dict.fromkeys(["checked", "checkered", "chequered"], "checked"),
    **dict.fromkeys(["zigzag", "wavy"], "zigzag"),
    **dict.fromkeys(["hatched", "crosshatched", "gridded"], "hatched"),
    **dict.fromkeys(["shaded", "two-tone", "fading"], "shaded"),
}
LINES = {
    **dict.fromkeys(["in a row", "side by side", "lined up"], "row"),
    **dict.fromkeys(["one above the other", "in a column", "in a stack"], "column"),
    **dict.fromkeys(["in a slanting line", "along a diagonal"], "diagonal"),
    **dict.fromkeys(["in a round", "forming a round"], "ring"),
    **dict.fromkeys(["huddled together", "in a cluster", "bunched up"], "cluster"),
}
ONE = {one: shape for shape, names in SHAPES.items() for one, _ in names}
MANY = {many: shape for shape, names in SHAPES.items() for _, many in names}
NOUNS = ONE | MANY
MOODS = {mood for tongue in TONGUES.values() for mood in tongue.moods}
SCENERY = {
    phrase.lower()
    for phrase in [
        *(phrase for place in [*BACKGROUNDS.values(), *LIGHTS.values()] for phrase in [*place.where, *place.names]),
        *(phrase for tongue in TONGUES.values() for phrase in [*tongue.tails, *tongue.times, *tongue.media]),
    ]
}


def _any(phrases: object) -> str:
    return "|".join(re.escape(each) for each in sorted(phrases, key=len, reverse=True))  # type: ignore[call-overload]


_ADJECTIVE = _any({*MOODS, *SIZES, *TEXTURES, *COLOUR_OF_WORD})
_SCENERY = re.compile(rf"\b(?:{_any(SCENERY)})\b")
_NOUN = re.compile(rf"\b(?:{_any(NOUNS)})\b")
_PHRASE = re.compile(
    rf"\b(?P<count>(?:the )?(?:{_any(COUNTS)})|the) (?P<adjectives>(?:(?:{_ADJECTIVE}) )*)(?P<noun>{_any(NOUNS)})\b"
    rf"(?: (?P<line>{_any(LINES)})\b)?"
)


def _text(caption: str) -> str:
    """In small letters; objects that stand in a circle do not make a circle there."""
    return re.sub(r"\b(in|forming) a circle\b", r"\1 a round", caption.lower().removesuffix("."))


def _holds(phrase: re.Match[str], group: Group) -> bool:
    """A noun phrase is true of a group: shape, number, and each adjective that the picture shows."""
    noun, count = phrase["noun"], phrase["count"].removeprefix("the ")
    if NOUNS[noun] != group.shape or noun not in (ONE if group.number == 1 else MANY):
        return False
    if count != "the" and group.number not in COUNTS[count]:
        return False
    if phrase["line"] and LINES[phrase["line"]] != group.arrangement:
        return False
    return all(_true(word, group) for word in re.findall(_ADJECTIVE, phrase["adjectives"]))


def _true(word: str, group: Group) -> bool:
    if word in COLOUR_OF_WORD:
        return COLOUR_OF_WORD[word] == group.colour
    if word in TEXTURES:
        return TEXTURES[word] == group.texture
    if word in SIZES:
        smallest, largest = SIZES[word]
        return smallest <= group.diameter < largest
    return word in MOODS


def _scene(seed: int, world: str, index: int) -> tuple[Plan, tuple[str, ...]]:
    dice = Dice(_streams(seed, world, index)[0])
    plan = plan_scene(dice, world)
    return plan, describe(dice, plan)


def test_the_reader_of_phrases_sees_a_lie() -> None:
    group = Group("star", "red", "small", "striped", "row", 0.2, 0.5, 0.5, ((0.4, 0.5), (0.6, 0.5)), False)
    for text, truth in {
        "two small striped red stars in a row": True,
        "a pair of cheerful scarlet starlets": True,
        "the two stars": True,
        "three red stars": False,
        "a red star": False,
        "two blue stars": False,
        "two dotted stars": False,
        "two huge stars": False,
        "two red hearts": False,
        "two stars in a column": False,
    }.items():
        phrase = _PHRASE.search(text)
        assert phrase is not None, text
        assert phrase.end() == len(text)
        assert _holds(phrase, group) is truth, text


@pytest.mark.parametrize("world", WORLDS)
def test_every_noun_phrase_holds_in_the_plan(world: str) -> None:
    said: Counter[str] = Counter()
    for index in range(800):
        plan, captions = _scene(11, world, index)
        assert len({group.shape for group in plan.groups}) == len(plan.groups)
        for caption in captions:
            text = _SCENERY.sub("~", _text(caption))
            found = list(_PHRASE.finditer(text))
            # nothing that is named escapes the reader, so nothing unknown stands before a noun
            assert len(found) == len(_NOUN.findall(text)) >= 1, caption
            for phrase in found:
                assert any(_holds(phrase, group) for group in plan.groups), (caption, phrase[0], plan)
                said.update(re.findall(_ADJECTIVE, phrase["adjectives"]))
                said[phrase["count"]] += 1
                said[phrase["line"] or ""] += 1
    # the check above is not empty: each kind of word was met
    assert min(said[word] for word in ["red", "small", "huge", "striped", "two", "the two", "a trio of", "a"]) > 0
    assert {*COUNTS, *SIZES, *TEXTURES, *LINES} <= set(said)


@pytest.mark.parametrize("world", WORLDS)
def test_five_different_sentences_a_scene_from_a_rich_grammar(world: str) -> None:
    scenes = [_scene(12, world, index)[1] for index in range(2000)]
    assert {len(set(captions)) for captions in scenes} == {5}
    everything = [caption for captions in scenes for caption in captions]
    assert all(re.fullmatch(r"[A-Z][^.~{}]*[^ .,]\.", caption) for caption in everything)
    assert max(len(caption.split()) for caption in everything) == 18
    counts = Counter(word for caption in everything for word in words(caption))
    assert len(counts) >= 500
    assert sum(count >= 4 for count in counts.values()) >= 300  # enough to be learned by a captioner
    assert len(set(everything)) > 0.9 * len(everything)


_SINGULAR = "is|seems|looks|stands|sits|rests|lies|waits|floats|hovers|hangs|appears|shows|keeps|meets|that fades"
_PLURAL = "are|seem|look|stand|sit|rest|lie|wait|float|hover|hang|appear|show|keep|meet|that fade"


@pytest.mark.parametrize("world", WORLDS)
def test_verbs_agree_with_their_subject(world: str) -> None:
    met: Counter[tuple[bool, str]] = Counter()
    # "under the stars is a house": there the subject follows
    turned = re.compile(rf"\b(?:{_any(phrase for kind in RELATIONS.values() for phrase in kind)}) $")
    for index in range(1200):
        for caption in _scene(18, world, index)[1]:
            text = _SCENERY.sub("~", _text(caption))
            for phrase in _PHRASE.finditer(text):
                noun = phrase["noun"]
                if noun in ONE and noun in MANY:
                    continue
                many = noun in MANY
                verb = re.match(rf" ({_SINGULAR}|{_PLURAL})\b", text[phrase.end() :])
                if verb and not turned.search(text[: phrase.start()]):
                    assert verb[1] in (_PLURAL if many else _SINGULAR).split("|"), caption
                    met[many, verb[1]] += 1
                there = re.search(r"there (is|are) $", text[: phrase.start()])
                listed = re.match(r", ", text[phrase.end() :])  # "there are a star, a moon and a cup"
                if there and not listed:
                    assert there[1] == ("are" if many else "is"), caption
                    met[many, "there"] += 1
    for word in ("there", "is", "seems", "stands", "keeps"):
        assert met[False, word] > 0
    for word in ("there", "are", "seem", "stand", "keep"):
        assert met[True, word] > 0


@pytest.mark.parametrize("world", WORLDS)
def test_the_articles_agree_with_the_sound(world: str) -> None:
    text = " ".join(caption for index in range(500) for caption in _scene(12, world, index)[1]).lower()
    assert not re.findall(r"\ba [aeiou]\w*|\ban [^aeiou]\w*", text)
    assert not re.findall(r" [,.]|  |,,|\.\.", text)


@pytest.mark.parametrize("world", WORLDS)
def test_places_and_light_named_are_those_of_the_scene(world: str) -> None:
    phrases = {
        name: re.compile(rf"\b(?:{_any({each.lower() for each in (*place.where, *place.names)})})\b")
        for name, place in (BACKGROUNDS | LIGHTS).items()
        if place.where
    }
    aside = re.compile(rf"\b(?:{_any({each.lower() for each in (*TONGUES[world].tails, *TONGUES[world].times)})})\b")
    met: Counter[str] = Counter()
    for index in range(400):
        plan, captions = _scene(13, world, index)
        own = [phrases[name] for name in (plan.background, plan.light) if name in phrases]
        for caption in captions:
            text = aside.sub("~", caption.lower())
            met["named"] += any(each.search(text) is not None for each in own)
            for each in own:
                text = each.sub("~", text)
            strange = [name for name, pattern in phrases.items() if pattern.search(text)]
            assert not strange, (caption, plan.background, plan.light)
    assert met["named"] > 800


# how far right and down a group's centre may lie where its caption says so
_LOW, _MIDDLE, _HIGH = (0.0, 0.37), (0.37, 0.63), (0.63, 1.0)
_SPOTS = {
    "in the upper left corner": (_LOW, _LOW),
    "at the top left": (_LOW, _LOW),
    "in the upper right corner": (_HIGH, _LOW),
    "towards the top right": (_HIGH, _LOW),
    "in the lower left corner": (_LOW, _HIGH),
    "in the bottom left corner": (_LOW, _HIGH),
    "in the lower right corner": (_HIGH, _HIGH),
    "at the bottom right": (_HIGH, _HIGH),
    "on the left": (_LOW, _MIDDLE),
    "to the right": (_HIGH, _MIDDLE),
    "at the top": (_MIDDLE, _LOW),
    "near the bottom": (_MIDDLE, _HIGH),
    "in the lower half": (_MIDDLE, _HIGH),
    "in the middle": (_MIDDLE, _MIDDLE),
    "in the centre": (_MIDDLE, _MIDDLE),
}


def test_where_a_group_stands_is_where_its_caption_says() -> None:
    pattern = re.compile(rf"\b(?:{_any(_SPOTS)})\b(?! left| right)")
    met: Counter[str] = Counter()
    for index in range(2500):
        plan, captions = _scene(14, "plain", index)
        if len(plan.groups) > 1:
            continue
        (group,) = plan.groups
        for caption in captions:
            for spot in pattern.findall(_SCENERY.sub("~", _text(caption))):
                met[spot] += 1
                (left, right), (top, bottom) = _SPOTS[spot]
                assert left <= group.x <= right, caption
                assert top <= group.y <= bottom, caption
    assert set(met) == set(_SPOTS)


_SAID = {
    "to the left of": ("x", -1),
    "to the right of": ("x", 1),
    "above": ("y", -1),
    "below": ("y", 1),
    "on top of": ("y", -1),
}


@pytest.mark.parametrize("world", WORLDS)
def test_two_groups_stand_as_their_caption_says(world: str) -> None:
    pattern = re.compile(rf"{_PHRASE.pattern.replace('?P<', '?P<first_')} (?P<relation>{_any(_SAID)}) ")
    met: Counter[str] = Counter()
    for index in range(1500):
        plan, captions = _scene(15, world, index)
        if len(plan.groups) != 2:
            continue
        for caption in captions:
            text = _text(caption)
            found = pattern.search(text)
            if found is None:
                continue
            second = _PHRASE.match(text, found.end())
            if second is None:
                continue
            by_shape = {group.shape: group for group in plan.groups}
            one, other = by_shape[NOUNS[found["first_noun"]]], by_shape[NOUNS[second["noun"]]]
            axis, sign = _SAID[found["relation"]]
            met[found["relation"]] += 1
            apart = (one.x - other.x) if axis == "x" else (one.y - other.y)
            assert apart * sign > 0, (caption, plan)
    assert set(met) == set(_SAID)
    assert min(met.values()) >= 5


@pytest.mark.parametrize("world", WORLDS)
def test_relations_hold_among_the_places_of_a_plan(world: str) -> None:
    met: Counter[str | None] = Counter()
    for index in range(1500):
        plan, _ = _scene(16, world, index)
        met[plan.relation] += 1
        for group in plan.groups:
            assert abs(sum(x for x, _ in group.places) / group.number - group.x) < 0.15 * group.diameter
        if plan.relation is None:
            assert len(plan.groups) == 1
            continue
        one, other = plan.groups[:2]
        half, other_half = one.diameter / 2, other.diameter / 2
        match plan.relation:
            case "left":
                assert max(x for x, _ in one.places) + half < min(x for x, _ in other.places) - other_half + 0.01
            case "right":
                assert min(x for x, _ in one.places) - half > max(x for x, _ in other.places) + other_half - 0.01
            case "above":
                assert max(y for _, y in one.places) + half < min(y for _, y in other.places) - other_half + 0.01
            case "below":
                assert min(y for _, y in one.places) - half > max(y for _, y in other.places) + other_half - 0.01
            case "near":
                sides = sorted([(one.x, one, half), (other.x, other, other_half)], key=lambda side: side[0])
                gap = min(x for x, _ in sides[1][1].places) - max(x for x, _ in sides[0][1].places)
                assert -0.03 < gap - half - other_half < 0.08
                met["first left" if one.x < other.x else "first right"] += 1
            case "on":
                foot = max(y for _, y in one.places) + half
                top = min(y for _, y in other.places) - other_half
                assert abs(foot - top) < 0.06
            case "inside":
                assert other.number == 1
                assert all(abs(x - other.x) < other_half and abs(y - other.y) < other_half for x, y in one.places)
            case "front" | "behind":
                assert one.number == other.number == 1
                distance = ((one.x - other.x) ** 2 + (one.y - other.y) ** 2) ** 0.5
                assert 0.0 < distance < half + other_half
        # painted from back to front
        late, early = (1, 0) if plan.relation == "behind" else (0, 1)
        if plan.relation in {"behind", "front", "inside", "on"}:
            assert plan.order.index(late) > plan.order.index(early)
        assert sorted(plan.order) == list(range(len(plan.groups)))
    assert len(met) == 12  # nine relations, none, and both sides of a neighbour
