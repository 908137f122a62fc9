"""The same question to the same model is never paid twice, and another model's answers are never taken."""

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from caption_endpoint import Allowance, Generation, ask, caption_endpoint, expected, generations, parts

from m4i_fast.engines.endpoints import Reply
from m4i_fast.errors import BudgetSpent, RunFailed
from m4i_fast.query.asks import Ask, Asks
from m4i_fast.query.cache import NAME, default_folder, open_cache, question_key
from m4i_fast.query.canary import CANARIES
from m4i_fast.types import Record

pytestmark = pytest.mark.usefixtures("impatient")

Records = Callable[..., list[Record]]
REPLY = Reply("a dog \u05d0", tokens=(3, 4), log_probs=(-0.5, -1.25), model="m", prompt_tokens=7)


def test_a_key_holds_all_that_an_answer_depends_on() -> None:
    about: dict[str, Any] = {
        "model": "m",
        "settings": {"generation": {"prompt": None}, "image_size": 4},
        "image_sha256": b"x" * 32,
        "ask": Ask(),
    }
    others = [
        {"model": "n"},
        {"settings": {"generation": {"prompt": "p"}, "image_size": 4}},
        {"settings": {"generation": {"prompt": None}, "image_size": 8}},
        {"image_sha256": b"y" * 32},
        {"ask": Ask("flip")},
        {"ask": Ask("", 1)},
    ]
    keys = [question_key(**about), *(question_key(**about | other) for other in others)]
    assert len(set(keys)) == len(keys)
    assert question_key(**about) == keys[0]


def test_answers_come_back_as_they_were_and_errors_are_not_kept(tmp_path: Path) -> None:
    keys = [row.to_bytes(32) for row in range(2000)]
    with open_cache(tmp_path / "new/folder") as cache:
        cache.keep({keys[0]: REPLY, keys[1]: Reply("", error="no"), keys[2]: Reply("")})
        cache.keep({keys[2]: Reply("now"), **dict.fromkeys(keys[3:], REPLY)})
    assert (tmp_path / "new/folder").stat().st_mode & 0o777 == 0o700
    with open_cache(tmp_path / "new/folder") as cache:
        found = cache.find(keys)
        assert found[keys[0]] == REPLY
        assert keys[1] not in found
        assert found[keys[2]] == Reply("now")
        assert len(found) == len(set(keys)) - 1


def test_what_cannot_be_read_is_not_known(tmp_path: Path) -> None:
    with open_cache(tmp_path) as cache:
        cache.keep({b"a": REPLY, b"b": REPLY, b"c": REPLY})
    with sqlite3.connect(tmp_path / NAME) as db:
        db.execute("UPDATE answer SET reply = '{' WHERE key = ?", (b"a",))
        db.execute("""UPDATE answer SET reply = '{"text": "a", "colour": 1}' WHERE key = ?""", (b"b",))
    db.close()
    with open_cache(tmp_path) as cache:
        assert cache.find([b"a", b"b", b"c"]) == {b"c": REPLY}


def test_threads_share_it(tmp_path: Path) -> None:
    with open_cache(tmp_path) as cache:
        keys = [[bytes([row, thread]) for row in range(200)] for thread in range(4)]

        def work(own: list[bytes]) -> None:
            for key in own:
                cache.keep({key: REPLY})
                assert cache.find([key]) == {key: REPLY}

        threads = [threading.Thread(target=work, args=(own,)) for own in keys]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(cache.find([key for own in keys for key in own])) == 800


def test_a_file_that_is_no_cache_is_refused_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"not a database, and long enough to be looked at" * 100)
    with (
        pytest.raises(RunFailed, match=rf"{NAME}: the cache of answers cannot be used.*--no-cache"),
        open_cache(tmp_path),
    ):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(RunFailed, match="cannot be used"), open_cache(tmp_path / "file"):
        pass


def test_the_default_folder_is_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "m4i-fast"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".cache/m4i-fast"


@pytest.mark.parametrize("protocol", ["openai", "hf", "kserve"])
def test_a_second_run_pays_only_for_looking(protocol: str, picture_records: Records, tmp_path: Path) -> None:
    records = picture_records(list(range(30)), broken=(4,))
    cache = tmp_path / "cache"
    with caption_endpoint(protocol) as served:
        first = ask(tmp_path / "first", records, served, cache=cache)
        assert first.spent is not None
        assert (first.spent.cached, len(served.questions)) == (0, 29)
        second = ask(tmp_path / "second", records, served, cache=cache)
        assert second.spent is not None
        assert (second.spent.cached, len(served.questions)) == (29, 29)
        assert second.spent.queries == 3 * CANARIES
        assert parts(tmp_path / "first") == parts(tmp_path / "second")
        third = ask(tmp_path / "third", records, served, cache=cache, refresh=True)
        assert third.spent is not None
        assert (third.spent.cached, len(served.questions)) == (0, 58)
        fourth = ask(tmp_path / "fourth", records, served, cache=None)
        assert fourth.spent is not None
        assert (fourth.spent.cached, len(served.questions)) == (0, 87)
        other = ask(tmp_path / "other", records, served, cache=cache, generation=Generation(max_tokens=7))
        assert other.spent is not None
        assert other.spent.cached == 0, "another question"


