"""Whole runs against an endpoint that misbehaves: one row a record, in order, whatever happened on the way."""

import base64
import json
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from caption_endpoint import MANNERS, Allowance, Generation, ask, caption_endpoint, expected, generations, parts
from endpoint_questions import HTTP, said
from hostile_endpoint import HANG, RESET, Answer, Asked

from m4i_fast.errors import BudgetSpent, EndpointError, RunFailed
from m4i_fast.query.asks import Asks
from m4i_fast.query.canary import CANARIES, canary_queries
from m4i_fast.tables import read_repeats
from m4i_fast.types import Record

pytestmark = pytest.mark.usefixtures("impatient")

Records = Callable[..., list[Record]]
LOOKS = 2 * CANARIES
"""Queries of a run's first look, where it is its only one."""


@pytest.mark.parametrize("protocol", HTTP)
def test_every_record_gets_one_row_in_order(protocol: str, picture_records: Records, tmp_path: Path) -> None:
    records = picture_records(list(range(50)), broken=(3, 49))
    records[7] = Record(records[7].id, "", error="no image is named")
    with caption_endpoint(protocol, delay_s=0.002) as served:
        report = ask(tmp_path / "run", records, served)
    said = generations(tmp_path / "run")
    assert said.ids == tuple(record.id for record in records)
    good = [row for row in range(50) if row not in {3, 7, 49}]
    assert [said.texts[row] for row in good] == [expected([records[row]])[0] for row in good]
    assert [row for row, error in enumerate(said.errors) if error is not None] == [3, 7, 49]
    assert said.errors[7] == "no image is named"
    assert [len(list(parts(tmp_path / "run"))), report.rows, report.errors, report.asked] == [7, 50, 3, 50]
    assert len(served.questions) == len({each.content for each in served.questions}) == 47
    assert report.spent is not None
    assert report.spent.queries == len(served.queries) == 47 + LOOKS
    assert report.provider == f"{protocol}: tiny"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("m4i-")]


def test_several_pictures_go_in_one_request_where_the_protocol_allows(picture_records: Records, tmp_path: Path) -> None:
    records = picture_records(list(range(20)))
    with caption_endpoint("kserve") as served:
        report = ask(tmp_path / "run", records, served, address={"rows": 5}, part_rows=10)
    assert [len(json.loads(asked.body)["inputs"][0]["data"]) for asked in served.http.log[-4:]] == [5, 5, 5, 5]
    assert report.spent is not None
    assert (report.spent.requests, report.spent.queries, report.batch) == (4, 20 + LOOKS, 5)
    assert list(generations(tmp_path / "run").texts) == expected(records)


def test_a_refused_picture_costs_its_neighbours_nothing_and_is_counted(
    picture_records: Records, tmp_path: Path
) -> None:
    records = picture_records(list(range(12)))
    bad = base64.b64encode(Path(records[5].image).read_bytes())

    def rule(asked: Asked, _: int) -> Answer | None:
        return said({"error": "not that one"}, 400) if bad in asked.body else None

    with caption_endpoint("kserve", rule=rule) as served:
        report = ask(tmp_path / "run", records, served, address={"rows": 4}, part_rows=12)
    answers = generations(tmp_path / "run")
    assert [error for error in answers.errors if error] == [
        "the endpoint refused this picture with HTTP 400 and said: not that one"
    ]
    assert [text for row, text in enumerate(answers.texts) if row != 5] == expected(records[:5] + records[6:])
    assert report.spent is not None
    assert report.spent.queries == len(served.queries) == 12 + 4 + LOOKS


FAULTS: list[Answer] = [
    Answer(429, headers=[("Retry-After", "0.01")]),
    Answer(503, [b"<html>"]),
    Answer(500),
    Answer(408),
    Answer(200, [RESET]),
    Answer(200, [b'[{"gener', RESET], length=60),
    Answer(200, [b"\x00 garbage"]),
    Answer(200, [b"[" * 50_000]),
    Answer(502, [b"<!DOCTYPE html>"], [("Content-Type", "text/html")]),
    said([]),
    said({"error": "CUDA out of memory"}),
    Answer(pieces=[b"no http at all\r\n\r\n"], raw=True),
    Answer(429, headers=[("Retry-After", "-1")]),
    Answer(429, headers=[("Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT")]),
]


