"""What is spent is noted before it is sent, and never forgotten."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from m4i_fast.engines.endpoints import Reply
from m4i_fast.errors import ConfigError, RunFailed
from m4i_fast.query.account import Account, Allowance
from m4i_fast.query.ledger import Ledger, open_ledger

PRICED = Allowance(max_cost=10, price_query=1, price_completion_token=0.5)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


def test_what_may_be_sent_stands_in_the_ledger_already(ledger: Ledger) -> None:
    async def run() -> None:
        account = Account(ledger, Allowance(max_queries=3), max_tokens=1)
        assert await asyncio.gather(account.take([5], 1), account.take([7], 1)) == [True, True]
        assert ledger.attempts(0, 10) == {5: 1, 7: 1}
        assert await account.take([5], 1)
        assert not await account.take([5], 1)
        assert ledger.attempts(0, 10) == {5: 2, 7: 1}
        assert str(account) == "3 queries"

    asyncio.run(run())
    again = Account(ledger, Allowance(max_queries=3), max_tokens=1)
    assert (again.queries, again.room(1)) == (3, False)


def test_what_was_under_way_at_a_kill_counts_at_its_most(ledger: Ledger) -> None:
    async def run() -> None:
        account = Account(ledger, PRICED, max_tokens=4)
        assert await account.take([1], 1)
        account.ended(Reply("a", prompt_tokens=1, completion_tokens=2))
        assert await account.take([2], 1)  # and then it is killed

    asyncio.run(run())
    killed = Account(ledger, PRICED, max_tokens=4)
    assert killed.cost == 1 + 2 * 0.5 + 1 + 4 * 0.5
    killed.close()
    assert Account(ledger, PRICED, max_tokens=4).cost == killed.cost


def test_what_was_not_needed_is_given_back(ledger: Ledger) -> None:
    async def run() -> Account:
        account = Account(ledger, PRICED, max_tokens=0)
        assert await account.take([1, 2], 4)
        account.unsent(2)
        for _ in range(2):
            account.ended(None)
        account.close()
        return account

    account = asyncio.run(run())
    assert (account.queries, account.cost) == (2, 2.0)
    assert Account(ledger, PRICED, max_tokens=0).queries == 2


def test_what_is_not_sent_after_all_is_neither_spent_nor_an_attempt(ledger: Ledger) -> None:
    async def run() -> Account:
        account = Account(ledger, Allowance(max_queries=5), max_tokens=1)
        assert await account.take([1, 2], 2)
        assert await account.take([1], 1)
        account.give_back([1], 1)
        broken_off = [asyncio.create_task(account.take([each], 1)) for each in (7, 8)]
        await asyncio.sleep(0)
        broken_off[0].cancel()
        await asyncio.wait(broken_off)
        broken_off.append(asyncio.create_task(account.take([2], 1)))
        await asyncio.sleep(0)
        broken_off[-1].cancel()
        await asyncio.wait(broken_off)
        account.close()  # before the next commit was due
        return account

    assert asyncio.run(run()).queries == 3
    assert {question: sent for question, sent in ledger.attempts(0, 10).items() if sent} == {1: 1, 2: 1, 8: 1}
    assert Account(ledger, Allowance(), max_tokens=1).queries == 3


def test_what_is_out_is_waited_for_where_its_most_is_too_much(ledger: Ledger) -> None:
    async def run() -> None:
        account = Account(ledger, Allowance(max_cost=10, price_completion_token=1), max_tokens=6)
        assert await account.take([1], 1)
        second = asyncio.create_task(account.take([2], 1))
        await asyncio.sleep(0.01)
        assert not second.done(), "6 and 6 may be more than 10"
        account.ended(Reply("a", prompt_tokens=0, completion_tokens=2))
        assert await second, "2 and 6 are not"
        account.ended(Reply("a", prompt_tokens=0, completion_tokens=3))
        assert not await account.take([3], 1), "5 and 6 are, and nothing is out"
        account.close()

    asyncio.run(run())


def test_other_prices_reckon_all_tokens_anew_and_the_largest_prompt_is_remembered(ledger: Ledger) -> None:
    async def run() -> None:
        account = Account(ledger, Allowance(price_prompt_token=1), max_tokens=4)
        for questions in ([], [1], [2]):  # the first only looks: no row of the run has its tokens
            assert await account.take(questions, 1)
        account.ended(Reply("a", prompt_tokens=100, completion_tokens=7))
        account.ended(Reply("a", prompt_tokens=120, completion_tokens=3))
        account.ended(None)
        account.close()

    asyncio.run(run())
    dearer = Account(ledger, Allowance(price_query=2, price_prompt_token=3, price_completion_token=10), max_tokens=4)
    assert dearer.cost == 3 * 2 + 220 * 3 + 10 * 10
    assert dearer.tokens == (220, 10)
    assert dearer.next_cost == 2 + 120 * 3 + 4 * 10, "not 2,048 tokens, which is the guess before any was counted"


def test_nothing_is_sent_that_cannot_be_noted(ledger: Ledger) -> None:
    async def run() -> None:
        account = Account(ledger, Allowance(), max_tokens=1)
        with sqlite3.connect(ledger.path) as db:
            db.execute("DROP TABLE question")
        db.close()
        with pytest.raises(RunFailed, match="ledger cannot be written"):
            await account.take([1], 1)

    asyncio.run(run())


def test_an_allowance_that_cannot_be_is_refused() -> None:
    for wrong in (Allowance(max_cost=1), Allowance(max_queries=-1), Allowance(price_query=float("nan"))):
        with pytest.raises(ConfigError):
            wrong.budget(max_tokens=1)
