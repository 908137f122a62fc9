r"""Patterns over 16-bit code units, and the automaton that they make together.

The notation, in which ``rules.py`` is written:

``word``
    A lower-case ASCII letter stands for both its cases and for what folds to it (``s`` for long s too, ``k`` for the
    Kelvin sign, ``i`` for the i with and without its dot). Every other character stands for itself, so ``Ark`` wants
    its capital. White space is layout; ``\_`` is a blank, ``\u00AD`` a code unit, any other ``\x`` is ``x``.
``[a-z\_]``, ``[^...]``
    One unit of a set, or one outside it; in a set letters stand for themselves alone.
``<name>``
    A part that was named before.
``(a|b)``, ``a?``, ``a*``, ``a+``, ``a{2,4}``
    Choice and repetition, as everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from typing import Final

__all__ = ["LAST_UNIT", "Automaton", "Node", "any_of", "length", "parse", "reverse", "units"]

LAST_UNIT: Final = 0xFFFF

Ranges = tuple[tuple[int, int], ...]
"""Sorted, apart, both ends inside."""

_FOLDS: Final = {"i": "\u0130\u0131", "k": "\u212a", "s": "\u017f"}
_CONTROLS: Final = {"_": " ", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r"}
_SPECIAL: Final = frozenset("()[]<>|?*+{}\\")


@dataclass(frozen=True, slots=True)
class Node:
    """A pattern: ``set`` (one unit of ``ranges``), ``then``, ``or``, ``repeat`` (``most`` None: without end)."""

    kind: str
    parts: tuple[Node, ...] = ()
    ranges: Ranges = ()
    least: int = 0
    most: int | None = None


EMPTY: Final = Node("then")


def any_of(words: str) -> str:
    """The pattern of a list of words, which white space parts."""
    return f"({'|'.join(words.split())})"


def units(ranges: str) -> str:
    """The set of a list of code units in hexadecimal: ``"2D 2010-2011 100-136/2"``, the last one every second unit."""
    found = []
    for item in ranges.split():
        ends, _, step = item.partition("/")
        first, _, last = ends.partition("-")
        if step:
            found += [f"\\u{unit:04X}" for unit in range(int(first, 16), int(last, 16) + 1, int(step))]
        else:
            found.append(f"\\u{int(first, 16):04X}-\\u{int(last or first, 16):04X}")
    return f"[{''.join(found)}]"


def parse(pattern: str, names: Mapping[str, Node]) -> Node:
    """Read a pattern; ``names``: the parts that it may speak of."""
    reader = _Reader(pattern, names)
    node = reader.choice()
    assert reader.peek() == "", f"{pattern!r}: nothing opens what closes at {reader.at}"
    return node


def reverse(node: Node) -> Node:
    """The pattern of the same strings, back to front."""
    parts = tuple(map(reverse, node.parts))
    return Node(node.kind, parts[::-1] if node.kind == "then" else parts, node.ranges, node.least, node.most)


def length(node: Node) -> int | None:
    """How many units every match has; None where they differ."""
    lengths = [length(part) for part in node.parts]
    if node.kind == "set":
        return 1
    if None in lengths:
        return None
    if node.kind == "then":
        return sum(filter(None, lengths))
    if node.kind == "or":
        return lengths[0] if len(set(lengths)) == 1 else None
    return node.least * (lengths[0] or 0) if node.least == node.most else None


class _Reader:
    def __init__(self, pattern: str, names: Mapping[str, Node]) -> None:
        self.text = pattern
        self.names = names
        self.at = 0

    def peek(self) -> str:
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        found = self.peek()
        self.at += 1
        return found

    def choice(self) -> Node:
        parts = [self.sequence()]
        while self.peek() == "|":
            self.take()
            parts.append(self.sequence())
        return parts[0] if len(parts) == 1 else Node("or", tuple(parts))

    def sequence(self) -> Node:
        parts = []
        while self.peek() not in {"", "|", ")"}:
            parts.append(self.repeated(self.item()))
        return parts[0] if len(parts) == 1 else Node("then", tuple(parts))

    def repeated(self, node: Node) -> Node:
        while self.peek() in {"?", "*", "+", "{"}:
            sign = self.take()
            if sign == "{":
                end = self.text.index("}", self.at)
                least, _, most = self.text[self.at : end].partition(",")
                self.at = end + 1
                node = Node("repeat", (node,), least=int(least), most=int(most or least))
            else:
                node = Node("repeat", (node,), least=int(sign == "+"), most=1 if sign == "?" else None)
        return node

    def item(self) -> Node:
        sign = self.take()
        if sign == "(":
            node = self.choice()
            assert self.take() == ")", f"{self.text!r}: an open bracket stays open"
            return node
        if sign == "<":
            end = self.text.index(">", self.at)
            name, self.at = self.text[self.at : end], end + 1
            return self.names[name]
        if sign == "[":
            return self.set_of()
        assert sign == "\\" or sign not in _SPECIAL, f"{self.text!r}: '{sign}' at {self.at} wants a backslash"
        if sign == "\\":
            return Node("set", ranges=_merged([(ord(self.escaped()),) * 2]))
        if "a" <= sign <= "z":
            return Node("set", ranges=_merged((ord(c),) * 2 for c in sign + sign.upper() + _FOLDS.get(sign, "")))
        return Node("set", ranges=((ord(sign), ord(sign)),))

    def escaped(self) -> str:
        sign = self.text[self.at]
        self.at += 1
        if sign == "u":
            self.at += 4
            return chr(int(self.text[self.at - 4 : self.at], 16))
        return _CONTROLS.get(sign, sign)

    def set_of(self) -> Node:
        outside = self.peek() == "^"
        self.at += outside
        ranges: list[tuple[int, int]] = []
        while (sign := self.take()) != "]":
            first = last = self.escaped() if sign == "\\" else sign
            if self.peek() == "-" and self.text[self.at + 1] != "]":
                self.take()
                sign = self.take()
                last = self.escaped() if sign == "\\" else sign
            ranges.append((ord(first), ord(last)))
        found = _merged(ranges)
        return Node("set", ranges=_others(found) if outside else found)


def _merged(ranges: Iterable[tuple[int, ...]]) -> Ranges:
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return tuple(found)


def _others(ranges: Ranges) -> Ranges:
    ends = [(-1, -1), *ranges, (LAST_UNIT + 1, LAST_UNIT + 1)]
    return tuple((before[1] + 1, after[0] - 1) for before, after in pairwise(ends) if before[1] + 1 < after[0])


@dataclass(slots=True)
class Automaton:
    """A nondeterministic automaton of many patterns.

    Attributes:
        free: for each state those that follow without a unit.
        steps: for each state the (set, state) pairs that follow with one; sets are indices into ``sets``.
        sets: each a union of ranges.
        accepts: for a pattern's last state, its number.
    """

    free: list[list[int]] = field(default_factory=list)
    steps: list[list[tuple[int, int]]] = field(default_factory=list)
    sets: dict[Ranges, int] = field(default_factory=dict)
    accepts: dict[int, int] = field(default_factory=dict)

    def state(self) -> int:
        """A new state."""
        self.free.append([])
        self.steps.append([])
        return len(self.free) - 1

    def add(self, start: int, node: Node, number: int) -> None:
        """Let a match of ``node`` that begins in ``start`` accept ``number``."""
        self.accepts[self._follow(start, node)] = number

    def _follow(self, start: int, node: Node) -> int:
        """The state in which matches of ``node`` from ``start`` end; nothing else leads there."""
        end = self.state()
        if node.kind == "set":
            self.steps[start].append((self.sets.setdefault(node.ranges, len(self.sets)), end))
        elif node.kind == "then":
            self.free[reduce(self._follow, node.parts, start)].append(end)
        elif node.kind == "or":
            for part in node.parts:
                self.free[self._follow(start, part)].append(end)
        else:
            (part,) = node.parts
            at = reduce(self._follow, [part] * node.least, start)
            self.free[at].append(end)
            if node.most is None:
                loop = self.state()
                self.free[at].append(loop)
                again = self._follow(loop, part)
                self.free[again].extend((loop, end))
            for _ in range((node.most or 0) - node.least):
                at = self._follow(at, part)
                self.free[at].append(end)
        return end

    def classes(self) -> tuple[list[int], list[int], list[list[int]]]:
        """Units that no set tells apart.

        Returns:
            Where each run of units begins; the class of each run; for each set the classes in it.
        """
        borders = sorted({0, *(end for ranges in self.sets for first, last in ranges for end in (first, last + 1))})
        if borders[-1] > LAST_UNIT:
            borders.pop()
        place = {border: i for i, border in enumerate(borders)}
        kinds = [0] * len(borders)
        for ranges, number in self.sets.items():
            for first, last in ranges:
                for i in range(place[first], place.get(last + 1, len(borders))):
                    kinds[i] |= 1 << number
        numbers = {kind: i for i, kind in enumerate(dict.fromkeys(kinds))}
        members: list[list[int]] = [[] for _ in self.sets]
        for kind, number in numbers.items():
            for i in range(len(members)):
                if kind >> i & 1:
                    members[i].append(number)
        return borders, [numbers[kind] for kind in kinds], members
