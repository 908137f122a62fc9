"""Captions of a planned scene: templates, noun phrases, agreement.

A caption says only what holds in the picture, but which part of it, and in which words, is drawn by chance; asides
(moods, times, people, tails) are drawn by chance altogether.
Words and templates lean towards the common ones, as human captions do.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import Formatter

from m4i_fast.data.scenes import lexicon
from m4i_fast.data.scenes.layout import Dice, Group, Plan

__all__ = ["CAPTIONS", "LONGEST", "describe"]

CAPTIONS = 5  # a scene
LONGEST = 18  # words a caption, so that a captioner's 20 tokens hold all of it
_TEMPLATE_SKEW = 1.8  # the templates that stand first are the common ones

Template = tuple[tuple[str, str | None], ...]  # literal, then the slot that follows it

_OPPOSITE = {
    "left": "right",
    "right": "left",
    "above": "below",
    "below": "above",
    "near": "near",
    "on": "below",
    "inside": "around",
    "front": "behind",
    "behind": "front",
}


def _templates(text: str) -> tuple[Template, ...]:
    return tuple(
        tuple((literal, slot) for literal, slot, _, _ in Formatter().parse(line.strip()))
        for line in text.strip().splitlines()
    )


# a, b, c, d: groups as noun phrases; rel: a to b; back: b to a; at: where; spot: where in the picture
_SOLO = _templates("""
    {a} {at}
    {a} {at}{tail}
    {a} {does_a} {at}{tail}
    {a} {does_a} {at} {time}
    there {is_a} {a} {at}
    there {is_a} {a} {spot_a}{tail}
    {a} {doing_a} {at}{tail}
    {medium} of {a} {at}
    {medium} with {a} {spot_a}
    {medium} of {name} with {a}
    {a} {spot_a}
    {a} {spot_a}, {at}
    {at}, {a} {does_a}{tail}
    {at} there {is_a} {a}
    {spot_a} there {is_a} {a}{tail}
    {name} with {a}{tail}
    {name} and {a}
    {opener} {a} {at}
    {opener} {a} {doing_a} {spot_a}
    {opener} {the_a} {at}{tail}
    {time}, {a} {does_a} {at}
    {who} {did} {a} {at}
    {who} {did} {a} {spot_a}
    {who} {did} {a}{tail}
    {the_a} {looks_a} {mood}{tail}
    {the_a} {does_a} {spot_a}, {at}
    {a}, {doing_a} {at}
    {name}, and {spot_a} {a}
    {the_a} {is_a} {doing_a} {at}
""")
_PAIR = _templates("""
    {a} {rel} {b} {at}
    {a} {rel} {b}
    {a} and {b} {at}
    {a} {rel} {b}{tail}
    {a} {does_a} {rel} {b}
    {a} {does_a} {rel} {b}{tail}
    {a} {does_a} {rel} {b} {at}
    there {is_a} {a} {rel} {b}
    there {is_a} {a} {rel} {b} {at}
    {at}, {a} {is_a} {rel} {b}
    {at} there {is_a} {a} {rel} {b}
    {medium} of {a} {rel} {b}
    {medium} of {a} and {b} {at}
    {a} and {b} {at}{tail}
    {a} {rel} {b}, {at}
    {a} and {b}{tail}
    {the_a} {is_a} {rel} {the_b}{tail}
    {the_a} {does_a} {rel} {b} {at}
    {who} {did} {a} {rel} {b}
    {who} {did} {a} and {b} {at}
    {time}, {a} {does_a} {rel} {b}
    {a} {keeps_a} {b} company {at}
    {name} with {a} and {b}
    {name} with {a} {rel} {b}
    {a} {spot_a} and {b} {spot_b}
    {opener} {a} {rel} {b}
    {opener} {a} and {b} {at}
    {b} with {a} {at}
    {the_a} {looks_a} {mood} {rel} {the_b}
    {a} {doing_a} {rel} {b}{tail}
    {rel} {the_b} {is_a} {a}
""")
_TRIO = _templates("""
    {a}, {b} and {c} {at}
    {a}, {b} and {c}{tail}
    {a} {rel} {b}, and {c} {spot_c}
    {a} {rel} {b}, with {c} nearby
    {a} {rel} {b} and {c} {at}
    {medium} of {a}, {b} and {c}
    {name} with {a}, {b} and {c}
    {at} there are {a}, {b} and {c}
    {who} {did} {a}, {b} and {c}
    {opener} {a}, {b} and also {c}
    {the_a}, {the_b} and {the_c} {at}
