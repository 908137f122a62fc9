"""The pace under a clock of the test's own, the budget, and the wait after a failure."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m4i_fast.engines.endpoints import Busy, Reply
from m4i_fast.errors import ConfigError
from m4i_fast.query.pacing import CLOCK_S, Budget, Pace, backoff_s


class _Clockwork(selectors.DefaultSelector):
    """Does not wait: moves the loop's clock to the next timer."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise AssertionError("everything waits for something that never comes")
        self.now += timeout
        return super().select(0)


def simulated(make: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    selector = _Clockwork()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now  # type: ignore[method-assign]
    try:
        return loop.run_until_complete(make())
    finally:
        loop.close()


class Run:
    """``workers`` tasks send ``total`` requests as the pace allows; ``serve``: latency and fault by what is out."""

    def __init__(
        self,
        pace: Pace,
        serve: Callable[[int, int], tuple[float, Busy | None]],
        *,
        total: int,
        workers: int,
    ) -> None:
        self.pace, self.serve, self.total, self.workers = pace, serve, total, workers
        self.starts: list[float] = []
        self.ends: list[float] = []
        self.out = self.most_out = 0
        self.limits: list[int] = []

    async def run(self) -> "Run":
        numbers = iter(range(self.total))
        loop = asyncio.get_running_loop()

        async def work() -> None:
            for number in numbers:
                await self.pace.slot()
                started = loop.time()
                self.starts.append(started)
                self.out += 1
                self.most_out = max(self.most_out, self.out)
                assert self.out <= self.pace.limit or self.pace.facts()["throttles"]
                latency_s, fault = self.serve(number, self.out)
                await asyncio.sleep(latency_s)
                self.out -= 1
                self.ends.append(loop.time())
                self.pace.done(loop.time() - started, fault)
                self.limits.append(self.pace.limit)

        await asyncio.gather(*(work() for _ in range(self.workers)))
        return self


def ran(pace: Pace, serve: Callable[[int, int], tuple[float, Busy | None]], *, total: int, workers: int) -> Run:
    return simulated(Run(pace, serve, total=total, workers=workers).run)


def most_in_a_window(starts: list[float], window: float) -> int:
    starts = sorted(starts)
    return max(sum(1 for each in starts if at <= each <= at + window) for at in starts)


@settings(deadline=None, max_examples=60)
@given(
    st.one_of(st.none(), st.floats(0.5, 5000)),
    st.integers(1, 40),
    st.integers(1, 50),
    st.lists(
        st.tuples(st.floats(0, 3), st.sampled_from(["fine", "overload", "fault", "wait"])), min_size=1, max_size=40
    ),
)
def test_never_above_the_cap_never_below_one_never_faster_than_the_rate(
    qps: float | None, concurrency: int, workers: int, script: list[tuple[float, str]]
) -> None:
    faults = {
        "fine": None,
        "fault": Busy("500"),
        "overload": Busy("429", overload=True),
        "wait": Busy("429", overload=True, retry_after_s=2.5),
    }

    def serve(number: int, out: int) -> tuple[float, Busy | None]:
        latency_s, kind = script[number % len(script)]
        return latency_s, faults[kind]

    run = ran(Pace(qps=qps, concurrency=concurrency), serve, total=80, workers=workers)
    assert len(run.starts) == 80, "nobody waits for ever"
    assert run.most_out <= min(concurrency, workers)
    assert all(1 <= limit <= concurrency for limit in run.limits)
    if qps is not None:
        for window in (0.0, 0.5 / qps, 1 / qps, 10 / qps, 1.0):
            assert most_in_a_window(run.starts, window) <= qps * (window + 0.01) + 1 + 1e-6


def test_the_rate_is_used_up() -> None:
    run = ran(Pace(qps=100, concurrency=50), lambda *_: (0.05, None), total=500, workers=50)
    assert 4.9 < max(run.starts) < 5.1
    slow = ran(Pace(qps=5, concurrency=8), lambda *_: (0.01, None), total=11, workers=8)
    assert max(slow.starts) == pytest.approx(2.0, abs=0.02)


def test_a_server_for_200_is_used_by_200_within_a_second() -> None:
    run = ran(Pace(qps=None, concurrency=200), lambda *_: (0.05, None), total=8000, workers=200)
    assert run.starts[2000] < 1.0
    assert max(run.ends) < 8000 / 4000 * 1.2
    assert run.pace.facts() == {"limit": 200, "highest": 200, "throttles": 0, "waited_s": 0.0}


def test_refusals_bring_it_to_what_the_server_bears() -> None:
    def serve(number: int, out: int) -> tuple[float, Busy | None]:
        return (0.05, None) if out <= 20 else (0.01, Busy("429", overload=True))

    run = ran(Pace(qps=None, concurrency=100), serve, total=4000, workers=100)
    assert 8 < float(np.mean(run.limits[1000:])) < 24
    assert run.pace.facts()["throttles"] > 3


def test_a_queue_at_the_server_is_not_made_longer() -> None:
    # It works at 20 at a time: more only wait longer.
    run = ran(
        Pace(qps=None, concurrency=200), lambda _, out: (0.05 * max(1.0, out / 20), None), total=6000, workers=200
    )
    assert float(np.mean(run.limits[2000:])) < 60


def test_answers_that_become_slow_by_themselves_do_not_stop_it() -> None:
    run = ran(
        Pace(qps=None, concurrency=32), lambda number, _: (0.05 if number < 500 else 0.4, None), total=4000, workers=32
    )
    assert run.limits[-1] > 16


def test_one_bad_round_trip_halves_it_once() -> None:
    pace = Pace(qps=None, concurrency=64)

    def serve(number: int, out: int) -> tuple[float, Busy | None]:
        return 0.1, Busy("503", overload=True) if 600 <= number < 632 else None

    run = ran(pace, serve, total=700, workers=64)
    assert pace.facts()["throttles"] == 1
    assert min(run.limits[600:]) == 32


def test_a_retry_after_stops_everybody() -> None:
    def serve(number: int, out: int) -> tuple[float, Busy | None]:
        return 0.1, Busy("429", overload=True, retry_after_s=30.0) if number == 5 else None

    run = ran(Pace(qps=None, concurrency=8), serve, total=100, workers=8)
    gap = np.diff(np.sort(run.starts)).max()
    assert 29.8 < gap <= 30.0 + CLOCK_S
    assert run.pace.facts()["waited_s"] == pytest.approx(30, abs=0.3)


def test_a_waiter_that_is_cancelled_leaves_no_hole() -> None:
    async def run() -> int:
        pace = Pace(qps=None, concurrency=1)
        await pace.slot()
        waiting = [asyncio.ensure_future(pace.slot()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        pace.done(0.1, None)  # now it is the second's
        waiting[1].cancel()  # before it could take it
        await asyncio.sleep(0)
        await asyncio.wait_for(waiting[2], 5)
        return pace._in_flight

    assert simulated(run) == 1


@pytest.mark.parametrize(
    "wrong", [{"qps": 0}, {"qps": -1}, {"qps": float("inf")}, {"qps": float("nan")}, {"concurrency": 0}]
)
def test_numbers_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Pace(**{"qps": None, "concurrency": 1, **wrong})


def test_three_times_a_tenth_is_three_tenths() -> None:
    budget = Budget(max_cost=0.3, price_query=0.1)
    assert [budget.take() for _ in range(4)] == [True, True, True, False]
    assert (budget.cost, budget.queries) == (0.3, 3)


def test_queries_are_counted_across_a_resume_and_failures_too() -> None:
    budget = Budget(max_queries=5, queries=2)
    assert budget.take(2)
    budget.spent(None)
    budget.spent(Reply("a"))
    assert not budget.take(2)
    assert budget.take()
    assert not budget.take()
    assert budget.queries == 5


def test_what_is_out_is_reckoned_at_its_most() -> None:
    budget = Budget(
        max_cost=100, price_prompt_token=0.01, price_completion_token=0.1, max_tokens=50, most_prompt_tokens=1000
    )
    taken = 0
    while budget.take():
        taken += 1
    assert taken == 6  # 1,000 x 0.01 + 50 x 0.1 = 15 each
    for _ in range(6):
        budget.spent(Reply("a", prompt_tokens=100, completion_tokens=10))
    assert budget.cost == 12.0
    while budget.take():
        taken += 1
    assert taken == 6 + 14  # now 100 x 0.01 + 50 x 0.1 = 6 each, of the 88 that are left
    for _ in range(14):
        budget.spent(Reply("a"))  # tells no tokens: the most
    assert budget.cost == 12.0 + 14 * 6


@given(
    st.floats(0, 10),
    st.floats(0, 1),
    st.floats(0, 0.01),
    st.lists(st.tuples(st.integers(0, 100), st.integers(0, 20), st.booleans()), max_size=60),
)
def test_no_budget_is_overrun(most: float, price: float, token: float, replies: list[tuple[int, int, bool]]) -> None:
    budget = Budget(
        max_cost=most, price_query=price or 0.1, price_prompt_token=token, price_completion_token=token,
        max_tokens=20, most_prompt_tokens=100,
    )  # fmt: skip
    out = 0
    largest = False  # until a prompt of the largest size was seen, a larger one than any before may come
    for prompt, completion, wait in replies:
        if not budget.take():
            break
        out += 1
        if not wait:
            for _ in range(out):
                budget.spent(Reply("a", prompt_tokens=100 if not largest else prompt, completion_tokens=completion))
            out, largest = 0, True
        assert budget.cost <= most + 1e-9


@pytest.mark.parametrize(
    "wrong", [{"max_cost": 1.0}, {"max_cost": -1.0, "price_query": 1.0}, {"price_query": float("nan")}, {"queries": -1}]
)
def test_a_budget_that_makes_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Budget(**wrong)


@given(st.integers(-5, 10**6), st.one_of(st.none(), st.floats(-10, 1e9)), st.integers(0, 2**32))
def test_the_wait_is_within_its_bounds(attempt: int, asked_s: float | None, seed: int) -> None:
    wait = backoff_s(attempt, asked_s, np.random.default_rng(seed))
    if asked_s is None:
        assert 0 <= wait <= min(60, 0.5 * 2 ** min(max(attempt - 1, 0), 10))
    else:
        assert min(max(asked_s, 0), 300) <= wait <= 300.5


def test_the_wait_doubles_and_is_spread() -> None:
    rng = np.random.default_rng(0)
    for attempt, most in ((1, 0.5), (2, 1.0), (3, 2.0), (7, 32.0), (8, 60.0), (20, 60.0)):
        waits = [backoff_s(attempt, None, rng) for _ in range(500)]
        assert np.mean(waits) == pytest.approx(most / 2, rel=0.1)
        assert max(waits) > 0.9 * most
