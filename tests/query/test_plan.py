"""Typed by hand: 5 records in parts of 2, 2 questions a record: questions 0..3, 4..7 and 8..9."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m4i_fast.query.asks import Ask, Asks
from m4i_fast.query.ledger import Ledger, open_ledger
from m4i_fast.query.parts import Identity, Part
from m4i_fast.query.plan import Plan
from m4i_fast.types import Record


class Blocks:
    """Five records; notes which blocks were read."""

    def __init__(self, count: int = 5) -> None:
        self._records = [Record(f"r{row}", f"{row}.png") for row in range(count)]
        self.read: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._records)

    def block(self, start: int, stop: int) -> Sequence[Record]:
        self.read.append((start, stop))
        return self._records[start:stop]

    def digest(self) -> str:
        return "d"


def make(count: int = 5, part_rows: int = 2, asks: Asks | None = None, stands: tuple[int, ...] = ()) -> Plan:
    asks = asks or Asks(("flip",))
    parts = tuple(
        Part(
            index,
            Path(f"p{index}"),
            Path(f"q{index}"),
            start,
            min(start + part_rows, count),
            len(asks),
            stands=index in stands,
        )
        for index, start in enumerate(range(0, count, part_rows))
    )
    return Plan(Blocks(count), parts, asks, Identity("e", "s", "d"))


class Answered(Ledger):
    """Only says what is answered."""

    def __init__(self, numbers: set[int]) -> None:
        self.numbers = numbers

    def answered(self, first, stop):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        import numpy as np

        return np.array(sorted(number for number in self.numbers if first <= number < stop), np.int64)


def test_questions_are_numbered_by_record_and_ask() -> None:
    plan = make()
    assert (plan.questions, plan.part_questions) == (10, 4)
    assert [(part.first, part.last, part.questions) for part in plan.parts] == [(0, 4, 4), (4, 8, 4), (8, 10, 2)]


def test_batches_do_not_cross_parts() -> None:
    assert list(make().missing(Answered(set()), 3)) == [[0, 1, 2], [3], [4, 5, 6], [7], [8, 9]]
    assert list(make().missing(Answered(set()), 100)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_what_is_answered_and_what_stands_is_left_out_and_moves_no_border() -> None:
    assert list(make().missing(Answered({0, 1, 2, 5, 9}), 3)) == [[3], [4, 6], [7], [8]]
    assert list(make(stands=(1,)).missing(Answered({3}), 3)) == [[0, 1, 2], [8, 9]]
    assert list(make(stands=(0, 1, 2)).missing(Answered(set()), 3)) == []


@given(
    count=st.integers(1, 30),
    part_rows=st.integers(1, 9),
    samples=st.integers(1, 3),
    size=st.integers(1, 12),
    whole=st.sets(st.integers(0, 40)),
    some=st.sets(st.integers(0, 89)),
)
def test_a_run_that_goes_on_gets_the_batches_that_it_would_have_had(
    count: int, part_rows: int, samples: int, size: int, whole: set[int], some: set[int]
) -> None:
    plan = make(count, part_rows, Asks((), samples))
    batches = list(plan.missing(Answered(set()), size))
    assert [number for batch in batches for number in batch] == list(range(count * samples)), "each once, in order"
    done = {number for index in whole if index < len(batches) for number in batches[index]}
    left = [batch for batch in batches if batch[0] not in done]
    assert list(plan.missing(Answered(done), size)) == left
    further = done | some
    missing = [number for batch in plan.missing(Answered(further), size) for number in batch]
    assert missing == [number for number in range(count * samples) if number not in further]


def test_batches_come_with_their_records_and_each_block_is_read_once() -> None:
    plan = make()
    batches = list(plan.batches(plan.missing(Answered({1, 4}), 3)))
    plain, flip = Ask("", 0), Ask("flip", 0)
    assert [[(row.question, row.record.id, row.ask) for row in batch] for batch in batches] == [
        [(0, "r0", plain), (2, "r1", plain)],
        [(3, "r1", flip)],
        [(5, "r2", flip), (6, "r3", plain)],
        [(7, "r3", flip)],
        [(8, "r4", plain), (9, "r4", flip)],
    ]
    assert isinstance(plan.records, Blocks)
    assert plan.records.read == [(0, 2), (2, 4), (4, 5)]


@pytest.mark.parametrize(("stands", "answered"), [((), 0), ((0,), 4), ((0, 2), 6), ((0, 1, 2), 10)])
def test_answers_of_standing_parts_count_without_the_ledger(
    tmp_path: Path, stands: tuple[int, ...], answered: int
) -> None:
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        assert make(stands=stands).answered(ledger) == answered
        assert replace(make(stands=stands), asks=Asks()).answered(ledger) == answered
