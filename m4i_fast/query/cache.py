"""Answers that were paid for, kept across runs: the same question to the same model is never paid twice."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from m4i_fast.engines.endpoints import Reply
from m4i_fast.errors import RunFailed
from m4i_fast.query.asks import Ask

__all__ = ["Cache", "default_folder", "open_cache", "question_key"]

NAME = "answers.sqlite"
BUSY_S = 60.0
VARIABLES = 900


def default_folder() -> Path:
    """Where answers are kept unless another folder is named: the user's own cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "m4i-fast"


def question_key(model: str, settings: Mapping[str, Any], image_sha256: bytes, ask: Ask) -> bytes:
    """SHA-256 of everything that an answer depends on, as far as an endpoint tells.

    Args:
        model: key of the model's identity.
        settings: how it is asked, as JSON values.
        image_sha256: of the record's image file.
        ask: variant and sample.
    """
    parts = [model, dict(settings), image_sha256.hex(), ask.variant, ask.sample]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).digest()


class Cache:
    """An open cache, for any number of threads."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        self._path = path
        self._lock = threading.Lock()

    def find(self, keys: Sequence[bytes]) -> dict[bytes, Reply]:
        """The answers that are known; one that cannot be read is not.

        Raises:
            RunFailed: the file cannot be read.
        """
        found: dict[bytes, Reply] = {}
        with self._lock, _failing(self._path):
            for start in range(0, len(keys), VARIABLES):
                some = keys[start : start + VARIABLES]
                marks = ",".join("?" * len(some))
                for key, value in self._db.execute(
                    f"SELECT key, reply FROM answer WHERE key IN ({marks})",  # noqa: S608 - marks only
                    some,
                ):
                    reply = _reply(value)
                    if reply is not None:
                        found[key] = reply
        return found

    def keep(self, replies: Mapping[bytes, Reply]) -> None:
        """Keep answers; one that is there already is replaced, and a row's error is never kept.

        Raises:
            RunFailed: the disk is full, read-only or broken.
        """
        rows = [(key, _text(reply)) for key, reply in replies.items() if reply.error is None]
        with self._lock, _failing(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany("INSERT OR REPLACE INTO answer VALUES (?, ?)", rows)
            except BaseException:
                self._db.rollback()
                raise
            self._db.commit()


@contextmanager
def open_cache(folder: Path) -> Iterator[Cache]:
    """Open the cache of a folder, made where there is none; several processes may hold it.

    Raises:
        RunFailed: it cannot be written or is damaged.
    """
    path = folder / NAME
    with _failing(path):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        with _failing(path):
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("CREATE TABLE IF NOT EXISTS answer (key BLOB PRIMARY KEY, reply TEXT) WITHOUT ROWID")
        yield Cache(connection, path)
    finally:
        connection.close()


@contextmanager
def _failing(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise RunFailed(
            f"the cache of answers cannot be used ({error})",
            where=path,
            cure="Choose another folder with --cache, do without with --no-cache, or remove the file.",
        ) from error


def _text(reply: Reply) -> str:
    fields = {name: getattr(reply, name) for name in Reply.__slots__}
    return json.dumps({name: value for name, value in fields.items() if value not in (None, ())})


def _reply(text: str) -> Reply | None:
    try:
        fields = json.loads(text)
        rates = fields.get("log_probs")
        tokens = tuple(fields.get("tokens", ()))
        return Reply(**fields | {"tokens": tokens, "log_probs": None if rates is None else tuple(rates)})
    except (ValueError, TypeError, AttributeError):  # by another version, or damaged
        return None
