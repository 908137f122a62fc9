"""Typed by hand: 3 parts of 2 records, 2 questions each: questions 0..3, 4..7, 8..9 (the last part has one record)."""

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from m4i_fast.errors import RunError, RunFailed
from m4i_fast.query import ledger as ledgers
from m4i_fast.query.ledger import Answer, Ledger, Said, Spent, open_ledger

TOTALS = {0: 4, 1: 4, 2: 2}


def answer(question: int, text: str = "a dog", **more: Any) -> Answer:
    fields: dict[str, Any] = {
        "attempts": 1,
        "request_id": None,
        "model": None,
        "image_sha256": b"\x01" * 32,
        "finish_reason": None,
        "prompt_tokens": None,
        "completion_tokens": None,
        "latency_ms": None,
        "error": None,
        "tokens": b"\x05\0\0\0",
        "log_probs": None,
    }
    return Answer(question=question, text=text, **fields | more)


def put(ledger: Ledger, *answers: Answer) -> list[int]:
    return ledger.put(answers, TOTALS, questions=4)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def test_answers_are_kept_in_order_and_to_the_bit(path: Path) -> None:
    said = [
        answer(3, "straße \N{DOG}\0 end", log_probs=b"\xff\xff\x7f\x7f"),
        answer(1, "", error="image file is empty", tokens=b"", log_probs=b""),
        answer(9),
    ]
    with open_ledger(path) as ledger:
        assert put(ledger, *said) == []
    with open_ledger(path) as ledger:
        assert ledger.said(0, 4) == Said(
            ("", "straße \N{DOG}\0 end"),
            (b"", b"\x05\0\0\0"),
            (b"", b"\xff\xff\x7f\x7f"),
            ("image file is empty", None),
        )
        assert ledger.said(4, 8) == Said((), (), (), ())
        assert ledger.answered(0, 9).tolist() == [1, 3]
        assert ledger.answered(9, 10).tolist() == [9]
        assert [ledger.count(0, 10), ledger.count(2, 9), ledger.count(4, 8)] == [3, 1, 0]
        assert ledger.spent() == Spent(3, 0, 0)


def test_every_nth_row_is_one_question_of_each_record() -> None:
    said = Said(("a", "b", "c", "d"), (b"1", b"2", b"3", b"4"), (None, None, b"", b""), ("x", None, None, "y"))
    assert said.every(1, 2) == Said(("b", "d"), (b"2", b"4"), (None, b""), (None, "y"))


def test_the_first_answer_stays_and_is_counted_once(path: Path) -> None:
    with open_ledger(path) as ledger:
        assert put(ledger, answer(0, "first"), answer(1)) == []
        assert put(ledger, answer(0, "second"), answer(2)) == []
        assert put(ledger, answer(0, "third")) == []
        assert ledger.said(0, 4).texts == ("first", "a dog", "a dog")
        assert ledger.whole(TOTALS) == []
        assert put(ledger, answer(3), answer(4)) == [0], "said once, with the answer that was missing"
        assert put(ledger, answer(3)) == []
        assert ledger.whole(TOTALS) == [0]
        assert put(ledger, *(answer(number) for number in range(5, 10))) == [1, 2]
        assert ledger.whole({1: 4, 2: 2}) == [1, 2]
        assert ledger.spent().queries == 10


def test_more_answers_at_once_than_a_statement_has_variables(path: Path) -> None:
    many = 2 * ledgers.VARIABLES + 7
    with open_ledger(path) as ledger:
        for _ in range(2):
            ledger.put([answer(number) for number in range(many)], {0: many + 1}, questions=many + 1)
        assert ledger.count(0, many) == ledger.spent().queries == many


def test_what_was_sent_is_known_and_paid_though_no_answer_came(path: Path) -> None:
    with open_ledger(path) as ledger:
        ledger.send([0, 1, 2])
        ledger.send([1])
        put(ledger, answer(1, attempts=0, prompt_tokens=7, completion_tokens=2), answer(5, prompt_tokens=3))
        ledger.send([1, 2])
        assert ledger.attempts(0, 10) == {0: 1, 2: 2}, "an answered question is not sent again"
        assert ledger.answered(0, 10).tolist() == [1, 5]
        assert ledger.spent() == Spent(queries=1 + 2 + 2 + 1, prompt_tokens=10, completion_tokens=2)


def test_an_ended_part_leaves_its_costs_and_not_its_texts(path: Path) -> None:
    with open_ledger(path) as ledger:
        put(ledger, *(answer(number, prompt_tokens=5) for number in range(4)))
        ledger.end(0, 0, 4, errors=1)
        assert ledger.ended() == {0: 1}
        assert ledger.whole(TOTALS) == []
        assert ledger.count(0, 4) == 4
        assert ledger.spent() == Spent(4, 20, 0)
        assert ledger.said(0, 4) == Said((), (), (), ())
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT COUNT(*) FROM question WHERE tokens IS NOT NULL").fetchone() == (0,)
        assert database.execute("SELECT DISTINCT image_sha256 FROM question").fetchall() == [(b"\x01" * 32,)]
    database.close()