@pytest.mark.parametrize("protocol", HTTP)
def test_faults_on_the_way_change_no_byte_of_the_tables(
    protocol: str, picture_records: Records, tmp_path: Path
) -> None:
    records = picture_records(list(range(60)), broken=(10,))
    given = iter(FAULTS * 2)

    def rule(asked: Asked, number: int) -> Answer | None:
        del asked
        return next(given, None) if number % 3 == 0 and number >= LOOKS else None

    with caption_endpoint(protocol) as served:
        ask(tmp_path / "calm", records, served, address={"rows": 2})
        url = served.http.url
    with caption_endpoint(protocol, rule=rule) as served:
        report = ask(tmp_path / "rough", records, served, address={"rows": 2}, manners=replace(MANNERS, attempts=30))
        assert served.http.url != url
    assert report.spent is not None
    assert report.spent.faults >= (8 if protocol == "kserve" else 18)
    # Some went into connections that were being reset, and never came.
    assert len(served.queries) <= report.spent.queries <= len(served.queries) + 16
    assert list(generations(tmp_path / "rough").texts) == list(generations(tmp_path / "calm").texts)
    assert generations(tmp_path / "rough").errors == generations(tmp_path / "calm").errors
    # The footers name the model, to which its address belongs; all else is equal to the byte.
    for mine, other in zip(*(parts(tmp_path / each).values() for each in ("calm", "rough")), strict=True):
        assert len(mine) == len(other)


def test_a_slow_endpoint_is_given_up_and_asked_again(picture_records: Records, tmp_path: Path) -> None:
    records = picture_records(list(range(12)))

    def rule(asked: Asked, number: int) -> Answer | None:
        del asked
        return Answer(200, [HANG], length=9) if number in {LOOKS, LOOKS + 3} else None

    with caption_endpoint(rule=rule) as served:
        report = ask(tmp_path / "run", records, served, address={"timeout_s": 0.3})
    assert report.spent is not None
    assert report.spent.faults == 2
    assert list(generations(tmp_path / "run").texts) == expected(records)


def test_retry_after_is_honoured_by_all(picture_records: Records, tmp_path: Path) -> None:
    wait_s = 0.5
    busy: list[float] = []

    def rule(asked: Asked, number: int) -> Answer | None:
        if number == 20:
            busy.append(asked.at)
            return Answer(429, headers=[("Retry-After", str(wait_s))])
        return None

    with caption_endpoint(rule=rule) as served:
        report = ask(tmp_path / "run", picture_records(list(range(40))), served)
    late = [each.at - busy[0] for each in served.queries if each.at > busy[0]]
    # What was on its way already may come in the first moment.
    assert [each for each in late if 0.1 < each < wait_s] == []
    assert len([each for each in late if each >= wait_s]) > 10
    assert report.spent is not None
    assert report.spent.held_s >= 0.9 * wait_s


def test_one_picture_that_never_works_is_an_error_of_its_row_even_where_it_is_the_last(
    picture_records: Records, tmp_path: Path
) -> None:
    records = picture_records(list(range(9)))
    poison = {Path(records[row].image).read_bytes() for row in (4, 8)}

    def rule(asked: Asked, _: int) -> Answer | None:
        return Answer(500, [b"it hurts"]) if asked.body in poison else None

    with caption_endpoint(rule=rule) as served:
        report = ask(tmp_path / "run", records, served, manners=replace(MANNERS, concurrency=1))
    answers = generations(tmp_path / "run")
    said = "the endpoint gave no answer in 4 attempts, the last: the endpoint answered HTTP 500 and said: it hurts"
    assert [error for error in answers.errors if error] == [said, said]
    assert (answers.errors[4], answers.errors[8], report.errors) == (said, said, 2)


