"""A run against an endpoint as a whole: killed, stopped, gone on with; and its key, which is nowhere."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from caption_endpoint import MANNERS, Allowance, Generation, Served, ask, caption_endpoint, expected, generations, parts
from endpoint_questions import HTTP, said
from hostile_endpoint import Answer, Asked

from m4i_fast.engines.endpoints import Secret
from m4i_fast.errors import BudgetSpent, DataError, EndpointError, EngineError, RunError
from m4i_fast.query.asks import Asks
from m4i_fast.query.ledger import open_ledger
from m4i_fast.tables import write_records
from m4i_fast.types import Record

Records = Callable[..., list[Record]]

KEY = "sk-tests/0123456789+abcdef=="


@pytest.mark.parametrize(
    "changed",
    [
        {"generation": Generation(max_tokens=5)},
        {"generation": Generation(temperature=0.5)},
        {"asks": Asks(("flip",))},
        {"address": {"model": "other"}},
        {"part_rows": 16},
    ],
)
def test_answers_of_another_question_are_never_mixed(
    changed: dict[str, Any], picture_records: Records, tmp_path: Path
) -> None:
    records = picture_records(list(range(20)))
    with caption_endpoint("openai") as served:
        ask(tmp_path / "run", records, served)
        before, asked = parts(tmp_path / "run"), len(served.queries)
        with pytest.raises(RunError, match=r"--again"):
            ask(tmp_path / "run", records, served, **changed)
        with pytest.raises(RunError, match="belongs to other records"):
            ask(tmp_path / "run", records[::-1], served)
        assert (parts(tmp_path / "run"), len(served.queries)) == (before, asked)


def test_what_only_changes_the_pace_goes_on_with_the_run(picture_records: Records, tmp_path: Path) -> None:
    records = picture_records(list(range(20)))
    with caption_endpoint() as served:
        with pytest.raises(BudgetSpent):
            ask(tmp_path / "run", records, served, allowance=Allowance(max_queries=12))
        manners = replace(MANNERS, concurrency=2, attempts=2, qps=1000.0)
        report = ask(tmp_path / "run", records, served, manners=manners, threads=2, address={"timeout_s": 3.0})
    assert report.kept == 6
    assert list(generations(tmp_path / "run").texts) == expected(records)


def test_a_part_that_is_lost_is_asked_for_again_and_paid_again(picture_records: Records, tmp_path: Path) -> None:
    records = picture_records(list(range(20)))
    with caption_endpoint() as served:
        ask(tmp_path / "run", records, served)
        before = parts(tmp_path / "run")
        (tmp_path / "run/generations/part-00001.parquet").unlink()
        report = ask(tmp_path / "run", records, served)
        assert (report.kept, report.asked) == (12, 8)
        assert parts(tmp_path / "run") == before
        assert report.spent is not None
        assert report.spent.queries == len(served.queries)


def test_what_cannot_be_asked_is_said_before_anything_is_written(picture_records: Records, tmp_path: Path) -> None:
    records = picture_records([1, 2])
    with caption_endpoint() as served:
        with pytest.raises(EngineError, match="2 samples were asked for at temperature 0"):
            ask(tmp_path / "run", records, served, asks=Asks(samples=2))
        with pytest.raises(EndpointError, match=r"private address.*--private"):
            ask(tmp_path / "run", records, served, address={"private": False})
        with pytest.raises(EndpointError, match=r"hf has no prompt"):
            ask(tmp_path / "run", records, served, generation=Generation(prompt="what?"))
        with pytest.raises(DataError, match="no record"):
            ask(tmp_path / "run", [], served)
        assert served.queries == []
    assert not (tmp_path / "run/ledger.sqlite").exists()


@pytest.mark.parametrize("protocol", HTTP)
def test_the_key_is_nowhere(
    protocol: str, picture_records: Records, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not in the run, the cache or on the screen, also where the server echoes it in answers and in faults."""
    echo = f"your key Bearer {KEY} is bad"

    def rule(asked: Asked, number: int) -> Answer | None:
        assert asked.headers["authorization"] == f"Bearer {KEY}"
        if number % 7 == 3:
            return said({"error": {"message": echo}}, 500)
        if number == 30:
            return said({"error": echo}, 401)
        return said({"error": echo}, 400) if number % 7 == 5 else None

    records = picture_records(list(range(30)))
    about = {"model": KEY, "system_fingerprint": KEY} if protocol == "openai" else {}
    address = {"key": Secret(KEY), "rows": 1}
    with caption_endpoint(protocol, rule=rule, about=about, draw=KEY) as served:
        with pytest.raises(EndpointError) as caught:
            ask(tmp_path / "run", records, served, address=address, cache=tmp_path / "cache")
        ask(tmp_path / "run", records, served, address=address, cache=tmp_path / "cache")
    assert any(generations(tmp_path / "run").errors)
    out, err = capfd.readouterr()
    printed = out + err + str(caught.value) + repr(caught.value)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"ledger.sqlite", "answers.sqlite"} < {path.name for path in files}
    for form in (KEY, KEY[8:20]):
        assert form not in printed
        assert [path for path in files if form.encode() in path.read_bytes()] == []