def test_what_is_asked_anew_replaces_what_was_kept(picture_records: Records, tmp_path: Path) -> None:
    records, cache = picture_records(list(range(10))), tmp_path / "cache"
    with caption_endpoint() as served:
        ask(tmp_path / "1", records, served, cache=cache)
        served.captions.draw = "new"
        ask(tmp_path / "2", records, served, cache=cache, refresh=True)
        report = ask(tmp_path / "3", records, served, cache=cache)
    assert report.spent is not None
    assert report.spent.cached == 10
    assert list(generations(tmp_path / "3").texts) == expected(records, "new")


def test_only_what_is_new_is_paid(picture_records: Records, tmp_path: Path) -> None:
    records, cache = picture_records(list(range(20))), tmp_path / "cache"
    with caption_endpoint() as served:
        ask(tmp_path / "1", records[:12], served, cache=cache)
        report = ask(tmp_path / "2", records, served, cache=cache)
        assert report.spent is not None
        assert (report.spent.cached, report.spent.requests) == (12, 8)
        report = ask(tmp_path / "3", records, served, cache=cache, asks=Asks(("flip",)))
        assert report.spent is not None
        assert (report.spent.cached, report.spent.requests) == (20, 20)
    assert list(generations(tmp_path / "2").texts) == expected(records)


def test_answers_of_another_model_behind_the_same_name_are_not_used(
    picture_records: Records, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records, cache = picture_records(list(range(20))), tmp_path / "cache"
    with caption_endpoint() as served:
        ask(tmp_path / "1", records, served, cache=cache)
        served.captions.draw = "another"
        report = ask(tmp_path / "2", records, served, cache=cache)
    assert report.spent is not None
    assert report.spent.cached == 0
    assert list(generations(tmp_path / "2").texts) == expected(records, "another")
    assert "answers otherwise than in earlier runs: their answers are not used" in capsys.readouterr().err


def test_the_same_words_of_another_version_are_not_used(picture_records: Records, tmp_path: Path) -> None:
    records, cache = picture_records(list(range(20))), tmp_path / "cache"
    with caption_endpoint("openai", about={"model": "tiny-1"}) as served:
        ask(tmp_path / "1", records, served, cache=cache)
        served.captions.about = {"model": "tiny-2"}
        report = ask(tmp_path / "2", records, served, cache=cache)
    assert report.spent is not None
    assert report.spent.cached == 0


def test_drawn_answers_are_used_only_where_a_version_vouches_for_them(
    picture_records: Records, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records, cache = picture_records(list(range(10))), tmp_path / "cache"
    how: dict[str, Any] = {"generation": Generation(temperature=1.0), "asks": Asks(samples=2), "cache": cache}
    for protocol, cached in (("hf", 0), ("kserve", 20)):
        with caption_endpoint(protocol) as served:
            ask(tmp_path / f"{protocol}1", records, served, **how)
            report = ask(tmp_path / f"{protocol}2", records, served, **how)
        assert report.spent is not None
        assert report.spent.cached == cached
    assert "names no version" in capsys.readouterr().err


def test_an_endpoint_that_is_silent_cannot_vouch_for_the_cache(picture_records: Records, tmp_path: Path) -> None:
    records, cache = picture_records(list(range(10))), tmp_path / "cache"
    with caption_endpoint() as served:
        ask(tmp_path / "1", records, served, cache=cache)
        with pytest.raises(BudgetSpent):
            ask(tmp_path / "2", records, served, cache=cache, allowance=Allowance(max_queries=0))
        assert not parts(tmp_path / "2")


def test_a_full_disk_under_the_cache_costs_no_answer(
    picture_records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from m4i_fast.query.cache import Cache

    def full(self: Cache, replies: Any) -> None:
        raise RunFailed("the cache of answers cannot be used (database or disk is full)")

    records = picture_records(list(range(40)))
    with caption_endpoint(delay_s=0.01) as served:
        with monkeypatch.context() as patch:
            patch.setattr(Cache, "keep", full)
            with pytest.raises(RunFailed, match="disk is full"):
                ask(tmp_path / "run", records, served, cache=tmp_path / "cache")
        paid = len(served.questions)
        assert 0 < paid < 40
        report = ask(tmp_path / "run", records, served)
        assert report.kept == paid
        assert len(served.questions) == 40


def test_a_run_goes_on_with_what_another_has_paid_meanwhile(picture_records: Records, tmp_path: Path) -> None:
    records, cache = picture_records(list(range(20))), tmp_path / "cache"
    with caption_endpoint() as served:
        with pytest.raises(BudgetSpent):
            ask(tmp_path / "1", records, served, allowance=Allowance(max_queries=14), cache=cache)
        ask(tmp_path / "2", records, served, cache=cache)
        report = ask(tmp_path / "1", records, served, cache=cache)
        assert len(served.questions) == 20
    assert report.spent is not None
    assert (report.kept, report.spent.cached) == (8, 12)
