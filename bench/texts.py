"""What the benches read: captions made here with the statistics of Flickr8k, the user's own, and long reports.

Made captions are not read by anybody: their words are syllables. What they share with Flickr8k is what costs time:
the lengths of captions and words, how common the common words are, and how much two captions have in common.
"""

from __future__ import annotations

import hashlib
import random
import tarfile
import tempfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from m4i_fast.errors import DataError

__all__ = ["IMAGES", "Texts", "in_many_letters", "made_captions", "made_duplicates", "made_reports", "read_captions"]

IMAGES = 8091
"""As many as Flickr8k has."""
REFERENCES = 5
REPORTS = 500
_SHORTEST, _LONGEST = 60, 300  # tokens of a report


@dataclass(frozen=True, slots=True)
class Texts:
    """N rows to score. ``references``: N lists of equal length; ``source``: where the texts come from, with a digest.

    The hypothesis of a row is the first reference of the next one: a caption as people write them, of another picture.
    """

    hypotheses: list[str]
    references: list[list[str]]
    source: str

    def __len__(self) -> int:
        """N."""
        return len(self.hypotheses)

    def some(self, rows: int) -> Texts:
        """At most so many rows, spread over all."""
        step = max(1, len(self) // max(rows, 1))
        return Texts(self.hypotheses[::step][:rows], self.references[::step][:rows], self.source)

    @property
    def pairs(self) -> int:
        """Hypotheses times references."""
        return sum(map(len, self.references))

    def all_references(self) -> list[str]:
        """Those of all rows, one row after the other."""
        return [text for row in self.references for text in row]

    def hypothesis_of_each(self) -> list[str]:
        """The hypothesis of each of ``all_references``."""
        return [said for said, row in zip(self.hypotheses, self.references, strict=True) for _ in row]


def read_captions(path: Path, rows: int | None = None) -> Texts:
    """Captions of the user's own: the first five of each record that has so many.

    Args:
        path: anything that ``m4i_fast.data.readers`` knows, or a tar archive with one ``captions.json`` in it.
        rows: at most so many records.

    Raises:
        DataError: it cannot be read, or no record has five captions.
    """
    from m4i_fast.data.readers import read_records

    if path.is_file() and tarfile.is_tarfile(path):
        with tempfile.TemporaryDirectory() as folder:
            records = read_records(_captions_within(path, Path(folder)))
    else:
        records = read_records(path)
    found = [list(record.references[:REFERENCES]) for record in records if len(record.references) >= REFERENCES]
    if len(found) < 2:
        raise DataError(
            f"{len(found)} of {len(records)} records have {REFERENCES} captions; two or more must",
            where=path,
            cure="Give captions in the layout of COCO or Flickr8k, or leave --data out.",
        )
    return _rows(found[:rows], "/".join(path.resolve().parts[-2:]))


def made_captions(rows: int = IMAGES) -> Texts:
    """Captions of so many pictures, five each: the same ones every time."""
    rng = random.Random(8091)
    nouns, adjectives, verbs = (_Words(rng, *each) for each in ((7600, 1.4, 1.1), (1500, 1.8, 1.1), (2800, 1.4, 1.25)))
    determiners, links = _Choice(_DETERMINERS), _Choice(_LINKS)

    def thing() -> str:
        return (adjectives.draw(rng) + " " if rng.random() < 0.42 else "") + nouns.draw(rng)

    def doing() -> str:
        verb = verbs.draw(rng) + " " if rng.random() < 0.62 else ""
        return verb + links.draw(rng) + (" " + determiners.draw(rng) if rng.random() < 0.72 else "")

    def caption(things: list[str], doings: list[str]) -> str:
        wanted = min(max(round(rng.gammavariate(*_LENGTH)), 1), 36)
        words = determiners.draw(rng).split() if rng.random() < 0.85 else []
        while len(words) < wanted:
            words += (rng.choice(things) if rng.random() < _ON_TOPIC else thing()).split()
            words += (rng.choice(doings) if rng.random() < _ON_TOPIC else doing()).split()
        text = " ".join(words[:wanted]).capitalize()
        if rng.random() < 0.06:
            text = text.replace(" ", " , ", 1)
        return text + (" ." if rng.random() < 0.9 else "")

    found = []
    for _ in range(rows):
        things, doings = [thing() for _ in range(3)], [doing() for _ in range(3)]
        found.append([caption(things, doings) for _ in range(REFERENCES)])
    return _rows(found, "made captions")


def made_reports(rows: int = REPORTS) -> Texts:
    """Texts of 60 to 300 tokens, one reference each: sentences of a small vocabulary, as reports of findings are."""
    rng = random.Random(300)
    vocabulary = _Words(rng, 1500, 2.7, 1.0)

    def report() -> str:
        wanted = rng.randint(_SHORTEST, _LONGEST)
        tokens: list[str] = []
        while len(tokens) < wanted:
            sentence = [vocabulary.draw(rng) for _ in range(rng.randint(4, 18))]
            tokens += [sentence[0].capitalize(), *sentence[1:], "."]
        return " ".join(tokens[:wanted])

    return _rows([[report()] for _ in range(rows)], "made reports")


def made_duplicates(rows: int = REPORTS) -> Texts:
    """``a a a a``, 60 to 300 times: every n-gram is like every other, which hash tables and tries like least."""
    rng = random.Random(1)
    return _rows([[" ".join("a" * rng.randint(_SHORTEST, _LONGEST))] for _ in range(rows)], "made duplicates")


def in_many_letters(texts: Texts) -> Texts:
    """The same rows; a quarter of the different words has accents, another is in Cyrillic. Equal words stay equal."""

    def spelt(text: str) -> str:
        words = text.split(" ")
        return " ".join(word.translate(_LETTERS.get(zlib.crc32(word.lower().encode()) % 4, {})) for word in words)

    rows = [list(map(spelt, row)) for row in texts.references]
    return Texts(list(map(spelt, texts.hypotheses)), rows, f"{texts.source}, in many letters")


_LETTERS = {
    0: str.maketrans("aeiouAEIOU", "àéïöüÀÉÏÖÜ"),
    1: str.maketrans(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "абцдефгхийклмнопярстувшхузАБЦДЕФГХИЙКЛМНОПЯРСТУВШХУЗ"
    ),
}

# How common the words of Flickr8k's captions are was counted over all 40,455; these weights, the lengths and the
# exponents were set until the made captions' counts came near (tests/bench/test_texts.py says which, and how near).
_DETERMINERS = (("a", 60), ("the", 17), ("two", 6), ("an", 3), ("his", 3), ("three", 1.5), ("her", 1.5), ("some", 1))
_LINKS = (
    *(("in", 19), ("on", 10), ("is", 6), ("and", 9), ("with", 8), ("of", 6), ("are", 3), ("to", 3), ("at", 3)),
    *(("through", 2), ("while", 1.5), ("down", 1.5), ("over", 1), ("by", 1), ("near", 1), ("up", 1), ("behind", 1)),
    *(("in front of", 1.5), ("is in", 1), ("next to", 1), ("on top of", 0.3), ("with his", 0.5), ("and is", 0.5)),
)
_LENGTH = (8.2, 1.32)  # shape and scale, in words
_ON_TOPIC = 0.6
_LENGTHS = ((3, 17), (4, 18), (5, 25), (6, 14), (7, 14), (8, 6), (9, 2), (10, 2), (11, 1), (12, 1))


class _Choice:
    """Draws words by weight. Of ``random`` only what gives the same numbers in every release of Python is used."""

    def __init__(self, weighted: Iterable[tuple[str, float]]) -> None:
        self._words, weights = zip(*weighted, strict=True)
        self._sums = list(accumulate(weights))

    def draw(self, rng: random.Random) -> str:
        word: str = rng.choices(self._words, cum_weights=self._sums)[0]
        return word


class _Words(_Choice):
    """So many made words, the i-th with the weight (i + shift) ** -exponent (Zipf and Mandelbrot)."""

    def __init__(self, rng: random.Random, count: int, shift: float, exponent: float) -> None:
        words: dict[str, None] = {}
        while len(words) < count:
            size = rng.choices(*zip(*_LENGTHS, strict=True))[0]
            words["".join(rng.choice("bdfgklmnprstvw" if at % 2 == 0 else "aeiou") for at in range(size))] = None
        super().__init__((word, (at + shift) ** -exponent) for at, word in enumerate(words))


def _rows(references: Sequence[list[str]], name: str) -> Texts:
    hypotheses = [row[0] for row in (*references[1:], *references[:1])]
    digest = hashlib.sha256()
    for row in references:
        for text in row:
            digest.update(text.encode("utf-8", "surrogatepass") + b"\n")
    shape = f"{len(references):,} rows with {len(references[0])} reference{'s' * (len(references[0]) > 1)}"
    return Texts(hypotheses, list(references), f"{name}: {shape}, sha256 {digest.hexdigest()[:12]}")


def _captions_within(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as opened:
        members = [each for each in opened if each.isfile() and Path(each.name).name == "captions.json"]
        if len(members) != 1:
            raise DataError(
                f"the archive holds {len(members)} files named captions.json, not one",
                where=archive,
                cure="Unpack it and give the captions' file.",
            )
        content = opened.extractfile(members[0])
        assert content is not None
        (folder / "captions.json").write_bytes(content.read())
    return folder / "captions.json"