""")
_QUAD = _templates("""
    {a}, {b}, {c} and {d}
    {a}, {b}, {c} and {d} {at}
    {the_a}, {the_b}, {the_c} and {the_d} {at}
    {name} with {a}, {b}, {c} and {d}
    many things {at}, such as {a} and {c}
""")
_OWN_SOLO: dict[str, tuple[Template, ...]] = {
    "plain": _templates("""
        what {mood} scenery, {a} {at}
        my favourite part is {the_a} {at}
        a day for {a} {at}{tail}
    """),
    "shifted": _templates("""
        object detected: {a}, {spot_a}
        close-up of {a} {at}
        {name}: {a}{tail}
        exhibit: {a} {doing_a} {at}
        scene of {a}{tail}
        featuring {a} {at} {time}
    """),
}
_OWN_PAIR: dict[str, tuple[Template, ...]] = {
    "plain": _templates("""
        {a} {is_a} friends with {b} {at}
        {the_a} and {the_b} {time}
        I like how {the_a} {is_a} {rel} {the_b}
    """),
    "shifted": _templates("""
        {name}: {a} {rel} {b}
        objects detected: {a} {rel} {b}
        exhibit: {a} versus {b}{tail}
        close-up of {a} {rel} {b}
        featuring {a} alongside {b} {at}
        {a} facing {b} {time}
    """),
}
_OWN_SHARE = {"plain": 0.06, "shifted": 0.45}


def describe(dice: Dice, plan: Plan) -> tuple[str, ...]:
    """Five different captions of a scene: sentences of at most ``LONGEST`` words, the first letter a capital."""
    captions: list[str] = []
    tries = 0
    while len(captions) < CAPTIONS:
        tries += 1
        speaker = _Speaker(dice, plan, terse=tries > 2 * CAPTIONS)
        caption = speaker.say(_template(dice, plan))
        if caption not in captions and caption.count(" ") < LONGEST:
            captions.append(caption)
    return tuple(captions)


def _template(dice: Dice, plan: Plan) -> Template:
    own = dice.chance(_OWN_SHARE[plan.world])
    roll = dice.roll()
    count = len(plan.groups)
    if count == 1 or roll < 0.16:
        return dice.pick(_OWN_SOLO[plan.world]) if own else dice.lean(_SOLO, _TEMPLATE_SKEW)
    if count == 4 and roll > 0.8 and not own:
        return dice.lean(_QUAD, _TEMPLATE_SKEW)
    if count >= 3 and roll > 0.55 and not own:
        return dice.lean(_TRIO, _TEMPLATE_SKEW)
    return dice.pick(_OWN_PAIR[plan.world]) if own else dice.lean(_PAIR, _TEMPLATE_SKEW)


class _Speaker:
    """One caption's choices: who is called a, b, c, d, and how words are drawn."""

    def __init__(self, dice: Dice, plan: Plan, *, terse: bool) -> None:
        self.dice, self.plan, self.terse = dice, plan, terse
        self.tongue = lexicon.TONGUES[plan.world]
        self.place = lexicon.BACKGROUNDS[plan.background]
        self.light = lexicon.LIGHTS[plan.light]
        self.relation = plan.relation
        groups = list(plan.groups)
        if plan.relation is not None and dice.chance(0.35):
            groups[0], groups[1] = groups[1], groups[0]
            self.relation = _OPPOSITE[plan.relation]
        self.groups = dict(zip("abcd", groups, strict=False))

    def say(self, template: Template) -> str:
        """Fill a template and make it a sentence."""
        pieces: list[str] = []
        for literal, slot in template:
            pieces.append(literal)
            if slot is not None:
                pieces.append(self.fill(slot))
        text = "".join(pieces)
        return f"{text[0].upper()}{text[1:]}."

    def fill(self, slot: str) -> str:
        """The words of one slot; a trailing ``_a`` names the group that it speaks of."""
        dice, tongue = self.dice, self.tongue
        kind, _, who = slot.partition("_")
        if slot in self.groups:
            return self.noun_phrase(self.groups[slot])
        group = self.groups[who or "a"]
        many = group.number > 1
        match kind:
            case "the":
                return self.definite(group)
            case "is":
                return "are" if many else "is"
            case "does":
                return dice.lean(lexicon.VERBS)[many]
            case "doing":
                return dice.lean(lexicon.VERBS)[2]
            case "looks":
                return dice.pick((("looks", "look"), ("seems", "seem"), ("is", "are")))[many]
            case "keeps":
                return "keep" if many else "keeps"
            case "rel":
                assert self.relation is not None
                return dice.lean(lexicon.RELATIONS[self.relation])
            case "spot":
                return self.spot(group)
            case "at":
                return self.where()
            case "name":
                return dice.lean(self.place.names)
            case "tail":
                return self.tail()
            case "medium":
                return dice.lean(tongue.media)
            case "time":
                return dice.pick(tongue.times)
            case "mood":
                return dice.pick(tongue.moods)
            case "who":
                return dice.pick(tongue.people)
            case "did":
                return dice.pick(tongue.deeds)
            case "opener":
                return dice.lean(tongue.openers)
        raise AssertionError(slot)

    def noun_phrase(self, group: Group) -> str:
        """As ``two small striped red stars side by side``; each part of it may be left out."""
        dice = self.dice
        words = []
        if not self.terse and dice.chance(0.12):
            words.append(dice.pick(self.tongue.moods))
        if dice.chance(0.06 if group.size == "medium" else 0.34):
            words.append(dice.lean(lexicon.SIZES[group.size]))
        before, after = lexicon.TEXTURES[group.texture]
        spoken = group.texture != "plain"
        if dice.chance(0.4 if spoken else 0.04):
            words.append(dice.lean(before))
            spoken = False
        if dice.chance(0.8):
            words.append(dice.lean(lexicon.COLOURS[group.colour]))
        words.append(_noun(dice, group))
        if not self.terse:
            if spoken and dice.chance(0.15):
                words.append(dice.lean(after))
            elif group.number > 1 and dice.chance(0.3):
                words.append(dice.lean(lexicon.ARRANGEMENTS[group.arrangement]))
        return _counted(dice.lean(lexicon.COUNTS[group.number]), words)

    def definite(self, group: Group) -> str:
        """As ``the two red stars``."""
        dice = self.dice
        words = ["the"]
        if group.number > 1 and dice.chance(0.5):
            words.append(lexicon.COUNTS[group.number][0])
        if dice.chance(0.75):
            words.append(dice.lean(lexicon.COLOURS[group.colour]))
        words.append(_noun(dice, group))
        return " ".join(words)

    def where(self) -> str:
        """Place, light, or both."""
        dice = self.dice
        light = self.light.where
        if light and dice.chance(0.18):
            return dice.lean(light)
        place = dice.lean(self.place.where)
        if light and not self.terse and dice.chance(0.1):
            return f"{place} {dice.lean(light)}"
        return place

    def tail(self) -> str:
        """A closing aside with its comma, or nothing."""
        if self.terse or self.dice.chance(0.45):
            return ""
        return f", {self.dice.pick(self.tongue.tails)}"

    def spot(self, group: Group) -> str:
        """Where in the picture a group's centre lies."""
        column = _third(group.x, "left", "right")
        row = _third(group.y, "upper", "lower")
        if row and column:
            edge = "top" if row == "upper" else "bottom"
            return self.dice.pick(
                (
                    f"in the {row} {column} corner",
                    f"at the {edge} {column}",
                    f"towards the {edge} {column}",
                    f"in the {edge} {column} corner",
                )
            )
        if column:
            return self.dice.lean((f"on the {column}", f"on the {column} side", f"to the {column}"))
        if row:
            edge = "top" if row == "upper" else "bottom"
            return self.dice.lean((f"at the {edge}", f"near the {edge}", f"in the {row} half"))
        return self.dice.lean(("in the middle", "in the centre", "near the middle", "right in the centre"))


def _noun(dice: Dice, group: Group) -> str:
    names = lexicon.SHAPES[group.shape]
    return dice.lean(names)[group.number > 1]


def _counted(count: str, words: Sequence[str]) -> str:
    """Count word and noun phrase, with ``an`` where a vowel follows: in this lexicon the letter tells the sound."""
    if count == "a" and words[0][0] in "aeiou":
        count = "an"
    return f"{count} {' '.join(words)}"


def _third(value: float, low: str, high: str) -> str:
    return low if value < 0.37 else high if value > 0.63 else ""
