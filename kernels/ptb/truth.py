"""The PTB tokeniser, defined: slow and obvious. Every backend must give what this gives."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Final

from m4i_fast.kernels.ptb.lowering import lower
from m4i_fast.kernels.ptb.notation import Automaton, parse, reverse
from m4i_fast.kernels.ptb.rules import RULES, Made, Rule, parts
from m4i_fast.kernels.ptb.words import REMOVED

__all__ = ["alone", "as_document", "tokens"]

SOFT_HYPHEN: Final = "\u00ad"


def as_document(captions: Sequence[str]) -> list[str]:
    r"""Captions as pycocoevalcap gives them to Java, in one document: for each what it takes for that caption.

    A caption that holds the end of a line (other than ``\\n``, which becomes a blank) moves those after it.
    """
    for caption in captions:
        caption.encode()  # UnicodeEncodeError, a ValueError
    document = "\n".join(caption.replace("\n", " ") for caption in captions)
    lines = "".join(_printed(document)).split("\n")
    return [_kept(line) for _, line in zip(captions, lines, strict=False)]


def alone(caption: str) -> str:
    """One caption by itself; ends of lines in it part tokens and are nothing more."""
    return _kept(" ".join(token for token in tokens(caption.replace("\n", " ")) if token is not None))


def tokens(text: str) -> Iterator[str | None]:
    """The tokens in lower case; None for the end of a line."""
    units = _as_units(text)
    at = 0
    while at < len(units):
        rule, end = _match(units, at)
        token = units[at:end]
        if rule.made is Made.LINE:
            yield None
        elif rule.made is not Made.NOTHING:
            if rule.again:
                end -= 1
                token = units[at:end] if rule.alone and len(token) == 2 else token
            yield lower(_from_units(_MAKERS[rule.made](token) if rule.made is not Made.FIXED else rule.text))
        at = end


def _printed(document: str) -> Iterator[str]:
    """The document as Java prints it."""
    first = True
    for token in tokens(document):
        if token is not None and not first:
            yield " "
        first = token is None
        yield "\n" if token is None else token


def _kept(line: str) -> str:
    return " ".join(token for token in line.rstrip().split(" ") if token not in REMOVED)


# Java reads text as 16-bit units, a character beyond them as a pair.


def _as_units(text: str) -> str:
    return "".join(map(chr, memoryview(text.encode("utf-16-le", "surrogatepass")).cast("H")))


def _from_units(units: str) -> str:
    return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


class Machine:
    """An automaton made deterministic as far as it is used.

    Args:
        automaton: of numbered patterns; where several accept, the lowest number does.
        start: the state to begin in.
    """

    def __init__(self, automaton: Automaton, start: int) -> None:
        self._automaton = automaton
        self._borders, self._classes, members = automaton.classes()
        self._sets = [frozenset(classes) for classes in members]
        self._states: dict[frozenset[int], int] = {}
        self._members: list[frozenset[int]] = []
        self.accepts: list[int | None] = []
        self._moves: dict[tuple[int, int], int] = {}
        self._numbered(frozenset())  # state 0: no match can follow
        self.start = self._numbered(self._closed([start]))

    def move(self, state: int, unit: str) -> int:
        """The state after one more unit."""
        kind = self._classes[bisect_right(self._borders, ord(unit)) - 1]
        if (state, kind) not in self._moves:
            steps = chain.from_iterable(self._automaton.steps[each] for each in self._members[state])
            after = self._closed([target for chosen, target in steps if kind in self._sets[chosen]])
            self._moves[state, kind] = self._numbered(after)
        return self._moves[state, kind]

    def _closed(self, states: list[int]) -> frozenset[int]:
        found = set(states)
        while states:
            for target in self._automaton.free[states.pop()]:
                if target not in found:
                    found.add(target)
                    states.append(target)
        return frozenset(found)

    def _numbered(self, members: frozenset[int]) -> int:
        if members not in self._states:
            self._states[members] = len(self._members)
            self._members.append(members)
            accepted = (self._automaton.accepts[each] for each in members if each in self._automaton.accepts)
            self.accepts.append(min(accepted, default=None))
        return self._states[members]


@cache
def _lexer() -> Machine:
    automaton = Automaton()
    start = automaton.state()
    for number, rule in enumerate(RULES):
        automaton.add(start, parse(f"({rule.match})({rule.ahead})", parts()), number)
    return Machine(automaton, start)


@cache
def _single(pattern: str, *, backwards: bool = False) -> Machine:
    automaton = Automaton()
    start = automaton.state()
    node = parse(pattern, parts())
    automaton.add(start, reverse(node) if backwards else node, 0)
    return Machine(automaton, start)


def _match(units: str, at: int) -> tuple[Rule, int]:
    """The rule that wins at a place, and where its token ends."""
    number, end = max(_accepted(_lexer(), units, at, len(units)), key=lambda found: found[1])
    rule = RULES[number]
    if not rule.ahead:
        return rule, end
    ends = {place for _, place in _accepted(_single(rule.match), units, at, end)}
    ahead = {end - place for _, place in _accepted(_single(rule.ahead, backwards=True), units[at:end][::-1], 0, end)}
    return rule, max(ends & ahead)


def _accepted(machine: Machine, units: str, at: int, limit: int) -> Iterator[tuple[int, int]]:
    """Pattern and end of each match that begins here, the shortest first."""
    state = machine.start
    while state:
        accepted = machine.accepts[state]
        if accepted is not None:
            yield accepted, at
        if at >= min(limit, len(units)):
            return
        state = machine.move(state, units[at])
        at += 1


def _without_soft_hyphens(token: str) -> str:
    return token.replace(SOFT_HYPHEN, "") or "-"


def _quotes(double: str, single: str) -> Callable[[str], str]:
    """As in TeX; the typographic ones know their own side."""

    def make(token: str) -> str:
        token = token.replace("&apos;", "'").replace("'", single)
        token = re.sub('"|&quot;', double, token)
        token = re.sub("[\u0091\u2018\u201b\u2039]", "`", token)
        token = re.sub("[\u0092\u2019\u203a]", "'", token)
        token = re.sub("[\u0093\u201c\u00ab]", "``", token)
        return re.sub("[\u0094\u201d\u00bb]", "''", token)

    return make


def _money(token: str) -> str:
    return re.sub("[\u0080\u00a4\u20a0\u20ac]", "$", token.replace("\u00a2", "cents").replace("\u00a3", "#"))


def _solid(token: str) -> str:
    return token.replace(" ", "\u00a0")


def _in_brackets(token: str) -> str:
    return token.replace("(", "-lrb-").replace(")", "-rrb-")


_FRACTIONS: Final = {"\u00bc": "1/4", "\u00bd": "1/2", "\u00be": "3/4", "\u2153": "1/3", "\u2154": "2/3"}
_MAKERS: Final[dict[Made, Callable[[str], str]]] = {
    Made.SAME: str,
    Made.PLAIN: _without_soft_hyphens,
    Made.QUOTE: _quotes("''", "'"),
    Made.OPENING: _quotes("``", "`"),
    Made.AMPERSAND: lambda token: re.sub("&amp;", "&", token, flags=re.IGNORECASE | re.ASCII),
    Made.HYPHENS: lambda token: "--" if len(token) in {3, 4} else token,
    Made.FRACTION: lambda token: _FRACTIONS.get(token, token),
    Made.MONEY: _money,
    Made.SOLID: _solid,
    Made.FACE: _in_brackets,
    Made.PHONE: lambda token: _in_brackets(_solid(token)),
}
