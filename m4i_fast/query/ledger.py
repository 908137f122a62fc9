"""The ledger of a run: what was asked, what came back, and what it cost. SQLite with a write-ahead log.

A question is one generation that is wanted: record x variant x sample, numbered ``record * asks + ask``; its state is 0
(sent, not answered) or 1 (answered). An answer is
committed here as soon as it is there, so that a kill costs what was under way and no more. When a part has all its
answers they become a Parquet file; only then they leave the ledger. What was paid and by whom it was answered stays.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from m4i_fast.errors import RunError, RunFailed

__all__ = ["NAME", "Answer", "Ledger", "Said", "Spent", "open_ledger", "void_reason"]

NAME = "ledger.sqlite"
BUSY_S = 60.0
"""Seconds to wait for another worker's commit."""

TRY_AGAIN_S = 0.01

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS model (id INTEGER PRIMARY KEY, name TEXT, version TEXT, fingerprint TEXT);
CREATE TABLE IF NOT EXISTS part (
  part INTEGER PRIMARY KEY, answered INTEGER NOT NULL, errors INTEGER NOT NULL, ended INTEGER
);
CREATE TABLE IF NOT EXISTS question (
  question INTEGER PRIMARY KEY,
  state INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  request_id TEXT,
  model INTEGER,
  image_sha256 BLOB,
  finish_reason TEXT,
  prompt_tokens INTEGER,
  completion_tokens INTEGER,
  latency_ms REAL,
  error TEXT,
  text TEXT,
  tokens BLOB,
  log_probs BLOB
);
"""

VARIABLES = 900
"""Of one statement; old builds of SQLite allow 999."""

_PUT = """
INSERT INTO question (question, state, attempts, request_id, model, image_sha256, finish_reason, prompt_tokens,
                      completion_tokens, latency_ms, error, text, tokens, log_probs)
VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (question) DO UPDATE SET
  state = 1, attempts = question.attempts + excluded.attempts, request_id = excluded.request_id,
  model = excluded.model, image_sha256 = excluded.image_sha256, finish_reason = excluded.finish_reason,
  prompt_tokens = COALESCE(question.prompt_tokens + excluded.prompt_tokens, excluded.prompt_tokens,
                           question.prompt_tokens),
  completion_tokens = COALESCE(question.completion_tokens + excluded.completion_tokens, excluded.completion_tokens,
                               question.completion_tokens),
  latency_ms = excluded.latency_ms, error = excluded.error, text = excluded.text, tokens = excluded.tokens,
  log_probs = excluded.log_probs
WHERE question.state = 0
"""

_COUNT = """
INSERT INTO part (part, answered, errors) VALUES (?, ?, 0)
ON CONFLICT (part) DO UPDATE SET answered = answered + excluded.answered RETURNING answered
"""

_SAID = """
SELECT text, tokens, log_probs, error FROM question
WHERE question >= ? AND question < ? AND state = 1 AND text IS NOT NULL ORDER BY question
"""


class Answer(NamedTuple):
    """One row of the ledger, in the order of its columns.

    ``attempts``: those not counted yet by ``Ledger.send``. ``tokens``: int32, ``log_probs``: float32, as bytes;
    ``log_probs`` is None where the model gives none.
    """

    question: int
    attempts: int
    request_id: str | None
    model: int | None
    image_sha256: bytes | None
    finish_reason: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    latency_ms: float | None
    error: str | None
    text: str
    tokens: bytes
    log_probs: bytes | None


class Said(NamedTuple):
    """Columns of answers: texts, int32 tokens and float32 log-probabilities (or None) as bytes, reasons (or None)."""

    texts: tuple[str, ...]
    tokens: tuple[bytes, ...]
    log_probs: tuple[bytes | None, ...]
    errors: tuple[str | None, ...]

    def every(self, start: int, step: int) -> Said:
        """Each ``step``-th row from ``start``."""
        rows = slice(start, None, step)
        return Said(self.texts[rows], self.tokens[rows], self.log_probs[rows], self.errors[rows])


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run has cost so far: queries that were sent (or may have been), and tokens that were counted."""

    queries: int
    prompt_tokens: int
    completion_tokens: int


