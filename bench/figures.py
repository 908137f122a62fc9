"""What a bench found: figures with their targets, agreements with rivals, and the machine that it ran on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from m4i_fast.bench.harness import Spread

__all__ = ["Agreement", "Figure", "Findings", "cells", "markdown", "shown"]

COLUMNS = ("figure", "value", "quartiles", "target", "holds", "what")


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a bench.

    Attributes:
        name: short, of its own in a bench.
        value: the median over rounds; None where it could not be measured (``note`` says why).
        unit: ``rows/s``, ``ns/pair``, ``x`` (times as fast), ``s``, ``ms`` ...
        target: what was promised; None for a figure that informs.
        at_least: whether more is better; else the target is a ceiling.
        holds: whether the value keeps the target; None where one of the two is absent, or the rival disagrees.
        what: in words.
        note: how it was measured, why it was not, or what weakens it.
        low, high: quartiles over rounds.
        rounds: how many there were.
    """

    name: str
    value: float | None
    unit: str
    target: float | None
    holds: bool | None
    what: str
    at_least: bool = True
    low: float | None = None
    high: float | None = None
    rounds: int = 0
    note: str = ""

    @classmethod
    def of(
        cls,
        name: str,
        found: Spread | None,
        *,
        unit: str,
        what: str,
        target: float | None = None,
        at_least: bool = True,
        note: str = "",
        comparable: bool = True,
    ) -> Figure:
        """With ``holds`` as it follows; ``found`` None: not measured; ``comparable`` False: rivals say otherwise."""
        if found is None:
            return cls(name, None, unit, target, None, what, at_least, note=note)
        kept = found.median >= (target or 0.0) if at_least else found.median <= (target or 0.0)
        holds = kept if target is not None and comparable else None
        return cls(name, found.median, unit, target, holds, what, at_least, found.low, found.high, found.rounds, note)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        names = ("name", "value", "unit", "target", "holds", "at_least", "low", "high", "rounds", "what", "note")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class Agreement:
    """Whether a rival and m4i-fast say the same of the bench's own texts, looked at before anything is timed.

    Attributes:
        rival: whose numbers.
        what: which numbers, and how near they must be.
        compared: how many rows or pairs.
        differ: how many of them are not equal.
    """

    rival: str
    what: str
    compared: int
    differ: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {"rival": self.rival, "what": self.what, "compared": self.compared, "differ": self.differ}


@dataclass(frozen=True, slots=True)
class Findings:
    """A bench's whole answer. ``method``: how it measured; ``environment``: the machine, the versions, the texts."""

    bench: str
    figures: tuple[Figure, ...]
    agreement: tuple[Agreement, ...] = ()
    method: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "bench": self.bench,
            "figures": [each.to_dict() for each in self.figures],
            "agreement": [each.to_dict() for each in self.agreement],
            "method": dict(self.method),
            "environment": dict(self.environment),
        }


def shown(value: float | None) -> str:
    """Three digits that can be read: ``1,830,000``, ``7.4``, ``0.86``; a dash for nothing.

    >>> shown(1834567.0), shown(7.4321), shown(0.0), shown(None)
    ('1,830,000', '7.43', '0', '–')
    """
    if value is None:
        return "–"
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = 2 - math.floor(math.log10(abs(value)))
    rounded = round(value, digits)
    return f"{rounded:,.{max(0, digits)}f}" if digits < 7 else f"{rounded:.2e}"


def cells(figure: Figure) -> tuple[str, ...]:
    """A figure as a row of ``COLUMNS``."""
    sign = "≥" if figure.at_least else "≤"
    return (
        figure.name,
        "not measured" if figure.value is None else f"{shown(figure.value)} {figure.unit}",
        "" if figure.low is None else f"{shown(figure.low)} – {shown(figure.high)}",
        "" if figure.target is None else f"{sign} {figure.target:,.9g} {figure.unit}",
        "" if figure.target is None else {True: "yes", False: "no", None: "unknown"}[figure.holds],
        figure.what,
    )


def markdown(found: Findings) -> str:
    """A page with the tables, the notes, the agreements and the environment."""
    return "\n".join(_page(found)) + "\n"


def _page(found: Findings) -> Iterator[str]:
    yield f"# bench {found.bench}"
    yield ""
    yield f"Written by `m4i-fast bench {found.bench} --markdown`. What each figure means: [bench](../bench.md)."
    promised = [each for each in found.figures if each.target is not None]
    others = [each for each in found.figures if each.target is None]
    for title, figures in (("Figures with a target", promised), ("For information", others)):
        if figures:
            yield from ("", f"## {title}", "", *_table(COLUMNS, [cells(each) for each in figures]))
    notes = [(each.name, each.note) for each in found.figures if each.note]
    if notes:
        yield from ("", "## Notes", "", *_table(("figure", "note"), notes))
    if found.agreement:
        compared = [(each.rival, each.what, f"{each.compared:,}", f"{each.differ:,}") for each in found.agreement]
        yield from ("", "## Agreement", "", *_table(("rival", "what is compared", "compared", "differ"), compared))
    for title, facts in (("Method", found.method), ("Environment", found.environment)):
        told = [(name, _fact(value)) for name, value in facts.items()]
        yield from ("", f"## {title}", "", *_table(("what", "value"), told))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield "| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |"


def _fact(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_fact(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_fact, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)
