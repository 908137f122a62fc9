"""The rules as arrays, for the C++ core to make its automaton of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, chain
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from m4i_fast.kernels.ptb.lowering import LAST_CHARACTER, in_words_by_unit, of_character
from m4i_fast.kernels.ptb.notation import LAST_UNIT, Automaton, Node, length, parse, reverse
from m4i_fast.kernels.ptb.rules import RULES, parts

__all__ = ["tables"]

COMMON: Final = " abcdefghijklmnopqrstuvwxyz"
"""Their classes come first: what most texts need of a state then lies together."""

Lists = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]


def tables() -> tuple[Any, ...]:
    """The arguments of the core's ``set_ptb_tables``: arrays, and the texts of the rules."""
    automaton = Automaton()
    starts = [automaton.state()]
    rules: list[tuple[int, ...]] = []
    for number, rule in enumerate(RULES):
        match = parse(rule.match, parts())
        ahead, matched, forward, backward = 0, -1, 0, 0
        if rule.ahead:
            follows = parse(rule.ahead, parts())
            ahead, matched = _length(follows), _length(match)
            if ahead < 0 and matched < 0:
                forward, backward = len(starts), len(starts) + 1
                for node in (match, reverse(follows)):
                    starts.append(automaton.state())
                    automaton.add(starts[-1], node, 0)
            match = Node("then", (match, follows))
        automaton.add(starts[0], match, number)
        rules.append((rule.made, rule.again, rule.alone, ahead, matched, forward, backward))
    kinds, members = _kinds(automaton)
    accepts = [automaton.accepts.get(state, -1) for state in range(len(automaton.free))]
    steps = ([chosen * len(accepts) + target for chosen, target in each] for each in automaton.steps)
    return (
        kinds,
        *_lists(automaton.free),
        *_lists(list(steps)),
        *_lists(members),
        *(np.array(each, dtype=np.int32) for each in (accepts, starts, list(chain.from_iterable(rules)))),
        [rule.text for rule in RULES],
        *_lowering(),
    )


def _length(node: Node) -> int:
    found = length(node)
    return -1 if found is None else found


def _lists(lists: Sequence[Iterable[int]]) -> Lists:
    """Where each list ends in the second array."""
    held = [list(each) for each in lists]
    ends = np.fromiter(accumulate(map(len, held)), dtype=np.int32, count=len(held))
    return ends, np.fromiter(chain.from_iterable(held), dtype=np.int32)


def _kinds(automaton: Automaton) -> tuple[npt.NDArray[np.uint8], list[list[int]]]:
    """The class of each unit, and the classes of each set."""
    borders, classes, members = automaton.classes()
    ends = [*borders[1:], LAST_UNIT + 1]
    by_unit = np.repeat(np.array(classes), np.subtract(ends, borders))
    order = dict.fromkeys([*(int(by_unit[ord(sign)]) for sign in COMMON), *classes])
    rank = {kind: i for i, kind in enumerate(order)}
    ranks = np.array([rank[kind] for kind in range(len(rank))], dtype=np.uint8)
    return ranks[by_unit], [[rank[kind] for kind in each] for each in members]


def _lowering() -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint32], npt.NDArray[np.uint8]]:
    points = np.arange(LAST_CHARACTER + 1, dtype="<u4")
    text = points.tobytes().decode("utf-32-le", "surrogatepass")
    # These two are more than a table: one becomes two characters, the other looks around.
    lowered = text.replace("\u0130", "_").replace("\u03a3", "\u03c3").lower()
    assert len(lowered) == len(text)
    after = np.frombuffer(lowered.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    changed = {int(point): ord(of_character(chr(point))[0]) for point in np.flatnonzero(after != points)}
    changed |= {0x0130: 0x0130, 0x03A3: 0x03C3}
    lower = np.arange(LAST_UNIT + 1, dtype=np.uint16)
    pairs = sorted(pair for pair in changed.items() if pair[0] > LAST_UNIT)
    for unit, small in changed.items():
        if unit <= LAST_UNIT:
            lower[unit] = small
    return lower, np.array(pairs, dtype=np.uint32).ravel(), in_words_by_unit()
