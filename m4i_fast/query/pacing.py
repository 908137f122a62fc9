"""How fast an endpoint is asked, how much it may cost, and how long to wait after a failure."""

from __future__ import annotations

import asyncio
import math
import statistics
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from m4i_fast.engines.endpoints.faults import LONGEST_WAIT_S, Busy
from m4i_fast.engines.endpoints.questions import Reply
from m4i_fast.errors import ConfigError

__all__ = ["Budget", "Pace", "backoff_s"]

FIRST_LIMIT = 4.0
DECREASE = 0.5
SLOWER = 2.0
"""Times the best median latency: more than this, and requests only wait for each other at the server."""

NO_FASTER = 0.8
"""Of a latency that a decrease did not cure: the answers are slow, not the queue long."""

WINDOW = 16
"""Latencies a median is taken of, at least."""

SLACK_S = 0.01
"""A request that is late by less than this does not delay the next: timers are that coarse."""

CLOCK_S = 0.005
"""A loop's clock may stand for some milliseconds: whoever asked for a pause is not asked again before its end."""

BACKOFF_BASE_S = 0.5
BACKOFF_CAP_S = 60.0


class Pace:
    """Who may send now. Used within one event loop.

    At most ``limit`` requests are out at once. The limit starts at 4, grows by one a good answer (doubling each round
    trip) until the first sign of trouble and by one a round trip thereafter, and is halved, once a round trip, when the
    endpoint asks for less or when the median latency exceeds twice the best that was seen. It stays within 1 and
    ``concurrency``. Over any span of W seconds at most ``qps * (W + 0.01) + 1`` requests start. After a refusal with a
    Retry-After nothing is sent before its time.

    Args:
        qps: requests a second; None: as many as the limit lets through.
        concurrency: the cap.
        clock: seconds, as the loop's ``time``; None: that of the running loop.

    Raises:
        ConfigError: a number is out of range.
    """

    def __init__(self, *, qps: float | None, concurrency: int, clock: Callable[[], float] | None = None) -> None:
        if qps is not None and not 0 < qps < math.inf:
            raise ConfigError(f"{qps} is no rate", where="qps", cure="Give requests a second, more than 0.")
        if concurrency < 1:
            raise ConfigError(f"{concurrency} is out of range", where="concurrency", cure="Give 1 or more.")
        self._clock = clock
        self._interval_s = 0.0 if qps is None else 1.0 / qps
        self._cap = concurrency
        self._limit = min(FIRST_LIMIT, float(concurrency))
        self._highest = int(self._limit)
        self._in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._due_s = -math.inf  # when the next may start, by the rate
        self._paused_until_s = -math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._held_since_s: float | None = None
        self._waited_s = 0.0
        self._throttles = 0
        self._slow_start = True
        self._decreased_s = -math.inf
        self._latencies: list[float] = []
        self._window = WINDOW
        self._best_s = math.inf
        self._cut_at_s: float | None = None  # the median latency that caused the last decrease

    async def slot(self) -> None:
        """Wait until one more request may start; ``done`` gives it back."""
        if not self._waiting and self._may_start():
            self._start()
            return
        permit = asyncio.get_running_loop().create_future()
        self._waiting.append(permit)
        self._pump()
        try:
            await permit
        except asyncio.CancelledError:
            if permit.done() and not permit.cancelled():  # it was given, and nobody will use it
                self._in_flight -= 1
            self._pump()
            raise

    def done(self, latency_s: float, fault: Busy | None) -> None:
        """A request has ended.

        Args:
            latency_s: since it was sent.
            fault: what it failed of; None for any answer.
        """
        self._in_flight -= 1
        now = self._now()
        if fault is not None:
            if fault.overload:
                self._overloaded(now, latency_s, fault)
        else:
            self._answered(now, latency_s)
        self._pump()

    @property
    def limit(self) -> int:
        """Requests that may be out at once now."""
        return int(self._limit)

    def facts(self) -> dict[str, Any]:
        """``limit`` now, ``highest`` so far, ``throttles`` (decreases), ``waited_s`` (held back by rate or pause)."""
        return {
            "limit": self.limit,
            "highest": self._highest,
            "throttles": self._throttles,
            "waited_s": round(self._waited_s, 3),
        }

    def _now(self) -> float:
        if self._clock is None:
            self._clock = asyncio.get_running_loop().time
        return self._clock()

    def _may_start(self) -> bool:
        return self._in_flight < int(self._limit) and self._now() >= max(self._due_s, self._paused_until_s)

    def _start(self) -> None:
        self._in_flight += 1
        if self._interval_s:
            self._due_s = max(self._due_s, self._now() - SLACK_S) + self._interval_s

    def _pump(self) -> None:
        """Let those start that may, and wake up when the next may by the clock."""
        if not self._waiting and self._held_since_s is None:
            return
        while self._waiting and self._may_start():
            permit = self._waiting.popleft()
            if not permit.done():
                self._start()
                permit.set_result(None)
        now = self._now()
        held = bool(self._waiting) and self._in_flight < int(self._limit)
        if self._held_since_s is not None:
            self._waited_s += now - self._held_since_s
        self._held_since_s = now if held else None
        if held and self._timer is None:
            delay_s = max(self._due_s, self._paused_until_s) - now
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._pump()

    def _overloaded(self, now: float, latency_s: float, fault: Busy) -> None:
        if fault.retry_after_s is not None:
            wait_s = min(fault.retry_after_s, LONGEST_WAIT_S) + CLOCK_S
            self._paused_until_s = max(self._paused_until_s, now + wait_s)
        self._decrease(now, latency_s)

    def _decrease(self, now: float, latency_s: float) -> bool:
        if now - latency_s < self._decreased_s:
            return False  # as above: once a round trip
        self._slow_start = False
        self._decreased_s = now
        self._latencies.clear()
        self._throttles += 1
        self._limit = max(1.0, self._limit * DECREASE)
        return True

    def _answered(self, now: float, latency_s: float) -> None:
        if now - latency_s < self._decreased_s:
            return  # it was sent before the last decrease and says nothing about it
        if not self._latencies:
            self._window = max(WINDOW, int(self._limit))  # a round trip's; the limit grows while it lasts
        self._latencies.append(latency_s)
        if len(self._latencies) >= self._window:
            self._judge(now, latency_s)
        # A limit that is not used was not tried, and does not grow.
        if self._limit < self._cap and 2 * (self._in_flight + 1) >= int(self._limit):
            self._limit = min(float(self._cap), self._limit + (1.0 if self._slow_start else 1.0 / self._limit))
            self._highest = max(self._highest, int(self._limit))

    def _judge(self, now: float, latency_s: float) -> None:
        median_s = statistics.median(self._latencies)
        self._latencies.clear()
        if self._cut_at_s is not None and median_s > NO_FASTER * self._cut_at_s:
            self._best_s = median_s  # fewer at once made it no faster: this is how long an answer takes now
        self._cut_at_s = None
        self._best_s = min(self._best_s, median_s)
        # While the limit doubles, a median is of a shorter queue than now stands, and compares with nothing.
        steady = not self._slow_start or self._limit >= self._cap
        if median_s > SLOWER * self._best_s and self._decrease(now, latency_s) and steady:
            self._cut_at_s = median_s


