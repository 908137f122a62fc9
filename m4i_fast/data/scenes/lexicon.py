"""The words of the generated scenes: what each thing can be called, and what nobody can see in the picture.

Every colour word belongs to one colour alone, so that a caption can be checked against its picture. Asides (moods,
times, tails, people) are drawn freely: like a human annotator's own turns of phrase, they cannot be told from the
picture, and only a captioner that has learned a caption by heart repeats them.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "ARRANGEMENTS",
    "BACKGROUNDS",
    "COLOURS",
    "COLOUR_OF_WORD",
    "COUNTS",
    "LIGHTS",
    "RELATIONS",
    "SHAPES",
    "SIZES",
    "TEXTURES",
    "TONGUES",
    "VERBS",
    "Place",
    "Tongue",
]


def _list(text: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in text.split("|"))


COLOURS: dict[str, tuple[str, ...]] = {
    "red": ("red", "scarlet", "crimson"),
    "blue": ("blue", "azure", "cobalt"),
    "green": ("green", "emerald", "jade"),
    "yellow": ("yellow", "lemon", "canary"),
    "orange": ("orange", "tangerine", "apricot"),
    "purple": ("purple", "violet", "plum"),
    "pink": ("pink", "rosy"),
    "brown": ("brown", "chocolate", "chestnut"),
    "white": ("white", "ivory"),
    "black": ("black", "ebony"),
    "teal": ("teal", "turquoise", "cyan"),
    "gold": ("gold", "golden", "mustard"),
    "silver": ("silver", "grey", "gray"),
    "magenta": ("magenta", "fuchsia"),
    "navy": ("navy", "indigo"),
    "lime": ("lime", "chartreuse"),
    "maroon": ("maroon", "burgundy"),
    "beige": ("beige", "cream"),
    "lilac": ("lilac", "lavender", "mauve"),
    "coral": ("coral", "salmon", "peach"),
}
COLOUR_OF_WORD: dict[str, str] = {word: colour for colour, names in COLOURS.items() for word in names}

# (one, many) pairs; the first is the plain name
SHAPES: dict[str, tuple[tuple[str, str], ...]] = {
    "circle": (("circle", "circles"), ("disc", "discs"), ("ball", "balls")),
    "square": (("square", "squares"), ("block", "blocks"), ("box", "boxes")),
    "triangle": (("triangle", "triangles"), ("pyramid", "pyramids"), ("wedge", "wedges")),
    "star": (("star", "stars"), ("starlet", "starlets")),
    "house": (("house", "houses"), ("cottage", "cottages"), ("home", "homes")),
    "tree": (("tree", "trees"), ("apple tree", "apple trees"), ("bush", "bushes")),
    "fish": (("fish", "fish"), ("goldfish", "goldfish"), ("little swimmer", "little swimmers")),
    "flower": (("flower", "flowers"), ("blossom", "blossoms"), ("daisy", "daisies")),
    "heart": (("heart", "hearts"), ("valentine", "valentines")),
    "boat": (("boat", "boats"), ("ship", "ships"), ("sailboat", "sailboats")),
    "bird": (("bird", "birds"), ("chick", "chicks"), ("duckling", "ducklings")),
    "balloon": (("balloon", "balloons"), ("party balloon", "party balloons")),
    "mushroom": (("mushroom", "mushrooms"), ("toadstool", "toadstools")),
    "ring": (("ring", "rings"), ("hoop", "hoops"), ("donut", "donuts")),
    "cross": (("cross", "crosses"), ("plus sign", "plus signs")),
    "diamond": (("diamond", "diamonds"), ("gem", "gems"), ("rhombus", "rhombuses")),
    "hexagon": (("hexagon", "hexagons"), ("honeycomb cell", "honeycomb cells")),
    "moon": (("moon", "moons"), ("crescent", "crescents")),
    "arrow": (("arrow", "arrows"), ("pointer", "pointers")),
    "rocket": (("rocket", "rockets"), ("spaceship", "spaceships")),
    "car": (("car", "cars"), ("taxi", "taxis"), ("vehicle", "vehicles")),
    "cup": (("cup", "cups"), ("mug", "mugs")),
    "umbrella": (("umbrella", "umbrellas"), ("parasol", "parasols")),
    "crown": (("crown", "crowns"), ("tiara", "tiaras")),
    "bolt": (("lightning bolt", "lightning bolts"), ("bolt", "bolts")),
    "cat": (("cat", "cats"), ("kitten", "kittens")),
}

SIZES: dict[str, tuple[str, ...]] = {
    "tiny": ("tiny", "very small", "minute", "teeny"),
    "small": ("small", "little", "smallish"),
    "medium": ("medium-sized", "middling", "ordinary"),
    "large": ("large", "big", "sizeable"),
    "huge": ("huge", "giant", "enormous", "very big"),
}

# (before the noun, after the noun)
TEXTURES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "plain": (("plain", "solid"), ("without any pattern",)),
    "striped": (("striped", "stripy", "banded"), ("with stripes", "covered in stripes")),
    "dotted": (("dotted", "spotted", "polka-dot"), ("with dots", "full of spots")),
    "checked": (("checked", "checkered", "chequered"), ("with a check pattern", "in checks")),
    "zigzag": (("zigzag", "wavy"), ("with zigzag lines", "with waves on top")),
    "hatched": (("hatched", "crosshatched", "gridded"), ("with a grid of lines", "crossed by lines")),
    "shaded": (("shaded", "two-tone", "fading"), ("fading downwards", "with a soft gradient")),
}

COUNTS: dict[int, tuple[str, ...]] = {
    1: ("a", "a", "a", "a", "a", "a", "one", "a single"),
    2: ("two", "a pair of", "a couple of"),
    3: ("three", "a trio of"),
    4: ("four", "several", "a group of"),
    5: ("five", "several", "a bunch of", "a handful of"),
}

ARRANGEMENTS: dict[str, tuple[str, ...]] = {
    "single": (),
    "row": ("in a row", "side by side", "lined up"),
    "column": ("one above the other", "in a column", "in a stack"),
    "diagonal": ("in a slanting line", "along a diagonal"),
    "ring": ("in a circle", "forming a circle"),
    "cluster": ("huddled together", "in a cluster", "bunched up"),
}

# how the first group stands to the second; the second stands to the first as OPPOSITE in grammar.py says
RELATIONS: dict[str, tuple[str, ...]] = {
    "left": ("to the left of", "left of", "on the left of", "on the left-hand side of"),
    "right": ("to the right of", "right of", "on the right of", "on the right-hand side of"),
    "above": ("above", "over", "high above", "up above"),
    "below": ("below", "under", "beneath", "underneath"),
    "near": ("next to", "beside", "close to", "near", "by", "right beside"),
    "on": ("on top of", "on", "upon", "atop", "balanced on"),
    "inside": ("inside", "within", "in the middle of", "surrounded by"),
    "around": ("around", "surrounding", "enclosing", "framing"),
    "front": ("in front of", "partly hiding", "covering part of"),
    "behind": ("behind", "half hidden by", "partly covered by", "peeking out from behind"),
}

# (one does, many do, doing)
VERBS: tuple[tuple[str, str, str], ...] = (
    ("stands", "stand", "standing"),
    ("sits", "sit", "sitting"),
    ("rests", "rest", "resting"),
    ("lies", "lie", "lying"),
    ("waits", "wait", "waiting"),
    ("floats", "float", "floating"),
    ("hovers", "hover", "hovering"),
    ("hangs", "hang", "hanging"),
    ("appears", "appear", "appearing"),
    ("can be seen", "can be seen", "showing up"),
    ("is placed", "are placed", "placed"),
    ("shows up", "show up", "posing"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """A background's words. ``where``: adverbials; ``names``: noun phrases; ``colours``: colours its words may name."""

    where: tuple[str, ...]
    names: tuple[str, ...]
    colours: tuple[str, ...] = ()