def test_an_endpoint_that_goes_down_ends_the_run_and_its_return_completes_it(
    picture_records: Records, tmp_path: Path
) -> None:
    records = picture_records(list(range(40)))
    up = 25

    def rule(asked: Asked, number: int) -> Answer | None:
        del asked
        return Answer(503) if number >= up else None

    with caption_endpoint(rule=rule, delay_s=0.002) as served:
        with pytest.raises(RunFailed, match=r"given no answer for \d+ s, the last: .* 503.*run the same command again"):
            ask(tmp_path / "run", records, served)
        assert _answered(tmp_path / "run") == up - LOOKS
        served.captions.rule = None
        before = len(served.questions)
        report = ask(tmp_path / "run", records, served)
        assert len(served.questions) - before == 40 - (up - LOOKS)
    assert (report.kept, report.asked) == (up - LOOKS, 40 - (up - LOOKS))
    assert list(generations(tmp_path / "run").texts) == expected(records)


def test_silence_ends_the_run_before_the_attempts_are_spent(picture_records: Records, tmp_path: Path) -> None:
    def rule(asked: Asked, number: int) -> Answer | None:
        del asked
        return Answer(500) if number >= LOOKS + 2 else None

    manners = replace(MANNERS, attempts=100, silence_s=0.2)
    with caption_endpoint(rule=rule) as served, pytest.raises(RunFailed, match="given no answer for"):
        ask(tmp_path / "run", picture_records(list(range(10))), served, manners=manners)
    assert _answered(tmp_path / "run") == 2


@pytest.mark.parametrize("protocol", HTTP)
def test_a_key_that_expires_ends_the_run_with_what_is_under_way_kept(
    protocol: str, picture_records: Records, tmp_path: Path
) -> None:
    from m4i_fast.engines.endpoints import Secret

    records = picture_records(list(range(40)))

    def rule(asked: Asked, number: int) -> Answer | None:
        old = asked.headers["authorization"] == "Bearer the-old-key"
        return said({"error": "expired"}, 401) if old and number >= 20 else None

    with caption_endpoint(protocol, rule=rule, delay_s=0.02) as served:
        about = {"rows": 1}
        with pytest.raises(EndpointError, match="HTTP 401 and said: expired"):
            ask(tmp_path / "run", records, served, address=about | {"key": Secret("the-old-key")})
        assert _answered(tmp_path / "run") == 20 - LOOKS, "all that was answered is kept, that beside the 401 too"
        report = ask(tmp_path / "run", records, served, address=about | {"key": Secret("the-new-key")})
    assert report.kept == 20 - LOOKS
    assert list(generations(tmp_path / "run").texts) == expected(records)


def test_what_stood_ready_when_the_run_ended_is_no_attempt_and_not_spent(
    picture_records: Records, tmp_path: Path
) -> None:
    def rule(asked: Asked, number: int) -> Answer | None:
        del asked
        return said({"error": "expired"}, 401) if number >= 12 else None

    with caption_endpoint(rule=rule) as served:
        with pytest.raises(EndpointError, match="HTTP 401"):
            ask(tmp_path / "run", picture_records(list(range(40))), served, manners=replace(MANNERS, qps=50))
        assert _noted(tmp_path / "run") == len(served.questions)
        with pytest.raises(BudgetSpent, match=f"{len(served.queries)} queries"):
            ask(tmp_path / "run", picture_records(list(range(40))), served, allowance=Allowance(max_queries=0))


@pytest.mark.parametrize("protocol", HTTP)
@pytest.mark.parametrize("most", [0, 4, 7, 23, 41])
def test_never_more_queries_than_allowed(protocol: str, most: int, picture_records: Records, tmp_path: Path) -> None:
    records = picture_records(list(range(30)))
    manners = replace(MANNERS, canary_every=10, attempts=30)

    def rule(asked: Asked, number: int) -> Answer | None:
        del asked
        return Answer(500) if number % 5 == 4 else None

    with caption_endpoint(protocol, rule=rule, delay_s=0.002) as served:
        for _ in range(3):
            with pytest.raises(BudgetSpent, match=r"--max-queries.*what was paid is kept") as caught:
                ask(
                    tmp_path / "run",
                    records,
                    served,
                    address={"rows": 4},
                    manners=manners,
                    allowance=Allowance(max_queries=most),
                )
            assert len(served.queries) <= most
            answered = _answered(tmp_path / "run")
            assert f"{30 - answered} of 30 answers are missing" in str(caught.value)
        assert len(served.queries) >= most - CANARIES, "none is left unused but for a look that was broken off"
        report = ask(tmp_path / "run", records, served, manners=manners)
        assert report.kept == answered
        assert report.spent is not None
        assert 0 <= report.spent.queries - len(served.queries) <= CANARIES
    assert list(generations(tmp_path / "run").texts) == expected(records)


