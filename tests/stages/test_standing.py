"""Files of a run belong together: one that was made from others is refused once those have changed."""

from pathlib import Path

import pytest

from m4i_fast.errors import RunError
from m4i_fast.query.ledger import open_ledger
from m4i_fast.runs import Run, stage, write_json
from m4i_fast.stages.standing import need_current


def _touch(run: Run, name: str, content: str) -> None:
    run.path(name).parent.mkdir(parents=True, exist_ok=True)
    run.path(name).write_text(content)


def _do(run: Run, name: str, reads: dict[str, str], writes: str, content: str = "1") -> None:
    stage(
        run,
        name,
        settings={},
        inputs={role: run.path(file) for role, file in reads.items()},
        outputs=[writes],
        work=lambda: _touch(run, f"{writes}/part-00000.parquet" if writes == "generations" else writes, content),
        again=True,
    )


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run(tmp_path / "run")
    _touch(run, "records.parquet", "1")
    _do(run, "query", {"records": "records.parquet"}, "generations")
    _do(run, "overlap", {"records": "records.parquet", "generations": "generations"}, "overlap.parquet")
    _do(run, "attack-score", {"overlap": "overlap.parquet"}, "scores.parquet")
    return run


def test_what_belongs_together_is_let_through(run: Run) -> None:
    need_current(run, "query", "overlap", "attack-score")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ("records.parquet", "m4i-fast query DATA"),
        ("generations/part-00000.parquet", "m4i-fast query DATA"),
        ("overlap.parquet", "m4i-fast overlap "),
        ("scores.parquet", "m4i-fast attack score "),
    ],
)
@pytest.mark.parametrize("how", ["other", "gone"])
def test_the_first_stage_to_be_done_again_is_named(changed: str, said: str, how: str, run: Run) -> None:
    if how == "gone":
        run.path(changed).unlink()
    else:
        _touch(run, changed, "other")
    with pytest.raises(RunError) as caught:
        need_current(run, "query", "overlap", "attack-score")
    assert str(run.root) == caught.value.where
    assert said in str(caught.value.cure)


def test_new_answers_make_the_overlap_old_and_a_new_overlap_the_scores(run: Run) -> None:
    _do(run, "query", {"records": "records.parquet"}, "generations", "2")
    need_current(run, "query")
    with pytest.raises(
        RunError, match=r"'overlap' was done with other files .*generations.* Run first: m4i-fast overlap"
    ):
        need_current(run, "query", "overlap")
    _do(run, "overlap", {"records": "records.parquet", "generations": "generations"}, "overlap.parquet", "2")
    with pytest.raises(RunError, match="'attack-score' was done with other files"):
        need_current(run, "query", "overlap", "attack-score")


def test_answers_collected_elsewhere_have_no_stamp(run: Run) -> None:
    run.path("stages/query.json").unlink()
    need_current(run, "query", "overlap")


@pytest.mark.parametrize("stamp", ["gone", "cut", "no stamp"])
def test_a_stage_that_did_not_end_is_not_done(stamp: str, run: Run) -> None:
    path = run.path("stages/overlap.json")
    if stamp == "gone":
        path.unlink()
    elif stamp == "cut":
        path.write_text(path.read_text()[:20])
    else:
        write_json(path, ["nothing"])
    with pytest.raises(RunError, match=r"'overlap' has not ended in this run\. Run first: m4i-fast overlap"):
        need_current(run, "query", "overlap")


def test_a_void_run_goes_no_further(run: Run) -> None:
    with open_ledger(run.path("ledger.sqlite")) as ledger:
        need_current(run, "query", "overlap", "attack-score")
        ledger.remember("void", "another version answered")
    with pytest.raises(RunError, match=r"this run is void: another version answered.*--again"):
        need_current(run, "overlap")


def test_a_ledger_that_cannot_be_read_is_no_leave_to_go_on(run: Run) -> None:
    run.path("ledger.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(RunError, match="the ledger cannot be read"):
        need_current(run, "query")
