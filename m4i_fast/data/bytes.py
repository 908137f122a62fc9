"""The bytes of pictures, wherever they lie: files, objects of a store, members of a tar, cells of a Parquet file.

What cannot be read is a reason in words, never an exception: one bad picture is one bad row.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event, Lock
from types import TracebackType
from typing import Any, Self

from m4i_fast.data.cells import CellFile
from m4i_fast.data.files import open_regular, why_unreadable
from m4i_fast.data.locators import Cell, Member, Whole, is_url, parse_locator
from m4i_fast.data.stores import NOT_FETCHED, filesystem, why_refused, why_unfetched
from m4i_fast.errors import DataError, UserError

__all__ = ["EMPTY", "MAX_BYTES", "TOO_LONG", "ImageReader"]

MAX_BYTES = 256 << 20
"""Longer files are refused: as many as the largest picture has uncompressed."""
TOO_LONG = f"image file is too large: more than {MAX_BYTES >> 20} MiB"
EMPTY = "image file is empty"

GAP = 64 << 10  # bytes between two members that are read along rather than asked for apart
SPAN = 16 << 20  # bytes that one request is for at most, but for a longer picture
TRIES = 3  # of what may pass; the stores' clients try again by themselves, too
PAUSE_S = 0.5

Job = Callable[[], None]


@dataclass(slots=True)
class _Held:
    """An open file. ``users``: threads that are at it."""

    lock: Lock = field(default_factory=Lock)
    value: Any = None
    users: int = 0


class ImageReader:
    """Reads pictures by their locators (``m4i_fast.data.locators``).

    Safe to use from several threads at once. Keeps at most ``open_files`` containers open, and of a Parquet file some
    4 MiB decoded; nothing else is kept.

    Args:
        threads: requests under way at a time.
        open_files: tars and Parquet files kept open.

    Rows of a Parquet file are cheap in their order: to go back means to read the row group again from its beginning.
    """

    def __init__(self, *, threads: int = 8, open_files: int = 16) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="m4i-read")
        self._limit = open_files
        self._held: OrderedDict[tuple[type, str], _Held] = OrderedDict()
        self._lock = Lock()
        self._stopped = Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def stop(self) -> None:
        """Begin nothing more: what is not fetched yet gets a reason, at once. For whoever wants to end."""
        self._stopped.set()

    def close(self) -> None:
        """Wait for what is under way and close all files; the reader is of no use afterwards."""
        self._pool.shutdown(cancel_futures=True)
        with self._lock:
            for held in self._held.values():
                _close(held)
            self._held.clear()

    def read(self, locators: Sequence[str]) -> list[bytes | str]:
        """The content of N pictures, or the reason (text) why one cannot be read.

        Members that lie near each other in a tar are fetched by one request, rows of a Parquet file in their order:
        ask for many at a time, and for neighbours together. All N lie in memory at once.

        Raises:
            ExtraMissing: a store's package is not installed: that is no fault of the pictures.
        """
        found: list[bytes | str] = [""] * len(locators)
        members: defaultdict[str, list[tuple[int, Member]]] = defaultdict(list)
        cells: defaultdict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        jobs: list[Job] = []
        for index, text in enumerate(locators):
            locator = parse_locator(text)
            reason = why_refused(locator.container) if is_url(locator.container) else None
            if reason is not None:
                found[index] = reason
            elif isinstance(locator, Whole):
                jobs.append(partial(self._whole, locator.container, index, found))
            elif isinstance(locator, Cell):
                cells[locator.container, locator.column].append((index, locator.row))
            elif not locator.length:
                found[index] = EMPTY
            elif locator.length > MAX_BYTES:
                found[index] = TOO_LONG
            else:
                members[locator.container].append((index, locator))
        for container, asked in members.items():
            jobs += [partial(self._members, container, span, found) for span in _spans(asked)]
        jobs += [partial(self._cells, *key, rows, found) for key, rows in cells.items()]
        if len(jobs) == 1:
            jobs[0]()
        else:
            list(self._pool.map(lambda job: job(), jobs))
        return found

    def _whole(self, container: str, index: int, found: list[bytes | str]) -> None:
        if is_url(container):
            content = self._fetched(container, 0, MAX_BYTES + 1)
        else:
            try:
                with open_regular(container) as file:
                    content = file.read(MAX_BYTES + 1)
            except (OSError, ValueError) as error:
                content = why_unreadable(error)
        if isinstance(content, bytes) and len(content) > MAX_BYTES:
            content = TOO_LONG
        found[index] = content or EMPTY

    def _members(self, container: str, span: Sequence[tuple[int, Member]], found: list[bytes | str]) -> None:
        start, stop = span[0][1].offset, max(member.offset + member.length for _, member in span)
        content = self._fetched(container, start, stop) if is_url(container) else self._slice(container, start, stop)
        for index, member in span:
            if isinstance(content, str):
                found[index] = content
                continue
            part = content[member.offset - start :][: member.length]
            whole = len(part) == member.length
            found[index] = part if whole else "the tar ends before this image does (truncated or replaced)"

    def _slice(self, container: str, start: int, stop: int) -> bytes | str:
        try:
            with self._using(Member, container, open_regular) as file:
                file.seek(start)
                content: bytes = file.read(stop - start)
                return content
        except (OSError, ValueError) as error:
            return why_unreadable(error).replace("image file", "tar file").replace("image path", "tar path")

    def _cells(self, container: str, column: str, asked: Sequence[tuple[int, int]], found: list[bytes | str]) -> None:
        in_order = sorted(asked, key=lambda pair: pair[1])
        left = dict(enumerate(in_order))  # what an attempt has read is not read again by the next

        def attempt() -> str | None:
            with self._using(Cell, container, CellFile) as file:
                for place, (index, row) in list(left.items()):
                    content = file.read(column, row)
                    found[index] = content if len(content) <= MAX_BYTES else TOO_LONG
                    found[index] = found[index] or EMPTY
                    del left[place]
            return None

        reason = self._tried(attempt, container)
        for index, _ in left.values():
            found[index] = reason or "image cannot be read"

    @contextmanager
    def _using(self, kind: type, container: str, opening: Callable[[str], Any]) -> Iterator[Any]:
        """An open container, used by one thread at a time; one that failed is opened anew by the next."""
        key = (kind, container)
        with self._lock:
            held = self._held.setdefault(key, _Held())
            self._held.move_to_end(key)
            held.users += 1
        try:
            with held.lock:
                if held.value is None:
                    held.value = opening(container)
                try:
                    yield held.value
                except BaseException:
                    _close(held)
                    raise
        finally:
            with self._lock:
                held.users -= 1
                idle = [name for name, each in self._held.items() if not each.users]
                for name in idle[: max(0, len(self._held) - self._limit)]:
                    _close(self._held.pop(name))

    def _fetched(self, url: str, start: int, stop: int) -> bytes | str:
        """Bytes ``start`` to ``stop`` of an object, fewer where it ends before, or the reason why there are none."""

        def attempt() -> bytes:
            files, path = filesystem(url)
            try:
                content: bytes = files.cat_file(path, start=start, end=stop)
            except Exception:
                # A range of an empty object is refused by some stores in words of their own.
                if not start and files.size(path) == 0:
                    return b""
                raise
            return content

        content: bytes | str = self._tried(attempt, url)
        return content

    def _tried(self, attempt: Callable[[], Any], container: str) -> Any:
        """``attempt()``, or a reason; what may pass is tried again, and nothing for ever."""
        for left in reversed(range(TRIES)):
            if self._stopped.is_set() and is_url(container):
                return f"{NOT_FETCHED} (the command was stopped)"
            try:
                return attempt()
            except DataError as error:
                return f"{error.what} ({Path(container).name})"
            except UserError:
                raise  # a package is missing
            except Exception as error:  # a store's client raises what it likes
                if not is_url(container):
                    known = isinstance(error, OSError) and error.errno is not None
                    return why_unreadable(error) if known else f"image cannot be read ({error})"
                reason, passing = why_unfetched(error)
                if not passing or not left:
                    return reason
                self._stopped.wait(PAUSE_S * 2 ** (TRIES - 1 - left))
        raise AssertionError


def _spans(asked: Sequence[tuple[int, Member]]) -> Iterator[list[tuple[int, Member]]]:
    """Members in the order of their places, those together that one request can fetch."""
    span: list[tuple[int, Member]] = []
    start = stop = 0
    for index, member in sorted(asked, key=lambda pair: (pair[1].offset, pair[1].length)):
        end = max(stop, member.offset + member.length)
        if span and (member.offset - stop > GAP or end - start > SPAN):
            yield span
            span = []
        if not span:
            start, end = member.offset, member.offset + member.length
        span.append((index, member))
        stop = end
    if span:
        yield span


def _close(held: _Held) -> None:
    value, held.value = held.value, None
    if value is not None:
        value.close()
