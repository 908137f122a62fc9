"""A bench whose figures are measured each in its own way: what is common to them.

A figure that cannot be measured here stays in the list with the reason. Targets that are missed are a result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from m4i_fast.bench.figures import Figure
from m4i_fast.bench.harness import Spread
from m4i_fast.bench.rivals import Unavailable
from m4i_fast.errors import ConfigError, M4IError

__all__ = ["Found", "Promise", "chosen", "figures_of"]


@dataclass(frozen=True, slots=True)
class Promise:
    """A figure before it is measured; fields as those of ``Figure``.

    ``measured_by``: figures of one name here come of one measurement.
    """

    name: str
    measured_by: str
    unit: str
    what: str
    target: float | None = None
    at_least: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """What a measurement gives of one figure. ``comparable``: false where rivals disagree, or less was measured."""

    spread: Spread
    note: str = ""
    comparable: bool = True


def chosen(only: Sequence[str], promises: Sequence[Promise]) -> list[Promise]:
    """Those that match one of the patterns; all where there is none.

    Raises:
        ConfigError: a pattern matches none.
    """
    for pattern in only:
        if not any(fnmatchcase(each.name, pattern) for each in promises):
            known = ", ".join(each.name for each in promises)
            raise ConfigError(f"'{pattern}' is no figure of this bench", where="--only", cure=f"Known are: {known}.")
    return [each for each in promises if not only or any(fnmatchcase(each.name, pattern) for pattern in only)]


def figures_of(
    wanted: Sequence[Promise], measures: Mapping[str, Callable[[], Mapping[str, Found]]]
) -> Iterable[Figure]:
    """Measure, one after the other, what the wanted figures need."""
    found: dict[str, Found] = {}
    absent: dict[str, str] = {}
    for measure in dict.fromkeys(each.measured_by for each in wanted):
        try:
            found |= measures[measure]()
        except (Unavailable, M4IError) as error:
            absent[measure] = _reason(error)
    for each in wanted:
        told = found.get(each.name)
        about: dict[str, Any] = {
            "unit": each.unit,
            "what": each.what,
            "target": each.target,
            "at_least": each.at_least,
        }
        if told is None:
            note = f"not measured: {absent.get(each.measured_by, 'it needs more rows, cores or rounds.')}"
            yield Figure.of(each.name, None, note=note, **about)
        else:
            yield Figure.of(each.name, told.spread, note=told.note, comparable=told.comparable, **about)


def _reason(error: Exception) -> str:
    if isinstance(error, M4IError):
        return " ".join(text for text in (f"{error.what}.", error.cure) if text)
    return str(error)