NURSERY = """
import os, sys
sys.path[:0] = {path!r}
from pathlib import Path
from caption_endpoint import MANNERS, ask
from m4i_fast.engines.endpoints import hf
from m4i_fast.progress import hush
from m4i_fast.query import cache
from m4i_fast.tables import read_records
import httptools, uvloop
hush()
root, url = Path(sys.argv[1]), sys.argv[2]
records = read_records(root / "records.parquet")
for line in sys.stdin:
    child = os.fork()
    if not child:
        try:
            ask(root, records, url, protocol="hf")
        except BaseException as error:
            if not isinstance(error, SystemExit | KeyboardInterrupt):
                print(repr(error), file=sys.stderr)
            code = 130 if isinstance(error, KeyboardInterrupt) else 1
            os._exit(error.code if isinstance(error, SystemExit) else code)
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Forks a run for each line that it reads: what takes a second to import is imported once."""


class Nursery:
    """Starts runs in processes of their own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def _line(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def start(self) -> int:
        """Gives the process's number."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return self._line()

    def end(self) -> int:
        """How it ended."""
        return self._line()


@contextmanager
def nursery(root: Path, served: Served) -> Iterator[Nursery]:
    """Complaints of the runs are an AssertionError at the end."""
    script = NURSERY.format(path=[str(Path(__file__).parents[1] / "shared")])
    with subprocess.Popen(
        [sys.executable, "-c", script, str(root), served.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Nursery(process)
            _, complaints = process.communicate(timeout=20)
            assert complaints == ""
        finally:
            process.kill()


def _wait_for(served: Served, questions: int, within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while len(served.questions) < questions and time.monotonic() < deadline:
        time.sleep(0.005)
    assert len(served.questions) >= questions


@pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are forked")
@pytest.mark.parametrize(
    "kills",
    [
        30,
        pytest.param(
            200,
            marks=[
                pytest.mark.slow,
                pytest.mark.skipif("not config.getoption('-m')", reason="takes two minutes: ask for it with -m slow"),
            ],
        ),
    ],
)
def test_a_run_killed_again_and_again_ends_as_an_undisturbed_one(
    kills: int, picture_records: Records, tmp_path: Path
) -> None:
    records = picture_records([row % 256 for row in range(12 * kills)], broken=(3, 100, 101))
    root = tmp_path / "killed"
    write_records(root / "records.parquet", records)
    moments = random.Random("kill")
    delay_s = 0.03
    with caption_endpoint(delay_s=delay_s) as served, nursery(root, served) as runs:
        ends = []
        for life in range(kills):
            before = len(served.questions)
            process = runs.start()
            if life % 4:  # others die while they open what stands there
                _wait_for(served, before + 1)
            time.sleep(moments.uniform(0, 0.1))
            os.kill(process, signal.SIGKILL)
            ends.append(runs.end())
        assert ends.count(-signal.SIGKILL) >= 0.9 * kills, "most must be killed before the run is complete"
        # What was under way, and what was answered and not yet committed: 20 ms, and as long again for the disk.
        each = MANNERS.concurrency + MANNERS.concurrency * 0.04 / delay_s
        runs.start()
        assert runs.end() == 0
        twice = served.twice()
        assert 0 < twice <= ends.count(-signal.SIGKILL) * each
        with open_ledger(root / "ledger.sqlite") as ledger:
            spent = ledger.recall("spent")
        assert len(served.queries) <= spent["queries"] <= len(served.queries) + kills * MANNERS.concurrency
        assert len({each.request_id for each in served.questions}) == len(served.questions)
        ask(tmp_path / "calm", records, served)
    assert parts(root) == parts(tmp_path / "calm")
    assert {path.name for path in (root / "generations").iterdir()} == set(parts(root)), "no temporary file may stay"
    print(f"{ends.count(-signal.SIGKILL)} kills, {twice} queries sent twice")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are forked")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_polite_stop_commits_what_is_answered(
    number: signal.Signals, code: int, picture_records: Records, tmp_path: Path
) -> None:
    records = picture_records(list(range(200)))
    root = tmp_path / "run"
    write_records(root / "records.parquet", records)
    with caption_endpoint(delay_s=0.03) as served, nursery(root, served) as runs:
        for goal in (40, 80, 120):
            process = runs.start()
            _wait_for(served, goal)
            os.kill(process, number)
            assert runs.end() == code
        # Nothing but what was under way is asked again.
        assert served.twice() <= 3 * MANNERS.concurrency
        runs.start()
        assert runs.end() == 0
    assert list(generations(root).texts) == expected(records)
