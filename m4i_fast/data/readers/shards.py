"""Several files under one name: ``shards/{000..127}.tar``, ``s3://bucket/train-*.parquet``."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from pathlib import Path

from m4i_fast.data.stores import Remote, Source, filesystem, unreadable
from m4i_fast.errors import DataError

__all__ = ["is_pattern", "shards_of"]

MOST = 100_000
"""Files that one pattern may stand for: ``{0..99999999999}`` is a slip."""

_RANGE = re.compile(r"(\d+)\.\.(\d+)")


def is_pattern(source: Source) -> bool:
    """Whether it stands for several files: it holds braces or wildcards, and no file has this very name."""
    text = str(source)
    if not any(sign in text for sign in "{*?["):
        return False
    return not (isinstance(source, Path) and source.exists())


def shards_of(source: Source) -> list[Source]:
    """The files that a pattern means, sorted, each once; a name without signs means itself.

    ``{000..127}`` counts (its zeros kept), ``{a,b}`` lists, ``*``, ``?`` and ``[...]`` match what is there.

    Raises:
        DataError: it matches nothing, or more than 100,000 files.
    """
    if not is_pattern(source):
        return [source]
    found: set[str] = set()
    for name in _expanded(str(source)):
        found.update(_matches(source, name) if glob.has_magic(name) else [name])
        if len(found) > MOST:
            raise DataError(f"it stands for more than {MOST:,} files", where=source, cure="Check its braces.")
    if not found:
        raise DataError(
            "no file matches", where=source, cure="Check the pattern (in quotes, so that the shell lets it be)."
        )
    return [Remote(name) if isinstance(source, Remote) else Path(name) for name in sorted(found)]


def _expanded(text: str) -> Iterator[str]:
    found = re.search(r"\{([^{}]*)\}", text)
    if found is None:
        yield text
        return
    for each in _alternatives(found[1]):
        yield from _expanded(text[: found.start()] + each + text[found.end() :])


def _alternatives(inside: str) -> Iterator[str]:
    counted = _RANGE.fullmatch(inside)
    if counted is None:
        yield from inside.split(",")
        return
    first, last = int(counted[1]), int(counted[2])
    width = len(counted[1]) if counted[1].startswith("0") or len(counted[1]) == len(counted[2]) else 0
    for number in range(first, last + 1):
        yield f"{number:0{width}d}"


def _matches(source: Source, pattern: str) -> list[str]:
    if isinstance(source, Path):
        return [name for name in glob.glob(pattern) if Path(name).is_file()]  # noqa: PTH207 - the pattern may be absolute
    scheme = pattern.partition("://")[0]
    files, path = filesystem(pattern)
    try:
        names = files.glob(path)
    except Exception as error:  # a store's client raises what it likes
        raise unreadable(source, error) from error
    slash = "/" if pattern.startswith(f"{scheme}:///") else ""
    return [f"{scheme}://{slash}{name.lstrip('/')}" for name in names]
