"""Progress bars on standard error, for work that takes long enough to be wondered about."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["hush", "progress", "say"]

EVERY_S = 60.0
"""Between two lines where there is no terminal: somebody may be watching a log."""

_quiet = False


def hush(quiet: bool = True) -> None:
    """Switch all bars and remarks off (or on again) for this process: ``--quiet``."""
    global _quiet  # noqa: PLW0603 - one terminal a process
    _quiet = quiet


def say(remark: str) -> None:
    """Print one line on standard error, above a running bar."""
    if not _quiet:
        _console().print(remark, highlight=False, markup=False)


@contextmanager
def progress(what: str, total: int | None, *, live: bool = True) -> Iterator[Callable[..., None]]:
    """A bar named ``what`` over ``total`` steps; gives ``advance(n=1, note="")``.

    ``live``: a thread draws it ten times a second; else it is drawn when it advances, and disturbs nothing in between.

    Without a terminal a line is printed a minute, and one with the wall time at the end.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    started = told = time.perf_counter()
    done = 0
    console = _console()
    columns = (
        TextColumn("{task.description:<32}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    show = not _quiet and console.is_terminal
    with Progress(*columns, console=console, disable=not show, auto_refresh=live) as bar:
        task = bar.add_task(what, total=total, note="")

        def advance(n: int = 1, note: str | None = None) -> None:
            nonlocal done, told
            done += n
            now = time.perf_counter()
            if not show and now - told >= EVERY_S:
                told = now
                of = "" if total is None else f" of {total:,}"
                say(f"{what}: {done:,}{of} after {now - started:.0f} s" + (f", {note}" if note else ""))
            if note is None:
                bar.update(task, advance=n)
            else:
                bar.update(task, advance=n, note=note)
            if not live:
                bar.refresh()

        yield advance
    if not show:
        say(f"{what}: {time.perf_counter() - started:.1f} s")


@cache
def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True)
