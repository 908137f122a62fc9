"""The sentences that every recipe is held to its package on: ``sentences.txt``, one a line.

All were written for the purpose. Those above ``MARK`` were written one by one; those below are drawn here, by a seed,
of clauses that stand here and of the lines above. To draw them again: ``python -m tests.text.sentences``.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

PATH = Path(__file__).with_name("sentences.txt")
MARK = "-- what follows was drawn --"
SEED = 20310303


def parted(clauses: str, at: str = "|") -> list[str]:
    return clauses.split(at)


WHO = parted(
    "a dog|two dogs|three brown dogs|a small black dog with a red collar|the dog|a man|an old man|"
    "a man in a blue jacket|two men wearing helmets|a woman|a young woman with long hair|"
    "the woman in the green dress|a boy|a little boy|a girl|a girl of about five|some children|"
    "a group of children in school uniforms|several people|a crowd|no one|a cyclist|the cyclist on the left|"
    "a surfer|a climber|a fisherman and his son|a street musician|a waiter|an umpire|a toddler|a horse|"
    "two horses|a white horse without a rider|a cat|a grey cat|the cat's owner|a bird|seagulls|"
    "a flock of sheep|a bride and her father|a construction worker|the goalkeeper|someone|"
    "a man who isn't looking|twins|a brass band"
)
DOES = parted(
    "runs|is running|runs and runs|jumps|jumps over a fence|leaps into the air|is jumping|sits|sits down|"
    "is sitting|stands still|is standing|waits|waits for the bus|reads a newspaper|is reading a map|"
    "eats an apple|eats|is eating|plays the accordion|plays|is playing with a ball|throws a yellow ball|"
    "catches the ball|chases a ball|swims|paddles a canoe|rides a bike|is riding a bicycle|climbs|"
    "is climbing a rock|looks at the camera|looks away|doesn't look up|holds a sign|"
    "is holding hands with a stranger|takes a photo|sleeps|is asleep|laughs|shouts|pushes a pram|"
    "carries a ladder|digs a hole|digs|paints a wall white|sells oranges|wears sunglasses|hides|walks past|"
    "is walking|can't stop laughing"
)
WHERE = parted(
    "in the snow|in deep snow|on the grass|on green grass|on a beach|at the beach|near the water|"
    "in the water|in a pool|on a wooden pier|beside a lake|under a bridge|on a bridge|in front of a shop|"
    "in front of a brick wall|on the steps|at a bus stop|at night|by the river|in a field of sunflowers|"
    "in a crowded market|on a dirt road|on a busy street|in the rain|indoors|in a stadium|on top of a hill|"
    "behind a fence|between two parked cars|in the middle of the road|across the street|at a table|"
    "in a tunnel|on the ice|in the air|among the trees|near an airport|around a fountain"
)
LINKS = (
    " and ",
    " while ",
    ", and ",
    " ; ",
    " - ",
    " as ",
    ", but ",
    " -- ",
    ". ",
    " where ",
    " near which ",
    ", then ",
)
ENDS = ("", "", "", ".", " .", "!", "...", " ...", ".", "?")

PLACES = parted(
    "There are many|Several|Some|A lot of|Two rows of|Many green|A few scattered|Dozens of|No|A dense group of"
)
THINGS = parted(
    "buildings|trees|green trees|white planes|cars|boats|storage tanks|tennis courts|houses with red roofs|"
    "containers|parking lots|fields|ponds|greenhouses|piers"
)
SIDES = parted(
    "are near a road|are beside a river|lie in two sides of a railway|stand around a large square|"
    "are in a port|are neatly arranged|are in a desert|surround a playground|are next to a bare land|"
    "can be seen from above|are on both sides of a curved road|are near the sea with white waves|"
    "are in a resort with a swimming pool"
)

SPEAKERS = parted(
    "the minister|a spokesman|Dr. Anna Olsen|Mr. Okafor|the union|the team's coach|officials|"
    "the 34-year-old driver|neighbours|J. P. Varga|police in the capital|the report|the airline|Ms. Li|"
    "one of the farmers|a U.N. envoy"
)
CLAIMS = parted(
    "prices will rise by {percent} next year|nobody had been told|the bridge isn't safe|"
    "{number} people were still missing|the vote had been postponed until {date}|it would cost ${number}|"
    'they\'re "not surprised"|the plant will close|two-thirds of the crop was lost|'
    "a deal worth €{decimal}bn was near|talks would go on (without the press)|it was too early to say|"
    "the ship left port at {time}|all {number} seats had been sold|the suspect, {age}, was arrested|"
    "rain had delayed the {ordinal} stage|profits fell {percent}, to ${decimal} million|he'd do it again"
)
TURNS = parted(
    '{speaker} said {claim}.|{claim}, {speaker} said.|"{claim}," said {speaker}.|'
    "According to {speaker}, {claim}.|{speaker} said on {day} that {claim}, but that {claim}.|"
    "“{claim},” {speaker} told reporters.|{speaker}: {claim}|{day} -- {speaker} said {claim}; {claim}.|"
    "Why {claim}|{speaker} denied that {claim} ...|{claim} - {speaker}"
)
DAYS = parted("Monday|Tuesday|Wed.|Thursday|Friday night|3 March|March 3, 2031|the 2nd|03/03/2031|last week")

FINDINGS = parted(
    "The heart is normal in size.|Heart size is normal.|The heart is mildly enlarged, unchanged.|"
    "The lungs are clear.|The lungs are clear bilaterally without focal consolidation.|"
    "Lungs are hyperinflated.|Low lung volumes.|There is no pleural effusion or pneumothorax.|"
    "No pneumothorax.|No effusion.|There is a small {side} pleural effusion.|"
    "Small {side}-sided pleural effusion, decreased since {date}.|"
    "There is a {decimal} cm nodule in the {side} upper lobe.|"
    "A {decimal} mm nodule in the {side} lower lobe is unchanged from {date}.|"
    "Streaky {side} basilar opacities may be atelectasis.|"
    "Bibasilar atelectasis, {side} greater than the other side.|"
    "The mediastinal contours are within normal limits.|The cardiomediastinal silhouette is stable.|"
    "Aortic calcifications are noted.|No acute osseous abnormality.|"
    "Degenerative changes of the thoracic spine.|Old healed fracture of the {side} {ordinal} rib.|"
    "The tip of the line projects over the SVC.|The ET tube tip is {decimal} cm above the carina.|"
    "No free air under the diaphragm.|Surgical clips in the {side} axilla, as before.|"
    "Compared to {date}, there is no significant change.|Follow-up in {number} weeks is recommended.|"
    "Findings were discussed with Dr. Varga at {time} on {date}.|Calcified granuloma in the {side} lung.|"
    "The hila are not enlarged.|Pulmonary vascularity is normal.|"
    "Increased interstitial markings, possibly mild edema.|Eventration of the {side} hemidiaphragm.|"
    "The patient is status post sternotomy with {number} intact wires.|Views: PA and lateral (2)."
)
HEADS = parted("FINDINGS: |IMPRESSION: |Chest, two views. |EXAM: CXR. |||1. ")

OFFERS = parted(
    "{thing} for ${decimal}|{thing}: {decimal} €|-{percent} off {thing}!!!|"
    "Only {number} left: {thing} (was ${decimal})|{number} x {thing} @ {decimal}|"
    "call +00 {number}-{number} for {thing}|order {thing} before {date}, {time}|{thing} & free shipping*|"
    "https://example.org/{number}/{slug}?ref={slug}&n={number}|{slug}.{slug}@example.org|"
    "www.example.org/{slug}|{thing} #{slug} #{number}|@{slug} {thing}?|{number}-piece {thing}, {decimal} kg|"
    "Qty. {number}; {thing}; No. {number}/{number}|{time}-{time}: {thing} [{slug}]|"
    "{thing} ({number}cm x {decimal}cm)|&quot;{thing}&quot; &amp; more|<b>{thing}</b> &lt;{number}&gt;|"
    "{thing}...{thing}...{number}!|{thing}/{thing}"
)
GOODS = parted(
    "second-hand bikes|a child's bed|TV stand|size-12 boots|jar of honey|the dog's collar|ice cream|LED lamp|"
    "sofa bed|half-price tickets|crème brûlée|a pair of jeans|jalapeños|garden chairs|men's shirts|décor|"
    "wi-fi router"
)
SLUGS = parted("red_bike|summer-sale|a1|new|ladder2|the.best|x|lamp-50w|Q4|blue")

SIGNS = parted(
    "! ? . , ; : - -- ... … ' \" ( ) [ ] & / * % $ # @ + = < > “ ” ‘ ’ « » – — · • 。 、 ، ؟ ¿ ¡ € ° 🐕 ❤️ 🎉 ✓",
    " ",
)
SPACES = ("  ", "\t", "\u00a0", "\u2003", "\u3000", "\u2009", " \u200b", "\u2028", "\u0085", "\u202f")


class Drawer:
    """Draws one kind of line after the other."""

    def __init__(self, written: list[str]) -> None:
        self.chance = random.Random(SEED)
        self.written = written

    def one(self, options: list[str] | tuple[str, ...]) -> str:
        return self.chance.choice(options)

    def number(self) -> str:
        value = self.chance.choice(
            [self.chance.randint(1, 12), self.chance.randint(13, 999), self.chance.randint(1000, 9999999)]
        )
        return f"{value:,}" if self.chance.random() < 0.6 else str(value)

    def filled(self, frame: str) -> str:
        """The frame, with everything in braces drawn anew each time it stands there."""
        chance = self.chance
        fillers: dict[str, Callable[[], str]] = {
            "number": self.number,
            "decimal": lambda: f"{chance.randint(0, 99)}.{chance.randint(0, 99)}",
            "percent": lambda: f"{chance.randint(1, 99)}{chance.choice(['%', ' %', ' percent', '.5%', ' per cent'])}",
            "date": lambda: self.one(DAYS),
            "day": lambda: self.one(DAYS),
            "time": lambda: (
                f"{chance.randint(0, 23)}:{chance.randint(0, 59):02d}{chance.choice(['', ' a.m.', 'h', ' pm'])}"
            ),
            "age": lambda: str(chance.randint(18, 90)),
            "ordinal": lambda: chance.choice(["1st", "2nd", "3rd", "4th", "5th", "fifth", "21st"]),
            "side": lambda: chance.choice(["left", "right"]),
            "speaker": lambda: self.one(SPEAKERS),
            "claim": lambda: self.one(CLAIMS),
            "thing": lambda: self.one(GOODS),
            "slug": lambda: self.one(SLUGS),
        }
        while "{" in frame:
            frame = re.sub(r"\{(\w+)\}", lambda match: fillers[match[1]](), frame)
        return frame

    def caption(self) -> str:
        def clause() -> str:
            return " ".join(
                [self.one(WHO), self.one(DOES), *self.chance.sample(WHERE, self.chance.choice([0, 1, 1, 1, 2]))]
            )

        text = clause()
        for _ in range(self.chance.choice([0, 0, 0, 1, 1, 2])):
            text += self.one(LINKS) + clause()
        return self.dressed(text + self.one(ENDS))

    def from_above(self) -> str:
        text = f"{self.one(PLACES)} {self.one(THINGS)} {self.one(SIDES)}"
        if self.chance.random() < 0.4:
            text += f" and {self.one(THINGS)} {self.one(SIDES)}"
        return self.dressed(text + self.one((" .", ".", "")))

    def dressed(self, text: str) -> str:
        """In one of the ways in which captions are typed."""
        way = self.chance.random()
        if way < 0.35:
            return text[:1].upper() + text[1:]
        if way < 0.4:
            return text.upper()
        if way < 0.44:
            return text.title()
        return text

    def news(self) -> str:
        text = self.filled(self.one(TURNS))
        return text[:1].upper() + text[1:]

    def report(self) -> str:
        findings = [self.filled(each) for each in self.chance.sample(FINDINGS, self.chance.randint(4, 16))]
        if self.chance.random() < 0.3:
            findings.insert(len(findings) // 2, "IMPRESSION:")
        text = self.one(HEADS) + " ".join(findings)
        if self.chance.random() < 0.25:
            text = re.sub(r"([.,;:])", r" \1", text.lower())
        return text

    def offer(self) -> str:
        return self.filled(self.one(OFFERS))

    def joined(self) -> str:
        """Halves of two lines that were written, of whatever script."""
        first, second = self.one(self.written).split(" "), self.one(self.written).split(" ")
        return " ".join(first[: (len(first) + 1) // 2] + second[len(second) // 2 :])

    def disturbed(self) -> str:
        """A caption with signs and rare spaces in it."""
        words = self.caption().split(" ")
        for _ in range(self.chance.randint(1, 4)):
            at = self.chance.randrange(len(words))
            sign = self.one(SIGNS)
            words[at] = self.chance.choice(
                [sign + words[at], words[at] + sign, sign, f"{words[at]} {sign}", words[at] + sign + words[at]]
            )
        text = " ".join(words)
        if self.chance.random() < 0.4:
            text = text.replace(" ", self.one(SPACES), self.chance.randint(1, 3))
        return text

    def mixed(self) -> str:
        """Words of many lines in no order."""
        return " ".join(self.one(self.one(self.written).split() or [""]) for _ in range(self.chance.randint(1, 12)))


def draw(written: list[str]) -> list[str]:
    """The lines below the mark."""
    drawer = Drawer(written)
    kinds = (
        (drawer.caption, 900),
        (drawer.from_above, 150),
        (drawer.news, 280),
        (drawer.report, 220),
        (drawer.offer, 260),
        (drawer.joined, 250),
        (drawer.disturbed, 280),
        (drawer.mixed, 160),
    )
    lines = [kind() for kind, count in kinds for _ in range(count)]
    drawer.chance.shuffle(lines)
    return lines


def written_and_drawn() -> tuple[list[str], list[str]]:
    """The lines of the file above and below the mark. Only U+000A ends a line here: U+2028 and U+0085 are text."""
    lines = PATH.read_bytes().decode().removesuffix("\n").split("\n")
    at = lines.index(MARK)
    return lines[:at], lines[at + 1 :]


@cache
def sentences() -> tuple[str, ...]:
    """All of them."""
    written, drawn = written_and_drawn()
    return (*written, *drawn)


def edited(text: str, chance: random.Random) -> str:
    """A near-duplicate: words dropped, swapped, replaced, doubled; or another case, or other white space."""
    words = text.split(" ")
    for _ in range(chance.choice([0, 1, 1, 2, 3, 5])):
        at = chance.randrange(len(words))
        match chance.randrange(6):
            case 0:
                del words[at]
            case 1:
                other = chance.randrange(len(words))
                words[at], words[other] = words[other], words[at]
            case 2:
                words[at] = chance.choice(sentences()[chance.randrange(len(sentences()))].split(" "))
            case 3:
                words.insert(at, words[at])
            case 4:
                words[at] = words[at].swapcase()
            case 5:
                words = words[at:] + words[:at]
        words = words or [""]
    return " ".join(words)


@cache
def rows(*, every: int = 1) -> tuple[list[str], list[list[str]]]:
    """Each sentence against 1 to 5 references: edited copies of it and of its neighbours, and others.

    Args:
        every: only each ``every``-th of the rows.
    """
    chance = random.Random(SEED)
    lines = sentences()
    hypotheses, references = [], []
    for at, line in enumerate(lines):
        around = [line, line, line, lines[(at + 1) % len(lines)], chance.choice(lines)]
        hypotheses.append(line)
        references.append([edited(chance.choice(around), chance) for _ in range(chance.randint(1, 5))])
    return hypotheses[::every], references[::every]


if __name__ == "__main__":
    above, _ = written_and_drawn()
    PATH.write_bytes("".join(f"{line}\n" for line in [*above, MARK, *draw(above)]).encode())
