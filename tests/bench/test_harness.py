"""Timing: a clock that the test moves shows what is counted, in which order, and what is left out."""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Callable

import numpy as np
import pytest

from m4i_fast.bench import harness
from m4i_fast.bench.harness import Contender, Race, Spread, cores_here, pinned, race, spread, steps


class Clock:
    """Moves only when it is told to; ``cpu`` apart from ``wall``, and ``children`` apart from both."""

    def __init__(self) -> None:
        self.cpu = self.wall = self.children = 0.0

    def work(self, cpu: float, wall: float | None = None, children: float = 0.0) -> Callable[[], None]:
        def work() -> None:
            self.cpu += cpu
            self.wall += cpu if wall is None else wall
            self.children += children

        return work


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(harness.time, "process_time", lambda: made.cpu)  # type: ignore[attr-defined]
    monkeypatch.setattr(harness.time, "perf_counter", lambda: made.wall)  # type: ignore[attr-defined]
    monkeypatch.setattr(harness, "_children_s", lambda: made.children)
    return made


def _logged(log: list[str], name: str, work: Callable[[], object]) -> Contender:
    return Contender(name, lambda: (log.append(name), work()), 1)


def test_contenders_take_turns_and_each_timing_follows_a_warm_call(clock: Clock) -> None:
    log: list[str] = []
    race([_logged(log, name, clock.work(0.06)) for name in "ab"], rounds=2)
    trials, one_round = ["a", "a", "b", "b"], ["a", "a", "b", "b"]
    assert log == trials + one_round + one_round


def test_short_calls_are_repeated_until_the_timing_is_long_enough(clock: Clock) -> None:
    log: list[str] = []
    found = race([_logged(log, "a", clock.work(2**-7, wall=2**-6))], rounds=1)  # 7.8 ms
    assert log.count("a") == 2 + 1 + 7  # the trial, the warm call, ceil(50 / 7.8)
    assert found.cpu["a"].tolist() == [2**-7]
    assert found.wall["a"].tolist() == [2**-6]


def test_time_is_by_unit(clock: Clock) -> None:
    found = race([Contender("a", clock.work(0.5), 4)], rounds=1)
    assert found.cpu["a"].tolist() == [0.125]


def test_a_long_call_is_its_own_warm_up(clock: Clock) -> None:
    log: list[str] = []
    race([_logged(log, "a", clock.work(2.0))], rounds=3)
    assert len(log) == 1 + 3


def test_what_resets_is_not_timed_and_comes_before_each_call(clock: Clock) -> None:
    log: list[str] = []
    reset = clock.work(8.0)
    contender = Contender(
        "a", lambda: (log.append("work"), clock.work(2**-5)()), 1, reset=lambda: (log.append("reset"), reset())
    )
    found = race([contender], rounds=1)
    assert found.cpu["a"].tolist() == [2**-5]
    assert log == ["reset", "work"] * (2 + 1 + 2)


def test_given_repeats_need_no_trial(clock: Clock) -> None:
    log: list[str] = []
    contender = Contender("a", lambda: (log.append("a"), clock.work(0.25)()), 1, repeats=2)
    assert race([contender], rounds=1).cpu["a"].tolist() == [0.25]
    assert len(log) == 2


def test_children_count_where_the_work_is_theirs(clock: Clock) -> None:
    work = clock.work(0.5, wall=4.0, children=1.5)
    found = race([Contender("java", work, 1, children=True), Contender("python", work, 1)], rounds=1)
    assert found.cpu["java"].tolist() == [2.0]
    assert found.cpu["python"].tolist() == [0.5]


def test_a_contender_with_a_clock_of_its_own_is_believed(clock: Clock) -> None:
    found = race([Contender("a", lambda: 0.003, 1, own_clock=True)], rounds=2)
    assert found.cpu["a"].tolist() == found.wall["a"].tolist() == [0.003, 0.003]


def test_who_takes_part_in_fewer_rounds_is_compared_in_those(clock: Clock) -> None:
    contenders = [Contender("a", clock.work(0.5), 1), Contender("b", clock.work(1.5), 1, rounds=2)]
    found = race(contenders, rounds=3)
    assert found.seconds("b").tolist() == [1.5, 1.5]
    assert found.ratio("a", ["b"]).tolist() == [3.0, 3.0]


def test_a_ratio_is_formed_within_a_round_with_the_fastest_there() -> None:
    cpu = {"a": np.array([1.0, 2.0, 4.0]), "b": np.array([10.0, 30.0, 20.0]), "c": np.array([20.0, 20.0, 80.0])}
    wall = {name: 2 * values for name, values in cpu.items()}
    wall["a"] = wall["a"] / 2
    found = Race(cpu, wall)
    assert found.ratio("a", ["b", "c"]).tolist() == [10.0, 10.0, 5.0]
    assert found.ratio("a", ["b"]).tolist() == [10.0, 15.0, 5.0]
    assert found.ratio("a", ["b"], wall=True).tolist() == [20.0, 30.0, 10.0]
    assert found.disturbance() == 2.0


def test_spread_by_hand() -> None:
    assert spread([5.0, 1.0, 2.0, 4.0, 3.0]) == Spread(median=3.0, low=2.0, high=4.0, rounds=5)
    assert spread([7.0]) == Spread(7.0, 7.0, 7.0, 1)


def test_advance_is_called_as_often_as_steps_says(clock: Clock) -> None:
    told: list[str] = []
    contenders = [
        Contender("a", clock.work(0.5), 1),
        Contender("b", clock.work(0.5), 1, rounds=1),
        Contender("c", lambda: 1.0, 1, own_clock=True),
    ]
    race(contenders, rounds=3, advance=lambda n, name: told.extend([name] * n))
    assert len(told) == steps(contenders, 3) == 4 + 2 + 4
    assert told[:3] == ["a", "b", "c"]


@pytest.mark.parametrize("collecting", [True, False])
def test_the_collector_rests_while_the_clock_runs_and_is_as_it_was_afterwards(collecting: bool) -> None:
    seen: list[bool] = []
    (gc.enable if collecting else gc.disable)()
    try:
        race([Contender("a", lambda: seen.append(gc.isenabled()), 1)], rounds=1, least_s=0.0)
        assert set(seen) == {False}
        assert gc.isenabled() == collecting
    finally:
        gc.enable()


def test_a_contender_that_warns_is_not_timed_at_warning() -> None:
    race([Contender("a", lambda: warnings.warn("0 counts", stacklevel=1), 1)], rounds=1, least_s=0.0)


def test_two_of_one_name_would_overwrite_each_other() -> None:
    with pytest.raises(AssertionError, match="one name"):
        race([Contender("a", list, 1), Contender("a", list, 1)], rounds=1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process")
def test_pinned_to_one_core_and_released_also_after_an_error() -> None:
    before = os.sched_getaffinity(0)
    core = cores_here()[-1]
    with pinned([core]) as done:
        assert done
        assert os.sched_getaffinity(0) == {core}
    assert os.sched_getaffinity(0) == before
    with pytest.raises(KeyError), pinned([core]):
        raise KeyError
    assert os.sched_getaffinity(0) == before


def test_where_the_system_cannot_pin_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    with pinned([0]) as done:
        assert not done
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert cores_here() == tuple(range(os.cpu_count() or 1))