BACKGROUNDS: dict[str, Place] = {
    "meadow": Place(
        _list("on a green meadow|in the grass|on the grass|in a grassy field|on the lawn|among green hills"),
        _list("a green meadow|a grassy field|a lawn|a gentle hillside|a pasture"),
        ("green",),
    ),
    "sky": Place(
        _list("in the sky|up in the air|among the clouds|high in the sky|in the open air|between fluffy clouds"),
        _list("a wide sky|a sky full of clouds|the open sky|some clouds"),
    ),
    "beach": Place(
        _list("on the beach|on the sand|by the sea|at the seaside|on a sandy shore|near the water"),
        _list("a sandy beach|a stretch of sand|the seaside|a warm shore"),
    ),
    "room": Place(
        _list("in a room|on the floor|indoors|against the wall|in the living room|in front of the wallpaper"),
        _list("a bare room|a living room|a room with a wooden floor|an empty room"),
    ),
    "sea": Place(
        _list("on the sea|on the waves|out on the water|in the middle of the lake|over blue water|at sea"),
        _list("a calm lake|blue water|the open sea|some gentle waves"),
        ("blue",),
    ),
    "snow": Place(
        _list("in the snow|on the snow|in a snowy field|on white ground|in winter|amid falling snowflakes"),
        _list("a snowy field|a winter landscape|fresh white snow|a snow-covered plain"),
        ("white",),
    ),
    "night": Place(
        _list("at night|in the dark|under the stars|in the moonlight|beneath a starry sky|after dark"),
        _list("a starry night|a dark sky|the night sky|a moonlit hill"),
    ),
    "space": Place(
        _list("in outer space|among the galaxies|in the cosmos|deep in space|in zero gravity|in orbit"),
        _list("a distant galaxy|outer space|a glowing nebula|the universe"),
    ),
    "desert": Place(
        _list("in the desert|on a dune|among the dunes|in the heat|on dry land|in a barren desert"),
        _list("a hot desert|a line of dunes|a barren landscape|the wilderness"),
    ),
    "forest": Place(
        _list("in the forest|in the woods|between tree trunks|in the undergrowth|deep in the woods|in the shade"),
        _list("a dense forest|a gloomy wood|a jungle|a thicket"),
    ),
    "city": Place(
        _list("in the city|before a skyline|downtown|on the street|among skyscrapers|over the rooftops"),
        _list("a big city|a row of skyscrapers|a skyline|a busy town"),
    ),
    "table": Place(
        _list("on a tablecloth|on the table|on checked fabric|on a picnic blanket|on the cloth|at the buffet"),
        _list("a tablecloth|a picnic blanket|a piece of checked fabric|a laid table"),
    ),
}

