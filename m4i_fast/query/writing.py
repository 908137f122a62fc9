"""Answers to the ledger, whole parts to Parquet, in a thread of its own beside the model."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import numpy as np

from m4i_fast.errors import RunFailed
from m4i_fast.query.ledger import Answer, Ledger, Said, open_ledger
from m4i_fast.query.parts import Part
from m4i_fast.query.plan import Plan
from m4i_fast.tables import write_generations, write_repeats
from m4i_fast.types import Generations

__all__ = ["Writer", "end_whole_parts", "write_part", "writing"]

AHEAD = 4
"""Batches of answers that wait for the disk."""

POLL_S = 0.2


class Writer:
    """Takes answers; ``write_s``: seconds its thread worked, ``wait_s``: seconds callers waited for it."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Sequence[Answer] | None] = queue.Queue(AHEAD)
        self._fault: BaseException | None = None
        self._thread: threading.Thread | None = None
        self.write_s = self.wait_s = 0.0

    def put(self, answers: Sequence[Answer]) -> None:
        """Hand answers over; waits while many are waiting.

        Raises:
            Exception: what ended the writer, whenever that was.
        """
        if not answers:
            return
        mark = perf_counter()
        self._hand(answers)
        self.wait_s += perf_counter() - mark

    def _hand(self, item: Sequence[Answer] | None) -> None:
        while True:
            if self._fault is not None:
                raise self._fault
            if self._thread is None or not self._thread.is_alive():
                raise RunFailed("the thread that writes answers has died", cure="Run the command again.")
            try:
                self._queue.put(item, timeout=POLL_S)
            except queue.Full:
                continue
            return


@contextmanager
def writing(path: Path, plan: Plan) -> Iterator[Writer]:
    """Write what is handed over, until the end of the block; then all of it is committed.

    Args:
        path: of the ledger.
        plan: of the query.

    An exception inside the block still lets what was handed over before be committed: it has been paid.

    Raises:
        Exception: at the end of the block, whatever ended the writer.
    """
    writer = Writer()
    step = plan.part_questions

    def work() -> None:
        try:
            # A connection belongs to one thread.
            with open_ledger(path) as ledger:
                while (answers := writer._queue.get()) is not None:  # noqa: SLF001 - two halves of one thing
                    mark = perf_counter()
                    of_parts = {answer.question // step for answer in answers}
                    totals = {index: plan.parts[index].questions for index in of_parts}
                    for index in ledger.put(answers, totals, questions=step):
                        end_part(ledger, plan, plan.parts[index])
                    writer.write_s += perf_counter() - mark
        except BaseException as error:  # it belongs to whoever hands over the next answers
            writer._fault = error  # noqa: SLF001 - as above

    thread = threading.Thread(target=work, name="m4i-write", daemon=True)
    writer._thread = thread  # noqa: SLF001 - as above
    thread.start()
    try:
        yield writer
    finally:
        try:
            writer._hand(None)  # noqa: SLF001 - as above
        except BaseException:
            if writer._fault is None:  # noqa: SLF001 - as above
                raise
        thread.join()
    if writer._fault is not None:  # noqa: SLF001 - as above
        raise writer._fault  # noqa: SLF001 - as above


def end_whole_parts(ledger: Ledger, plan: Plan) -> list[int]:
    """Write the files of parts that have all answers: a kill came between the last answer and the file."""
    whole = ledger.whole({part.index: part.questions for part in plan.parts if not part.stands})
    for index in whole:
        end_part(ledger, plan, plan.parts[index])
    return whole


def end_part(ledger: Ledger, plan: Plan, part: Part) -> None:
    """Write one part whole, then say so in the ledger."""
    said = ledger.said(part.first, part.last)
    if len(said.texts) != part.questions:
        if part.index in ledger.ended():
            return  # by a worker that has outlived the run which it belonged to
        raise RunFailed(
            f"the ledger has {len(said.texts)} answers of {part.questions} for this part",
            where=part.path,
            cure="Run the command again; if it says so again, move the ledger away.",
        )
    ledger.end(part.index, part.first, part.last, errors=write_part(plan, part, said))


def write_part(plan: Plan, part: Part, said: Said) -> int:
    """Write the files of a part; gives its number of rows with an error."""
    ids = tuple(record.id for record in plan.records.block(part.start, part.stop))
    asks = list(plan.asks)
    plain = _generations(ids, said.every(0, len(asks)))
    errors = sum(error is not None for error in plain.errors)
    about = {"start": str(part.start), "stop": str(part.stop), "errors": str(errors)}
    metadata = plan.identity.to_metadata() | about
    if len(asks) > 1:
        # Before the plain ones: where those stand, all of the part stands.
        write_repeats(
            part.repeats,
            [_generations(ids, said.every(row, len(asks))) for row in range(1, len(asks))],
            variants=[ask.variant for ask in asks[1:]],
            samples=[ask.sample for ask in asks[1:]],
            metadata=metadata,
        )
    write_generations(part.path, plain, metadata=metadata)
    return errors


def _generations(ids: tuple[str, ...], said: Said) -> Generations:
    rows = len(ids)
    lengths = np.fromiter(map(len, said.tokens), np.int32, rows) // 4
    width = int(lengths.max(initial=0))
    inside = np.arange(width) < lengths[:, None]
    tokens = np.zeros((rows, width), np.int32)
    tokens[inside] = np.frombuffer(b"".join(said.tokens), np.int32)
    log_probs = None
    rates = [each for each in said.log_probs if each is not None]
    if len(rates) == rows:
        log_probs = np.zeros((rows, width), np.float32)
        log_probs[inside] = np.frombuffer(b"".join(rates), np.float32)
    return Generations(ids, said.texts, tokens, lengths, log_probs, said.errors)
