"""What commands print: JSON for programs, tables for people. Model text never reaches the terminal unfiltered."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["emit_json", "facts", "interval", "plain", "stage_line", "table"]


def emit_json(value: object) -> None:
    """Print one JSON document."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def plain(text: object) -> str:
    """``text`` without control and format characters, so that no caption can drive the terminal."""
    return "".join(" " if unicodedata.category(char) in ("Cc", "Cf", "Cs") else char for char in str(text))


def interval(estimate: Mapping[str, float] | None) -> str:
    """``.913 [.900, .925]``, or a dash; no leading zeros, so that a row fits a terminal of 80 columns."""
    if estimate is None:
        return "–"
    value, low, high = (f"{estimate[key]:.3f}".replace("0.", ".", 1) for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def facts(title: str, pairs: Mapping[str, Any]) -> None:
    """A two-column list; what is nested comes with its path: ``image.max_difference``."""
    table(title, ("", ""), list(_flat(pairs)), header=False, wrap=True)


def _flat(pairs: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in pairs.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, bool):
            yield f"{prefix}{name}", "yes" if value else "no"
        elif value is not None:
            yield f"{prefix}{name}", value


def table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, header: bool = True, wrap: bool = False
) -> None:
    """A table on standard output; numbers to the right; ``wrap``: long cells but the first may be broken into lines."""
    from rich import box
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left", show_header=header, pad_edge=False)
    for index, name in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        drawn.add_column(name, justify="right" if numeric else "left", overflow="fold", no_wrap=not wrap or index == 0)
    for row in rows:
        drawn.add_row(*(Text(_shown(cell)) for cell in row))
    console = Console()
    if not wrap:  # a figure that is cut off is worse than a line that the terminal breaks
        console.width = max(console.width, Measurement.get(console, console.options.update(width=1000), drawn).maximum)
    console.print(drawn)


def _shown(cell: Any) -> str:
    if isinstance(cell, float):
        return f"{cell:.4g}"
    return f"{cell:,}" if isinstance(cell, int) else plain(cell)


def stage_line(name: str, *, kept: bool, wall_s: float) -> str:
    """``overlap: done in 0.4 s``, or that the result already stood there."""
    return f"{name}: already done, kept" if kept else f"{name}: done in {wall_s:.1f} s"
