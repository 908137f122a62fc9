"""Typed by hand: two parts, of 2 records and of 1; each record is asked plain and flipped."""

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m4i_fast.errors import RunFailed
from m4i_fast.query import writing as room
from m4i_fast.query.asks import Asks
from m4i_fast.query.ledger import Answer, open_ledger
from m4i_fast.query.parts import Identity, plan
from m4i_fast.query.plan import Plan
from m4i_fast.query.records import ListedRecords
from m4i_fast.query.writing import end_part, end_whole_parts, writing
from m4i_fast.runs import Run
from m4i_fast.tables import read_generations, read_metadata, read_repeats, write_generations
from m4i_fast.types import Record

IDENTITY = Identity("e", "s", "r")


def whole(tmp_path: Path, asks: Asks, rows: int = 3, part_rows: int = 2) -> Plan:
    records = ListedRecords([Record(f"r{row}", "x") for row in range(rows)])
    return Plan(records, plan(Run(tmp_path), IDENTITY, rows, part_rows, len(asks)), asks, IDENTITY)


def answer(question: int, words: int = 1, error: str | None = None, log_probs: bool = True) -> Answer:
    tokens = np.arange(words, dtype=np.int32) + 10 * question
    rates = (-np.ones(words, np.float32)).tobytes() if log_probs else None
    text = "" if error else f"said {question}"
    return Answer(question, 1, None, None, None, None, None, None, None, error, text, tokens.tobytes(), rates)


def test_answers_become_parts_whatever_their_order(tmp_path: Path) -> None:
    todo = whole(tmp_path, Asks(("flip",)))
    with writing(tmp_path / "ledger.sqlite", todo) as writer:
        writer.put([answer(5), answer(0, 2)])
        writer.put([])
        writer.put([answer(3, 0, "image file is empty"), answer(2, 3)])
        writer.put([answer(4, 0, "image file not found"), answer(1)])
    plain = read_generations([part.path for part in todo.parts])
    assert plain.ids == ("r0", "r1", "r2")
    assert plain.texts == ("said 0", "said 2", "")
    assert plain.tokens.tolist() == [[0, 1, 0], [20, 21, 22], [0, 0, 0]]
    assert plain.lengths.tolist() == [2, 3, 0]
    assert plain.log_probs is not None
    assert plain.log_probs.tolist() == [[-1, -1, 0], [-1, -1, -1], [0, 0, 0]]
    assert plain.errors == (None, None, "image file not found")
    flipped, variants, samples = read_repeats([part.repeats for part in todo.parts])
    assert flipped.texts == ("said 1", "", "said 5")
    assert (variants, samples.tolist()) == (("flip",) * 3, [0, 0, 0])
    assert read_metadata(todo.parts[1].path) == (
        1,
        {
            "engine_sha256": "e",
            "settings_sha256": "s",
            "records_sha256": "r",
            "start": "2",
            "stop": "3",
            "errors": "1",
        },
    )
    assert read_metadata(todo.parts[0].repeats)[1]["errors"] == "0", "of the plain ones: one figure a part"
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        assert ledger.ended() == {0: 0, 1: 1}


def test_a_part_of_nothing_but_errors_and_one_without_log_probabilities(tmp_path: Path) -> None:
    todo = whole(tmp_path, Asks())
    with writing(tmp_path / "ledger.sqlite", todo) as writer:
        writer.put([answer(0, 0, "bad"), answer(1, 0, "bad"), answer(2, 2, log_probs=False)])
    first, second = (read_generations([part.path]) for part in todo.parts)
    assert (first.texts, first.errors, first.tokens.shape) == (("", ""), ("bad", "bad"), (2, 0))
    assert second.log_probs is None
    assert second.tokens.tolist() == [[20, 21]]
    assert not todo.parts[0].repeats.exists()


def test_what_is_handed_over_is_committed_though_the_block_fails(tmp_path: Path) -> None:
    todo = whole(tmp_path, Asks())
    with pytest.raises(KeyboardInterrupt), writing(tmp_path / "ledger.sqlite", todo) as writer:  # noqa: PT012
        writer.put([answer(0), answer(1)])
        writer.put([answer(2)])
        raise KeyboardInterrupt
    assert all(part.path.exists() for part in todo.parts)
    assert not [thread for thread in threading.enumerate() if thread.name == "m4i-write"]