def test_a_part_that_stood_there_before_the_ledger_is_taken_as_ended(path: Path) -> None:
    with open_ledger(path) as ledger:
        ledger.end(1, 4, 8, errors=2)
        assert ledger.ended() == {1: 2}
        assert ledger.spent() == Spent(0, 0, 0), "nobody knows what it cost"


def test_a_part_whose_file_is_gone_is_asked_again_and_what_it_cost_stays(path: Path) -> None:
    with open_ledger(path) as ledger:
        put(ledger, *(answer(number, prompt_tokens=5, completion_tokens=1) for number in range(5)))
        ledger.end(0, 0, 4, errors=0)
        ledger.reopen(0, 0, 4)
        assert ledger.ended() == {}
        assert ledger.answered(0, 8).tolist() == [4]
        assert ledger.spent() == Spent(5, 25, 5)
        again = [answer(number, "anew", prompt_tokens=6) for number in range(4)]
        assert put(ledger, *again[:3]) == []
        assert put(ledger, again[3]) == [0]
        assert ledger.said(0, 4).texts == ("anew",) * 4
        assert ledger.spent() == Spent(9, 25 + 4 * 6, 5), "both times were paid"


def test_the_models_that_answered_are_numbered(path: Path) -> None:
    with open_ledger(path) as ledger:
        numbers = [ledger.model("m", "1", None), ledger.model("m", "2", None), ledger.model("m", "1", None)]
        assert numbers == [1, 2, 1]
        assert ledger.model(None, None, None) == 3
    with open_ledger(path) as ledger:
        assert [ledger.model(None, None, None), ledger.model("m", "2", None)] == [3, 2]


def test_what_is_remembered_is_recalled(path: Path) -> None:
    with open_ledger(path) as ledger:
        assert ledger.recall("batch") is None
        ledger.remember("batch", 32)
        ledger.remember("batch", {"size": [64, "ä"]})
    with open_ledger(path) as ledger:
        assert ledger.recall("batch") == {"size": [64, "ä"]}


def test_a_failure_inside_a_commit_leaves_nothing_of_it(path: Path) -> None:
    with open_ledger(path) as ledger:
        put(ledger, answer(0))
        with pytest.raises(UnicodeEncodeError):
            put(ledger, answer(1), answer(2, "\ud800"))
        assert ledger.answered(0, 4).tolist() == [0]
        assert put(ledger, answer(1)) == []


def test_several_may_make_a_ledger_at_once(tmp_path: Path) -> None:
    for number in range(100):  # without waiting, one in ten fails
        path, faults = tmp_path / f"{number}.sqlite", list[Exception]()
        together = threading.Barrier(4)

        def work(path: Path = path, faults: list[Exception] = faults, together: threading.Barrier = together) -> None:
            together.wait()
            try:
                with open_ledger(path):
                    pass
            except Exception as fault:  # told in this thread
                faults.append(fault)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert faults == []


def test_two_who_write_at_once_are_told_of_a_whole_part_once(path: Path) -> None:
    told: list[int] = []

    def work(start: int) -> None:
        with open_ledger(path) as ledger:
            for part in range(50):
                told.extend(
                    ledger.put([answer(4 * part + start), answer(4 * part + start + 1)], {part: 4}, questions=4)
                )

    threads = [threading.Thread(target=work, args=(start,)) for start in (0, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == list(range(50))


def test_another_program_that_holds_the_file_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledgers, "BUSY_S", 0.05)
    with open_ledger(path) as ledger:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RunFailed, match=r"ledger\.sqlite: the ledger cannot be written \(database is locked\)"):
            put(ledger, answer(0))
        other.rollback()
        other.close()
        assert put(ledger, answer(0)) == []


def _garbage(content: bytes) -> bytes:
    return b"not a database, " * 400


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2 + 100]


def _zeroed(content: bytes) -> bytes:
    return content[:4096] + bytes(len(content) - 4096)


@pytest.mark.parametrize("spoil", [_garbage, _cut, _zeroed])
def test_a_damaged_ledger_is_said_with_the_cure(path: Path, spoil: Any) -> None:
    with open_ledger(path) as ledger:
        ledger.put([answer(number, "x" * 400) for number in range(200)], {0: 201}, questions=201)
    path.write_bytes(spoil(path.read_bytes()))
    with (
        pytest.raises(RunError, match=r"ledger\.sqlite: .* damaged .*Remove it together with its -wal and -shm"),
        open_ledger(path) as ledger,
    ):
        assert not (ledger.recall("identity"), ledger.ended(), ledger.said(0, 201))