def void_reason(path: Path) -> str | None:
    """Why the run of a ledger was declared void; None where it was not, or there is no ledger. Nothing is written."""
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)) as db:
            row = db.execute("SELECT value FROM meta WHERE key = 'void'").fetchone()
    except sqlite3.Error as error:
        raise RunError(
            f"the ledger cannot be read ({error})", where=path, cure="If it is damaged, ask anew with --again."
        ) from error
    return None if row is None else str(json.loads(row[0]))


class Ledger:
    """An open ledger. One connection a thread: made where it is used, by ``open_ledger``."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        self.path = path
        self._models: dict[tuple[str | None, str | None, str | None], int] = {}

    def recall(self, key: str) -> Any:
        """A JSON value that was remembered, or None."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else json.loads(row[0])

    def remember(self, key: str, value: object) -> None:
        """Keep a JSON value under a name."""
        with self._writing():
            self._remember({key: value})

    def model(self, name: str | None, version: str | None, fingerprint: str | None) -> int:
        """The number of a model as it named itself in an answer."""
        known = (name, version, fingerprint)
        if known not in self._models:
            row = self._db.execute(
                "SELECT id FROM model WHERE name IS ? AND version IS ? AND fingerprint IS ?", known
            ).fetchone()
            if row is None:
                with self._writing():
                    row = self._db.execute(
                        "INSERT INTO model (name, version, fingerprint) VALUES (?, ?, ?) RETURNING id", known
                    ).fetchone()
            self._models[known] = int(row[0])
        return self._models[known]

    def send(self, questions: Sequence[int], **facts: object) -> None:
        """Note, before it happens, that these are about to be asked: if we are killed, they may have been paid.

        ``facts`` are remembered in the same commit.
        """
        with self._writing():
            self._remember(facts)
            self._db.executemany(
                "INSERT INTO question (question, state, attempts) VALUES (?, 0, 1) "
                "ON CONFLICT (question) DO UPDATE SET attempts = attempts + 1 WHERE state = 0",
                ((question,) for question in questions),
            )

    def unsend(self, questions: Sequence[int], **facts: object) -> None:
        """Take back what ``send`` noted once of each of these: it did not happen."""
        with self._writing():
            self._remember(facts)
            self._db.executemany(
                "UPDATE question SET attempts = attempts - 1 WHERE question = ? AND state = 0 AND attempts > 0",
                ((question,) for question in questions),
            )

    def put(self, answers: Sequence[Answer], parts: Mapping[int, int], *, questions: int) -> list[int]:
        """Commit answers; a question that is answered already keeps its answer.

        Args:
            answers: in any order.
            parts: of each part that they belong to, how many questions it has in all.
            questions: a part, all but the last.

        Returns:
            The parts that are whole with these: of all processes exactly one is told so.
        """
        whole = []
        with self._writing():
            known = self._answered_of([answer.question for answer in answers])
            new = [answer for answer in answers if answer.question not in known]
            self._db.executemany(_PUT, new)
            for part, count in Counter(answer.question // questions for answer in new).items():
                (now,) = self._db.execute(_COUNT, (part, count)).fetchone()
                if now == parts[part]:
                    whole.append(part)
        return whole

    def answered(self, first: int, stop: int) -> npt.NDArray[np.int64]:
        """The questions of a range that have an answer, int64, ascending."""
        rows = self._db.execute(
            "SELECT question FROM question WHERE question >= ? AND question < ? AND state = 1 ORDER BY question",
            (first, stop),
        )
        return np.fromiter((row[0] for row in rows), np.int64)

    def count(self, first: int, stop: int) -> int:
        """How many questions of a range have an answer."""
        (found,) = self._db.execute(
            "SELECT COUNT(*) FROM question WHERE question >= ? AND question < ? AND state = 1", (first, stop)
        ).fetchone()
        return int(found)

    def attempts(self, first: int, stop: int) -> dict[int, int]:
        """Questions of a range that were sent and have no answer: how often."""
        return dict(
            self._db.execute(
                "SELECT question, attempts FROM question WHERE question >= ? AND question < ? AND state = 0",
                (first, stop),
            )
        )

    def said(self, first: int, stop: int) -> Said:
        """What was answered to a range of questions, in order; of a part that has ended, nothing any more."""
        rows = self._db.execute(_SAID, (first, stop)).fetchall()
        return Said(*zip(*rows, strict=True)) if rows else Said((), (), (), ())

    def ended(self) -> dict[int, int]:
        """The parts whose file was written, and their rows with an error."""
        return dict(self._db.execute("SELECT part, errors FROM part WHERE ended IS NOT NULL"))

    def whole(self, parts: Mapping[int, int]) -> list[int]:
        """Of these parts (and their numbers of questions), those with all answers and no file yet."""
        found = dict(self._db.execute("SELECT part, answered FROM part WHERE ended IS NULL"))
        return [part for part, questions in parts.items() if found.get(part) == questions]

    def end(self, part: int, first: int, stop: int, *, errors: int) -> None:
        """Note that a part's file stands; its answers leave the ledger."""
        with self._writing():
            self._db.execute(
                "INSERT INTO part (part, answered, errors, ended) VALUES (?, ?, ?, 1) "
                "ON CONFLICT (part) DO UPDATE SET errors = excluded.errors, ended = 1",
                (part, stop - first, errors),
            )
            self._db.execute(
                "UPDATE question SET text = NULL, tokens = NULL, log_probs = NULL "
                "WHERE question >= ? AND question < ? AND text IS NOT NULL",
                (first, stop),
            )

    def adopt(self, part: int, first: int, stop: int, sha256: Sequence[bytes | None], *, errors: int) -> None:
        """Note a part that somebody else answered and wrote; ``sha256``: of each question's image file."""
        with self._writing():
            self._db.executemany(
                "INSERT INTO question (question, state, attempts, image_sha256) VALUES (?, 1, 1, ?) "
                "ON CONFLICT (question) DO UPDATE SET state = 1, image_sha256 = excluded.image_sha256",
                zip(range(first, stop), sha256, strict=True),
            )
        self.end(part, first, stop, errors=errors)

    def reopen(self, part: int, first: int, stop: int) -> None:
        """A part's file is gone: its questions are to be asked again; what they cost stays."""
        with self._writing():
            self._db.execute("DELETE FROM part WHERE part = ?", (part,))
            self._db.execute("UPDATE question SET state = 0 WHERE question >= ? AND question < ?", (first, stop))

    def spent(self) -> Spent:
        """What the run has cost so far."""
        row = self._db.execute(
            "SELECT COALESCE(SUM(attempts), 0), COALESCE(SUM(prompt_tokens), 0), COALESCE(SUM(completion_tokens), 0) "
            "FROM question"
        ).fetchone()
        return Spent(*row)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.rollback()
                raise
            self._db.commit()
        except sqlite3.Error as error:
            raise _failed(error, self.path) from error

    def _remember(self, facts: Mapping[str, object]) -> None:
        values = ((key, json.dumps(value)) for key, value in facts.items())
        self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values)

    def _answered_of(self, questions: Sequence[int]) -> set[int]:
        found: set[int] = set()
        for start in range(0, len(questions), VARIABLES):
            some = questions[start : start + VARIABLES]
            marks = ",".join("?" * len(some))
            found.update(
                row[0]
                for row in self._db.execute(
                    f"SELECT question FROM question WHERE question IN ({marks}) AND state = 1",  # noqa: S608 - marks only
                    some,
                )
            )
        return found


@contextmanager
def open_ledger(path: Path) -> Iterator[Ledger]:
    """Open a ledger, made where there is none; several processes may hold it, each thread its own.

    Raises:
        RunError: it is no ledger, or damaged.
        RunFailed: the disk is full, read-only or broken.
    """
    try:
        connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
        try:
            _use_wal(connection)
            # A commit survives the death of the process, not of the machine; the parts are synced for that.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(_SCHEMA)
            yield Ledger(connection, path)
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise _failed(error, path) from error


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log. Where several make a ledger at once SQLite refuses some without waiting."""
    until = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(TRY_AGAIN_S)
        else:
            return


def _failed(error: sqlite3.Error, path: Path) -> RunError | RunFailed:
    if isinstance(error, sqlite3.OperationalError):
        return RunFailed(
            f"the ledger cannot be written ({error})",
            where=path,
            cure="Make room on the disk, or let no other program hold the file; what was committed stands.",
        )
    return RunError(
        f"this is no ledger of a query, or it is damaged ({error})",
        where=path,
        cure="Remove it together with its -wal and -shm files: the parts that stand are kept, the rest is asked again.",
    )