@pytest.mark.parametrize("late", [False, True])
def test_what_ends_the_writer_reaches_whoever_hands_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    todo = whole(tmp_path, Asks(), rows=100)

    def full(*_: Any, **__: Any) -> None:
        raise RunFailed("the disk is full")

    monkeypatch.setattr(room, "write_generations", full)
    with pytest.raises(RunFailed, match="the disk is full"), writing(tmp_path / "ledger.sqlite", todo) as writer:  # noqa: PT012
        writer.put([answer(0), answer(1)])
        if not late:
            for question in range(2, 100):  # more than may wait: it must not wait for ever
                writer.put([answer(question)])
    assert not [thread for thread in threading.enumerate() if thread.name == "m4i-write"]
    monkeypatch.undo()
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        assert end_whole_parts(ledger, todo) == [0], "the answers were kept"
    assert todo.parts[0].path.exists()


def test_a_fault_of_the_block_is_not_hidden_by_one_of_the_writer(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").mkdir()
    with pytest.raises(ZeroDivisionError), writing(tmp_path / "ledger.sqlite", whole(tmp_path, Asks())):
        raise ZeroDivisionError


def test_a_ledger_that_cannot_be_opened_is_an_error_at_the_end_at_the_latest(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").mkdir()
    with pytest.raises(RunFailed, match="unable to open"), writing(tmp_path / "ledger.sqlite", whole(tmp_path, Asks())):
        pass


def test_a_thread_that_died_is_noticed_and_not_waited_for(tmp_path: Path) -> None:
    with writing(tmp_path / "ledger.sqlite", whole(tmp_path, Asks())) as writer:
        writer._queue.put(None)
        assert writer._thread is not None
        writer._thread.join()
        with pytest.raises(RunFailed, match="has died"):
            writer.put([answer(0)])
        writer._fault = RunFailed("for the end of the block")
        with pytest.raises(RunFailed, match="for the end"):
            writer.put([answer(0)])
        writer._fault = None
        writer._thread = threading.Thread(target=writer._queue.get)
        writer._thread.start()


def test_who_hands_over_waits_while_many_are_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    todo = whole(tmp_path, Asks(), rows=20, part_rows=1)
    real = write_generations

    def slow(*given: Any, **more: Any) -> None:
        time.sleep(0.02)
        real(*given, **more)

    monkeypatch.setattr(room, "write_generations", slow)
    with writing(tmp_path / "ledger.sqlite", todo) as writer:
        for question in range(20):
            writer.put([answer(question)])
            assert writer._queue.qsize() <= room.AHEAD
    assert writer.wait_s > 0.1
    assert writer.write_s > 0.4
    assert len(list(tmp_path.glob("generations/*"))) == 20


def test_whole_parts_without_a_file_are_written(tmp_path: Path) -> None:
    todo = whole(tmp_path, Asks())
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.put([answer(0), answer(1)], {0: 2}, questions=2)
        assert end_whole_parts(ledger, todo) == [0]
        assert end_whole_parts(ledger, todo) == []
    assert [part.path.exists() for part in todo.parts] == [True, False]


def test_a_part_that_another_has_just_ended_is_left_to_it(tmp_path: Path) -> None:
    """Workers of a killed run may still be at it when the next one begins."""
    todo = whole(tmp_path, Asks())
    with open_ledger(tmp_path / "ledger.sqlite") as ledger, open_ledger(tmp_path / "ledger.sqlite") as other:
        ledger.put([answer(0), answer(1)], {0: 2}, questions=2)
        assert ledger.whole({0: 2}) == [0]
        end_part(other, todo, todo.parts[0])
        before = todo.parts[0].path.read_bytes()
        end_part(ledger, todo, todo.parts[0])
        assert todo.parts[0].path.read_bytes() == before


def test_a_part_that_is_not_whole_is_never_written(tmp_path: Path) -> None:
    todo = whole(tmp_path, Asks())
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.put([answer(0)], {0: 2}, questions=2)
        with pytest.raises(RunFailed, match="the ledger has 1 answers of 2 for this part"):
            end_part(ledger, todo, todo.parts[0])
    assert not todo.parts[0].path.exists()