# the light of an outdoor scene: adverbials that the picture bears out, and the colours that they name
LIGHTS: dict[str, Place] = {
    "clear": Place(_list("under a blue sky|on a sunny day|in bright sunshine|in fine weather"), (), ("blue",)),
    "sunset": Place(_list("at sunset|in the evening glow|under an orange sky|at dusk"), (), ("orange",)),
    "overcast": Place(_list("under a grey sky|on a cloudy day|in dull weather|on a gloomy day"), (), ("silver",)),
    "none": Place((), ()),
}


@dataclass(frozen=True, slots=True)
class Tongue:
    """What a world's annotators like to say that no picture shows.

    Attributes:
        media: names of the picture itself.
        moods: adjectives of taste.
        times: adverbials of time.
        tails: closing asides.
        people: who is said to have put things there.
        deeds: what those people did (transitive, past).
        openers: openings before a noun phrase.
    """

    media: tuple[str, ...]
    moods: tuple[str, ...]
    times: tuple[str, ...]
    tails: tuple[str, ...]
    people: tuple[str, ...]
    deeds: tuple[str, ...]
    openers: tuple[str, ...]


TONGUES: dict[str, Tongue] = {
    "plain": Tongue(
        media=_list(
            "a picture|a drawing|a painting|a photo|a postcard|a sketch|an image|a snapshot|a crayon drawing"
            "|a watercolour|a page of a picture book"
        ),
        moods=_list(
            "lonely|cheerful|shy|friendly|old|brand-new|funny|lovely|neat|sleepy|proud|quiet|curious|simple|odd"
            "|pretty|wobbly|cosy|brave|gentle|silly|plump|clumsy|charming|tidy|bright|handmade|unusual"
        ),
        times=_list(
            "this morning|after lunch|on a quiet Sunday|early in April|on a Tuesday|at tea time|last summer"
            "|before school|on the first of May|during the holidays|after the rain|one fine day|on my birthday"
        ),
        tails=_list(
            "as if waiting for rain|with nobody around|just like in a storybook|looking rather pleased"
            "|and nothing else|for no clear reason|as my sister drew it|ready for a party|in perfect peace"
            "|far from home|while the wind blows|with plenty of room to spare|as children like to paint"
            "|waiting for a friend|dreaming of summer|as usual|once again|in complete silence|without a care"
            "|almost in focus|for everybody to see|to the delight of the neighbours|which made us smile"
            "|according to grandma|on the way to school|at the end of the road|after a long walk"
            "|and it smells of hay|like a birthday cake|never to be moved|as round as pancakes|just in time for dinner"
            "|as in a dream|minding nobody|in a good mood|with a hint of spring|painted with care|made of paper"
        ),
        people=_list(
            "somebody|someone|a child|my brother|grandma|the teacher|a painter|our neighbour|a farmer|uncle Ben"
        ),
        deeds=_list("has put|left|placed|painted|drew|forgot|arranged|has hidden|lost|set down|sketched"),
        openers=_list("we see|you can spot|here you have|I can see|this shows|look at|it shows|notice|just|we have"),
    ),
    "shifted": Tongue(
        media=_list(
            "a poster|a screenshot|a render|a collage|a mosaic|an illustration|a mural|a hologram|an emblem"
            "|a comic panel|an image|a stained-glass window"
        ),
        moods=_list(
            "shiny|eerie|futuristic|mysterious|glowing|antique|elegant|dusty|rusty|metallic|ghostly|ancient"
            "|polished|crooked|strange|weird|mighty|sleek|noisy|electric|haunted|expensive|royal|odd|bright|secret"
        ),
        times=_list(
            "at midnight|in the year three thousand|once upon a time|after the show|on opening night|long ago"
            "|during the power cut|at rush hour|before the storm|in the late hours|on the last day|after the rain"
        ),
        tails=_list(
            "like a prop on a stage|guarded by nobody|as the legend says|ready for launch|under high voltage"
            "|in defiance of gravity|sold at auction|without any warning|as in a video game|beyond all doubt"
            "|like a logo|waiting for orders|in mint condition|as usual|from another century|on full power"
            "|casting a long shadow|as seen from a drone|part of an exhibition|never explained|cursed forever"
            "|humming softly|in strict formation|with surgical precision|like treasure|as a warning to others"
            "|far from home|made of steel|made of glass|about to vanish|in total secrecy|for the museum"
        ),
        people=_list(
            "an engineer|the robot|a stranger|the wizard|the curator|an astronaut|the mechanic|a smuggler"
            "|someone|the director"
        ),
        deeds=_list(
            "parked|installed|abandoned|assembled|displayed|projected|mounted|smuggled in|unveiled|left|deployed"
        ),
        openers=_list(
            "behold|the camera shows|the display features|on screen we find|we encounter|the exhibit presents|we see"
        ),
    ),
}