@dataclass(slots=True)
class Budget:
    """Hard stops, asked before anything is sent.

    A query that is out is reckoned at its price with ``max_tokens`` tokens of answer and as many of prompt as the
    largest so far, so that what is out cannot run over; only a prompt larger than any before can. Sums are decimal:
    three times 0.1 is 0.3.

    Attributes:
        max_queries: queries sent, attempts that failed included; None: any number.
        max_cost: in the currency of the prices; None: any.
        price_query: of one query that is sent, answered or not.
        price_prompt_token: of one token as the endpoint counts them.
        price_completion_token: likewise.
        max_tokens: of an answer, as asked for.
        most_prompt_tokens: of a prompt, until the first answer tells: a guess on the safe side.
        queries: sent so far, those of earlier runs included.
        prompt_tokens: of all that has ended so far, earlier runs and those that only looked included.
        completion_tokens: likewise.
        most_seen: tokens of the largest prompt so far; 0: none was counted yet.
        spent_cost: so far, earlier runs included.

    Raises:
        ConfigError: a number is negative or none, or a cost is limited without a price.
    """

    max_queries: int | None = None
    max_cost: float | None = None
    price_query: float = 0.0
    price_prompt_token: float = 0.0
    price_completion_token: float = 0.0
    max_tokens: int = 64
    most_prompt_tokens: int = 2048
    queries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    most_seen: int = 0
    spent_cost: float = 0.0
    _out: int = 0
    _cost: Decimal = Decimal(0)
    _each: Decimal = Decimal(0)
    _prompt: Decimal = Decimal(0)
    _completion: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        for name in ("max_cost", "price_query", "price_prompt_token", "price_completion_token", "spent_cost"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ConfigError(f"{value} is no amount", where=name, cure="Give 0 or more.")
        for name in ("max_queries", "queries", "max_tokens", "most_prompt_tokens"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ConfigError(f"{value} is out of range", where=name, cure="Give 0 or more.")
        if self.max_cost is not None and not (
            self.price_query or self.price_prompt_token or self.price_completion_token
        ):
            raise ConfigError("a cost is limited and nothing has a price", where="max_cost", cure="Give a price.")
        self._cost = _exact(self.spent_cost)
        self._each = _exact(self.price_query)
        self._prompt = _exact(self.price_prompt_token)
        self._completion = _exact(self.price_completion_token)

    def room(self, n: int = 1) -> bool:
        """Whether ``n`` more queries may be sent."""
        if self.max_queries is not None and self.queries + n > self.max_queries:
            return False
        if self.max_cost is None:
            return True
        ahead = n * self._each + (self._out + n) * self._tokens_each()
        return self._cost + ahead <= _exact(self.max_cost)

    def may_suffice(self, n: int = 1) -> bool:
        """Whether there may be room for ``n`` when it is known what those that are out have cost."""
        allowed = self.max_queries is None or self.queries + n <= self.max_queries
        return allowed and self._out > 0

    def take(self, n: int = 1) -> bool:
        """Whether ``n`` more queries may be sent; if so they are counted as sent."""
        if not self.room(n):
            return False
        self._count(n)
        return True

    def untake(self, n: int) -> None:
        """Of those that were taken, ``n`` were not sent."""
        self._count(-n)

    def spent(self, reply: Reply | None) -> None:
        """One query that was taken has ended; None: without an answer (its own price stays counted)."""
        self._out -= 1
        if reply is None:
            return
        prompt = self._prompt_tokens() if reply.prompt_tokens is None else reply.prompt_tokens
        completion = self.max_tokens if reply.completion_tokens is None else reply.completion_tokens
        self._cost += prompt * self._prompt + completion * self._completion
        self.prompt_tokens += prompt
        self.completion_tokens += completion
        if reply.prompt_tokens is not None:
            self.most_seen = max(self.most_seen, prompt)

    @property
    def tokens_at_most(self) -> tuple[int, int]:
        """Of prompts and of answers, all that is out at its most."""
        prompts = self.prompt_tokens + self._out * self._prompt_tokens()
        return prompts, self.completion_tokens + self._out * self.max_tokens

    @property
    def next_cost(self) -> float:
        """What one more query is reckoned at."""
        return float(self._each + self._tokens_each())

    @property
    def cost(self) -> float:
        """Of all that has ended, and the queries' own price of what is out."""
        return float(self._cost)

    @property
    def cost_at_most(self) -> float:
        """The same with the tokens of all that is out, each at its most."""
        return float(self._cost + self._out * self._tokens_each())

    def _count(self, n: int) -> None:
        self.queries += n
        self._out += n
        self._cost += n * self._each

    def _tokens_each(self) -> Decimal:
        return self._prompt_tokens() * self._prompt + self.max_tokens * self._completion

    def _prompt_tokens(self) -> int:
        return self.most_seen or self.most_prompt_tokens


def backoff_s(attempt: int, retry_after_s: float | None, rng: np.random.Generator) -> float:
    """Seconds to wait before the next attempt: anything up to 0.5 s, doubled with each failure, up to 60 s.

    Args:
        attempt: how many have failed, from 1.
        retry_after_s: what the endpoint asked for; that long at least, and at most 300 s, with up to 0.5 s on top so
            that all who were told the same do not come back at once.
        rng: the jitter's.
    """
    if retry_after_s is not None:
        return min(max(retry_after_s, 0.0), LONGEST_WAIT_S) + float(rng.uniform(0, BACKOFF_BASE_S))
    return float(rng.uniform(0, min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2 ** min(max(attempt, 1) - 1, 30))))


def _exact(value: float) -> Decimal:
    return Decimal(repr(float(value)))
