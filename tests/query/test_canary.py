"""A model that changes under a run voids it, however it shows; an endpoint that never repeats itself is told of."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from caption_endpoint import MANNERS, Allowance, ask, caption_endpoint, expected, generations
from endpoint_questions import said
from hostile_endpoint import Answer, Asked

from m4i_fast.errors import BudgetSpent, RunError, RunFailed
from m4i_fast.query.canary import CANARIES
from m4i_fast.query.ledger import open_ledger
from m4i_fast.types import Record

pytestmark = pytest.mark.usefixtures("impatient")

Records = Callable[..., list[Record]]
WATCHED = replace(MANNERS, canary_every=10)


def _void(run: Path, records: list[Record], served: Any, says: str, manners: Any = WATCHED) -> None:
    with pytest.raises(RunFailed, match=rf"the model has changed, so the run is void: .*{says}.*--again") as caught:
        ask(run, records, served, manners=manners)
    assert caught.value.exit_code == 1
    before = len(served.queries)
    for _ in range(2):
        with pytest.raises(RunError, match=rf"this run is void: .*{says}.*--again"):
            ask(run, records, served, manners=manners)
    assert len(served.queries) == before, "nothing more is paid for it"
    served.captions.rule = None
    report = ask(run, records, served, manners=manners, again=True)
    assert (report.asked, report.kept) == (len(records), 0)
    assert list(generations(run).texts) == expected(records, served.captions.draw)


def test_answers_that_change_in_the_middle_void_the_run(picture_records: Records, tmp_path: Path) -> None:
    with caption_endpoint(delay_s=0.001) as served:

        def rule(asked: Asked, number: int) -> Answer | None:
            del asked
            if number == 20:
                served.captions.draw = "another model"
            return None

        served.captions.rule = rule
        _void(tmp_path / "run", picture_records(list(range(60))), served, "asked the same as at its start")


def test_answers_that_change_before_the_end_of_a_short_run_are_seen_at_its_end(
    picture_records: Records, tmp_path: Path
) -> None:
    with caption_endpoint() as served:

        def rule(asked: Asked, number: int) -> Answer | None:
            del asked
            if number == 10:
                served.captions.draw = "another model"
            return None

        served.captions.rule = rule
        manners = replace(MANNERS, canary_every=1000)
        _void(tmp_path / "run", picture_records(list(range(20))), served, "asked the same", manners)


def test_answers_that_change_while_a_run_rests_are_seen_when_it_goes_on(
    picture_records: Records, tmp_path: Path
) -> None:
    records = picture_records(list(range(20)))
    with caption_endpoint() as served:
        with pytest.raises(BudgetSpent):
            ask(tmp_path / "run", records, served, allowance=Allowance(max_queries=15))
        served.captions.draw = "another model"
        _void(tmp_path / "run", records, served, "asked the same", MANNERS)


@pytest.mark.parametrize(
    ("protocol", "before", "after", "says"),
    [
        ("openai", {"model": "tiny-1"}, {"model": "tiny-2"}, "the model's name was 'tiny-1' and is now 'tiny-2'"),
        ("openai", {"system_fingerprint": "a"}, {"system_fingerprint": "b"}, "the model's fingerprint was 'a'"),
        ("kserve", {}, {"model_version": "4"}, "the model's version was '3' and is now '4'"),
    ],
)
def test_a_model_that_names_itself_otherwise_voids_the_run(
    protocol: str, before: Any, after: Any, says: str, picture_records: Records, tmp_path: Path
) -> None:
    with caption_endpoint(protocol, about=before) as served:

        def rule(asked: Asked, number: int) -> Answer | None:
            del asked
            if number == 20:
                served.captions.about = after
            return None

        served.captions.rule = rule
        manners = replace(MANNERS, concurrency=2)
        if protocol == "kserve":  # whose list of versions says which it should be
            with pytest.raises(RunFailed, match=says):
                ask(tmp_path / "run", picture_records(list(range(40))), served, manners=manners, address={"rows": 1})
            return
        _void(tmp_path / "run", picture_records(list(range(40))), served, says, manners)


def test_a_name_that_changes_while_a_run_rests_voids_it(picture_records: Records, tmp_path: Path) -> None:
    records = picture_records(list(range(20)))
    with caption_endpoint("openai", about={"model": "tiny-1"}) as served:
        with pytest.raises(BudgetSpent):
            ask(tmp_path / "run", records, served, allowance=Allowance(max_queries=15))
        served.captions.about = {"model": "tiny-2"}
        _void(tmp_path / "run", records, served, "was 'tiny-1' and is now 'tiny-2'", MANNERS)


def test_an_endpoint_that_does_not_repeat_itself_is_told_of_and_asked_on(
    picture_records: Records, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def rule(asked: Asked, number: int) -> Answer | None:
        return said([{"generated_text": f"answer {number} {len(asked.body)}"}])

    with caption_endpoint(rule=rule) as served:
        report = ask(tmp_path / "run", picture_records(list(range(40))), served, manners=WATCHED)
    assert (report.rows, report.errors) == (40, 0)
    assert len([each for each in served.queries if each.looks]) == 2 * CANARIES, "looking at it tells nothing"
    assert "does not repeat itself" in capsys.readouterr().err


def test_a_look_without_an_answer_tells_nothing_and_the_next_is_the_first(
    picture_records: Records, tmp_path: Path
) -> None:
    records = picture_records(list(range(20)))
    with caption_endpoint() as served:
        with pytest.raises(BudgetSpent):
            ask(tmp_path / "run", records, served, allowance=Allowance(max_queries=4))
        assert _remembered(tmp_path / "run", "canary") is None
        served.captions.draw = "another model"  # nothing was answered by the one before
        ask(tmp_path / "run", records, served, manners=WATCHED)
        assert len(_remembered(tmp_path / "run", "canary")) == CANARIES


def test_a_picture_that_is_refused_is_no_witness(picture_records: Records, tmp_path: Path) -> None:
    records = picture_records(list(range(12)))
    first = Path(records[0].image).read_bytes()

    def rule(asked: Asked, number: int) -> Answer | None:
        return said({"error": f"refused, as request {number}"}, 400) if asked.body == first else None

    with caption_endpoint(rule=rule) as served:
        report = ask(tmp_path / "run", records, served, manners=replace(MANNERS, canary_every=3))
    assert report.errors == 1
    assert _remembered(tmp_path / "run", "canary")[0] is None


def test_who_looks_takes_records_that_can_be_read(picture_records: Records, tmp_path: Path) -> None:
    records = picture_records(list(range(30)), broken=(0, 1, 10, 20, 21, 22))
    with caption_endpoint() as served:
        ask(tmp_path / "run", records, served)
    looked = [each.content for each in served.queries if each.looks][:CANARIES]
    assert set(looked) == {Path(records[row].image).read_bytes() for row in (2, 11, 23)}
    with caption_endpoint() as served:
        report = ask(tmp_path / "none", picture_records(list(range(3)), broken=(0, 1, 2)), served)
    assert (report.errors, served.queries) == (3, [])


def test_a_run_that_was_killed_before_its_last_look_is_looked_at(picture_records: Records, tmp_path: Path) -> None:
    records = picture_records(list(range(20)))
    with caption_endpoint() as served:
        ask(tmp_path / "run", records, served, manners=WATCHED)
        before = len(served.queries)
        assert ask(tmp_path / "run", records, served, manners=WATCHED).kept == 20
        assert len(served.queries) == before
        with open_ledger(tmp_path / "run/ledger.sqlite") as ledger:
            ledger.remember("watched", False)
        served.captions.draw = "another model"
        with pytest.raises(RunFailed, match="void"):
            ask(tmp_path / "run", records, served, manners=WATCHED)


def _remembered(run: Path, key: str) -> Any:
    with open_ledger(run / "ledger.sqlite") as ledger:
        return ledger.recall(key)