def test_refusals_of_several_pictures_do_not_run_over_the_budget(picture_records: Records, tmp_path: Path) -> None:
    def rule(asked: Asked, number: int) -> Answer | None:
        del number
        return said({"error": "too much"}, 413) if len(json.loads(asked.body)["inputs"][0]["data"]) > 1 else None

    with caption_endpoint("kserve", rule=rule, delay_s=0.002) as served:
        for most in (10, 24, 31, 50):
            with pytest.raises(BudgetSpent):
                ask(tmp_path / "run", picture_records(list(range(60))), served, allowance=Allowance(max_queries=most))
            assert most - 16 <= len(served.queries) <= most


def test_never_more_money_than_allowed(picture_records: Records, tmp_path: Path) -> None:
    records = picture_records(list(range(30)))
    prices = {"price_query": 0.25, "price_prompt_token": 0.001, "price_completion_token": 0.1}
    each = 0.25 + 10 * 0.001 + 4 * 0.1
    with caption_endpoint("openai", delay_s=0.002) as served:
        for most in (10.0, 18.0):
            with pytest.raises(BudgetSpent, match=r"cost [\d.]+ so far, and one more may cost 0\.\d+\).*--max-cost"):
                ask(
                    tmp_path / "run",
                    records,
                    served,
                    generation=Generation(max_tokens=4),
                    allowance=Allowance(max_cost=most, **prices),
                )
            assert most - 3 * each < len(served.queries) * each <= most
        report = ask(
            tmp_path / "run", records, served, generation=Generation(max_tokens=4), allowance=Allowance(**prices)
        )
    assert report.spent is not None
    assert report.spent.cost == pytest.approx(len(served.queries) * each)
    paid = len(served.queries)  # those that looked, too
    assert (report.spent.prompt_tokens, report.spent.completion_tokens) == (10 * paid, 4 * paid)


def test_prices_that_are_told_late_count_from_the_start(picture_records: Records, tmp_path: Path) -> None:
    records = picture_records(list(range(20)))
    with caption_endpoint("openai") as served:
        with pytest.raises(BudgetSpent):
            ask(tmp_path / "run", records, served, allowance=Allowance(max_queries=16))
        with pytest.raises(BudgetSpent, match="cost 16 so far"):
            ask(tmp_path / "run", records, served, allowance=Allowance(max_cost=16, price_query=1))
        assert len(served.queries) == 16


def test_what_is_under_way_when_the_budget_ends_is_kept(picture_records: Records, tmp_path: Path) -> None:
    with caption_endpoint(delay_s=0.05) as served:
        with pytest.raises(BudgetSpent):
            ask(tmp_path / "run", picture_records(list(range(40))), served, allowance=Allowance(max_queries=LOOKS + 8))
        assert _answered(tmp_path / "run") == len(served.questions) == 8


def test_what_is_paid_is_sent_though_there_is_no_money_for_more(picture_records: Records, tmp_path: Path) -> None:
    """Here some stand ready, and wait for their turn by the clock, when another is told that the budget is spent."""
    with caption_endpoint() as served:
        with pytest.raises(BudgetSpent, match="12 of 20 answers are missing"):
            ask(
                tmp_path / "run",
                picture_records(list(range(20))),
                served,
                manners=replace(MANNERS, qps=50),
                allowance=Allowance(max_queries=LOOKS + 8),
            )
        assert _answered(tmp_path / "run") == _noted(tmp_path / "run") == len(served.questions) == 8


