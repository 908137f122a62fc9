"""Timing that can be trusted: contenders take turns on one core, and are compared round by round.

A contender that is timed at another moment than its rival is timed on another machine: other processes, heat and the
clock have changed. So each round runs all contenders one after the other (A B C A B C ...), every ratio is formed
within a round, and a figure is the median over the rounds with its quartiles.
"""

from __future__ import annotations

import gc
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["LEAST_S", "Contender", "Race", "Spread", "cores_here", "pinned", "quiet", "race", "spread", "steps"]

LEAST_S = 0.05
"""A timing is at least as long, so that the clock's step and one interruption are small beside it."""
LONG_S = 0.5
"""A call of this length is its own warm-up: what it finds cold is a small part of it."""

Seconds = npt.NDArray[np.float64]


class Spread(NamedTuple):
    """A median over rounds with its quartiles."""

    median: float
    low: float
    high: float
    rounds: int


@dataclass(frozen=True, slots=True)
class Contender:
    """Something to time.

    Attributes:
        name: its own, in one race.
        work: one call of what is timed. It must not keep anything that makes the next call cheaper.
        units: how many rows, pairs or captions a call does.
        reset: is called before each call, untimed: empties the caches that a rival would not profit from in earnest.
        repeats: calls a timing; None: as many as ``LEAST_S`` takes, found out by a trial.
        rounds: takes part in at most so many; None: in all.
        children: the work is done by processes that it starts: their CPU time counts.
        own_clock: ``work`` gives the seconds of one call itself.
    """

    name: str
    work: Callable[[], object]
    units: int
    reset: Callable[[], object] | None = None
    repeats: int | None = None
    rounds: int | None = None
    children: bool = False
    own_clock: bool = False


@dataclass(frozen=True, slots=True)
class Race:
    """What each contender took, in seconds a unit: float64 [rounds], NaN where it did not take part.

    Attributes:
        cpu: time of this process's processors (all its threads), by contender.
        wall: time that passed.
    """

    cpu: Mapping[str, Seconds]
    wall: Mapping[str, Seconds]

    def seconds(self, name: str, *, wall: bool = False) -> Seconds:
        """Of one contender, in the rounds that it took part in."""
        found = (self.wall if wall else self.cpu)[name]
        return found[~np.isnan(found)]

    def ratio(self, name: str, rivals: Sequence[str], *, wall: bool = False) -> Seconds:
        """How many times as fast ``name`` is as the fastest of ``rivals`` in the same round."""
        clock = self.wall if wall else self.cpu
        ratios = np.min([clock[rival] for rival in rivals], axis=0) / clock[name]
        return np.asarray(ratios[~np.isnan(ratios)], np.float64)

    def disturbance(self) -> float:
        """Median of wall over CPU time: 1 on an idle machine, 2 where another process took half of the core."""
        found = np.concatenate([self.wall[name] / self.cpu[name] for name in self.cpu] or [np.ones(1)])
        found = found[np.isfinite(found)]
        return float(np.median(found)) if len(found) else 1.0


def spread(values: npt.ArrayLike) -> Spread:
    """Median and quartiles of at least one value.

    >>> spread([3.0, 1.0, 2.0])
    Spread(median=2.0, low=1.5, high=2.5, rounds=3)
    """
    array = np.asarray(values, np.float64)
    low, median, high = np.quantile(array, [0.25, 0.5, 0.75]).tolist()
    return Spread(median, low, high, len(array))


def cores_here() -> tuple[int, ...]:
    """Numbers of the cores that this process may use; of a system that does not tell, as many as it has."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


@contextmanager
def pinned(cores: Sequence[int]) -> Iterator[bool]:
    """Keep this process, and those that it starts, on some cores; gives whether the system does that.

    Threads that stand already, of a rival's pool say, stay where they are: pin before they start.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield False
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield True
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings (a rival that words one a row would be timed at that), and the collector as it was."""
    collecting = gc.isenabled()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            (gc.enable if collecting else gc.disable)()


def race(
    contenders: Sequence[Contender],
    *,
    rounds: int,
    least_s: float = LEAST_S,
    advance: Callable[[int, str], object] | None = None,
) -> Race:
    """Time all contenders in turn, round after round, on the cores that this process may use.

    Args:
        contenders: with names of their own.
        rounds: how often each is timed, if it does not ask for less.
        least_s: the shortest timing, in seconds of CPU time.
        advance: is told ``(1, name)`` after the trial and after each timing: ``steps(contenders, rounds)`` times.
    """
    names = [each.name for each in contenders]
    assert len(set(names)) == len(names), "two contenders of one name"
    cpu = {name: np.full(rounds, np.nan) for name in names}
    wall = {name: np.full(rounds, np.nan) for name in names}
    with quiet():
        trials = {}
        for each in contenders:
            trials[each.name] = _trial(each, least_s)
            if advance:
                advance(1, each.name)
        for at in range(rounds):
            gc.collect()
            for each in contenders:
                if each.rounds is not None and at >= each.rounds:
                    continue
                trial = trials[each.name]
                if trial.warm:
                    _call(each, 1)
                taken = _call(each, trial.repeats)
                cpu[each.name][at] = taken.cpu / (trial.repeats * each.units)
                wall[each.name][at] = taken.wall / (trial.repeats * each.units)
                if advance:
                    advance(1, each.name)
    return Race(cpu, wall)


def steps(contenders: Sequence[Contender], rounds: int) -> int:
    """How often ``race`` calls ``advance``."""
    return sum(1 + (rounds if each.rounds is None else min(rounds, each.rounds)) for each in contenders)


class _Taken(NamedTuple):
    cpu: float
    wall: float


class _Trial(NamedTuple):
    repeats: int
    warm: bool  # whether each timing follows a call that is not timed


def _trial(contender: Contender, least_s: float) -> _Trial:
    if contender.own_clock or contender.repeats is not None:
        return _Trial(1 if contender.own_clock else contender.repeats or 1, warm=False)
    # Twice: the first call meets cold memory, and files that are imported late.
    first = _call(contender, 1).cpu
    once = first if first > LONG_S else _call(contender, 1).cpu
    return _Trial(max(1, min(math.ceil(least_s / max(once, 1e-7)), 100_000)), warm=once <= LONG_S)


def _call(contender: Contender, repeats: int) -> _Taken:
    work, reset = contender.work, contender.reset
    if contender.own_clock:
        seconds = work()
        assert isinstance(seconds, float)
        return _Taken(seconds, seconds)
    children = _children_s if contender.children else _none_s
    gc.disable()
    try:
        if reset is None:
            wall, cpu = time.perf_counter(), time.process_time() + children()
            for _ in range(repeats):
                work()
            return _Taken(time.process_time() + children() - cpu, time.perf_counter() - wall)
        taken_cpu = taken_wall = 0.0
        for _ in range(repeats):
            reset()
            wall, cpu = time.perf_counter(), time.process_time() + children()
            work()
            taken_cpu += time.process_time() + children() - cpu
            taken_wall += time.perf_counter() - wall
        return _Taken(taken_cpu, taken_wall)
    finally:
        gc.enable()


def _children_s() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _none_s() -> float:
    return 0.0
