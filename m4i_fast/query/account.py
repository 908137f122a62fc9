"""What a run spends on an endpoint: within its budget, and in the ledger before it is sent.

So neither a kill nor any number of resumptions makes the endpoint see more queries than were allowed. What was under
way when the process was killed counts as if it had been answered at the greatest length.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from m4i_fast.engines.endpoints import Reply
from m4i_fast.query.ledger import Ledger
from m4i_fast.query.pacing import Budget

__all__ = ["Account", "Allowance"]

GROUP_S = 0.002
"""From one commit to the next: what is sent within it is noted together."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What may be spent on a run, over all its resumptions; None: no limit.

    A query is one attempt at one picture; those that only look whether the model is the same count too.

    Attributes:
        max_queries: that are sent.
        max_cost: in whatever money the prices are in.
        price_query: of a query.
        price_prompt_token: of a token that is sent.
        price_completion_token: of a token that comes back.
    """

    max_queries: int | None = None
    max_cost: float | None = None
    price_query: float = 0.0
    price_prompt_token: float = 0.0
    price_completion_token: float = 0.0

    def budget(self, *, max_tokens: int, **spent: Any) -> Budget:
        """What is left of it.

        Args:
            max_tokens: of an answer, as asked for.
            spent: already: ``queries``, ``spent_cost`` and other fields of ``Budget``.

        Raises:
            ConfigError: a number is negative or none, or a cost is limited without a price.
        """
        return Budget(
            max_queries=self.max_queries,
            max_cost=self.max_cost,
            price_query=self.price_query,
            price_prompt_token=self.price_prompt_token,
            price_completion_token=self.price_completion_token,
            max_tokens=max_tokens,
            **spent,
        )

    @property
    def prices(self) -> list[float]:
        """All of them, as JSON values."""
        return [self.price_query, self.price_prompt_token, self.price_completion_token]


class Account:
    """The budget of a run that goes on where it stood. Used within one event loop, in the ledger's thread.

    Where other prices are given than before, what was spent is reckoned anew from the tokens that the endpoint counted.

    Args:
        ledger: of the run.
        allowed: what may be spent.
        max_tokens: of an answer, as asked for.
    """

    def __init__(self, ledger: Ledger, allowed: Allowance, *, max_tokens: int) -> None:
        self._ledger = ledger
        self._prices = allowed.prices
        held: dict[str, Any] = ledger.recall("spent") or {"queries": 0, "cost": 0.0, "prices": allowed.prices}
        if "tokens" in held:
            prompts, completions = held["tokens"]
        else:  # runs of earlier versions kept no sums, and what their looks took is not known
            counted = ledger.spent()
            prompts, completions = counted.prompt_tokens, counted.completion_tokens
        cost = held["cost"]
        if held["prices"] != allowed.prices:
            cost = (
                held["queries"] * allowed.price_query
                + prompts * allowed.price_prompt_token
                + completions * allowed.price_completion_token
            )
        self._budget = allowed.budget(
            max_tokens=max_tokens,
            queries=held["queries"],
            prompt_tokens=prompts,
            completion_tokens=completions,
            most_seen=held.get("most_prompt_tokens", 0),
            spent_cost=cost,
        )
        self._ended = asyncio.Event()
        self._waiting: list[int] = []
        self._waiters: list[asyncio.Future[None]] = []
        self._given_back: list[int] = []
        self._committed_s = 0.0

    async def take(self, questions: Sequence[int], queries: int) -> bool:
        """Whether so many queries may be sent; if so they are paid and noted when this returns.

        What is out is reckoned at its most; where that is too much, this waits until it is known.

        Cancelled, it takes nothing.

        Args:
            questions: that they are attempts at; none where nothing of the run is asked.
            queries: pictures that are sent.
        """
        while not self._budget.take(queries):
            if not self._budget.may_suffice(queries):
                return False
            self._ended.clear()
            await self._ended.wait()
        loop = asyncio.get_running_loop()
        if not self._waiters:
            loop.call_at(self._committed_s + GROUP_S, self._commit)
        noted = loop.create_future()
        self._waiting += questions
        self._waiters.append(noted)
        try:
            await noted
        except asyncio.CancelledError:
            self.give_back(questions, queries)
            raise
        return True

    def room(self, queries: int) -> bool:
        """Whether so many could be taken now."""
        return self._budget.room(queries)

    def give_back(self, questions: Sequence[int], queries: int) -> None:
        """What ``take`` was given will not be sent; the ledger is told by ``close``."""
        self._budget.untake(queries)
        self._given_back += questions
        self._ended.set()

    def unsent(self, queries: int) -> None:
        """So many of those that were taken were not needed."""
        self._budget.untake(queries)
        self._ended.set()

    def ended(self, reply: Reply | None) -> None:
        """One query that was taken has ended; None: without an answer."""
        self._budget.spent(reply)
        self._ended.set()

    def close(self) -> None:
        """Note what was spent in the end."""
        self._commit()
        given_back, self._given_back = self._given_back, []
        self._ledger.unsend(given_back, spent=self._facts())

    @property
    def queries(self) -> int:
        """Sent so far, over the whole run."""
        return self._budget.queries

    @property
    def cost(self) -> float:
        """So far, over the whole run."""
        return self._budget.cost

    @property
    def limited(self) -> bool:
        """Whether anything is limited or has a price."""
        return self._budget.max_queries is not None or bool(self._budget.cost)

    @property
    def next_cost(self) -> float:
        """What one more query may cost at most."""
        return self._budget.next_cost

    @property
    def tokens(self) -> tuple[int, int]:
        """Of prompts and of answers, over the whole run, looks included."""
        return self._budget.prompt_tokens, self._budget.completion_tokens

    def __str__(self) -> str:
        cost = f", cost {self.cost:.4g}" if self.cost else ""
        return f"{self.queries} queries{cost}"

    def _facts(self) -> dict[str, Any]:
        return {
            "queries": self._budget.queries,
            "cost": self._budget.cost_at_most,
            "prices": self._prices,
            "tokens": self._budget.tokens_at_most,
            "most_prompt_tokens": self._budget.most_seen,
        }

    def _commit(self) -> None:
        if not self._waiters:
            return
        waiters, self._waiters = self._waiters, []
        questions, self._waiting = self._waiting, []
        failed: Exception | None = None
        try:
            self._ledger.send(questions, spent=self._facts())
        except Exception as fault:  # whoever waits for it must not send
            failed = fault
        for noted in waiters:
            if noted.done():  # cancelled
                continue
            if failed is None:
                noted.set_result(None)
            else:
                noted.set_exception(failed)
        self._committed_s = asyncio.get_running_loop().time()