def test_samples_and_variants_become_repeats_with_seeds_of_their_own(picture_records: Records, tmp_path: Path) -> None:
    records = picture_records(list(range(5)))
    asks = Asks(("flip", "blur"), samples=3)
    generation = Generation(temperature=0.7, seed=100)
    with caption_endpoint("openai", delay_s=0.001) as served:
        report = ask(tmp_path / "run", records, served, asks=asks, generation=generation, part_rows=2)
    assert (report.rows, report.asked, len(served.questions)) == (5, 45, 45)
    assert {each.temperature for each in served.queries if each.looks} == {0.0}, "who looks is greedy"
    sent = {(each.content, each.seed) for each in served.questions}
    assert {each.seed for each in served.questions} == {100, 101, 102}
    for record in records:
        content = Path(record.image).read_bytes()
        assert {(content, seed) for seed in (100, 101, 102)} <= sent
    assert list(generations(tmp_path / "run").texts) == expected(records, ("", 100))
    repeats = sorted((tmp_path / "run/repeats").glob("part-*.parquet"))
    assert [path.name for path in repeats] == list(parts(tmp_path / "run"))
    said, variants, samples = read_repeats(repeats)
    rows = list(zip(said.ids, variants, samples.tolist(), said.texts, strict=True))
    assert [row[:3] for row in rows] == [
        (record.id, ask.variant, ask.sample)
        for start in (0, 2, 4)
        for ask in list(asks)[1:]
        for record in records[start : start + 2]
    ]
    texts = {(row[0], row[1], row[2]): row[3] for row in rows}
    for record in records:
        for sample in (1, 2):
            assert texts[record.id, "", sample] == expected([record], ("", 100 + sample))[0]


def test_a_run_that_goes_on_sends_under_other_names(picture_records: Records, tmp_path: Path) -> None:
    """A server may answer a name that it has seen from memory."""

    def rule(asked: Asked, number: int) -> Answer | None:
        del asked
        return Answer(500) if number >= LOOKS else None

    with caption_endpoint(rule=rule) as served:
        with pytest.raises(RunFailed):
            ask(tmp_path / "run", picture_records(list(range(10))), served)
        served.captions.rule = None
        ask(tmp_path / "run", picture_records(list(range(10))), served)
    names = [each.request_id for each in served.questions]
    assert len(set(names)) == len(names)


def test_the_ledger_says_who_answered_what_and_when(picture_records: Records, tmp_path: Path) -> None:
    about = {"model": "tiny-0711", "system_fingerprint": "fp_1"}

    def rule(asked: Asked, number: int) -> Answer | None:
        del asked
        return Answer(500) if number == LOOKS else None

    with caption_endpoint("openai", about=about, rule=rule) as served:
        ask(tmp_path / "run", picture_records(list(range(4))), served)
    with sqlite3.connect(tmp_path / "run/ledger.sqlite") as db:
        (model,) = db.execute("SELECT name, version, fingerprint FROM model").fetchall()
        rows = db.execute(
            "SELECT state, attempts, finish_reason, prompt_tokens, completion_tokens, latency_ms > 0, request_id, "
            "LENGTH(image_sha256), text FROM question ORDER BY question"
        ).fetchall()
    db.close()
    assert model == ("tiny-0711", None, "fp_1")
    assert sum(row[1] for row in rows) == 5
    assert {row[:1] + row[2:6] for row in rows} == {(1, "stop", 10, 4, 1)}
    sent = {each.request_id for each in served.questions}
    assert {row[6] for row in rows} < sent
    assert {row[7:] for row in rows} == {(32, None)}


def test_what_the_looks_cost_is_known_before(picture_records: Records, tmp_path: Path) -> None:
    for every in (0, 7, 100):
        with caption_endpoint() as served:
            manners = replace(MANNERS, canary_every=every, concurrency=1)
            ask(tmp_path / str(every), picture_records(list(range(30))), served, manners=manners)
        assert len([each for each in served.queries if each.looks]) == canary_queries(30, every)


def _answered(root: Path) -> int:
    return _told(root, "SELECT COUNT(*) FROM question WHERE state = 1")


def _noted(root: Path) -> int:
    return _told(root, "SELECT SUM(attempts) FROM question")


def _told(root: Path, asked: str) -> int:
    db = sqlite3.connect(root / "ledger.sqlite")
    try:
        (found,) = db.execute(asked).fetchone()
    finally:
        db.close()
    return int(found)
