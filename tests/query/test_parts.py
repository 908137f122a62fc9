import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m4i_fast.errors import RunError
from m4i_fast.query.parts import Identity, clear_parts, identify, part_paths, plan
from m4i_fast.query.records import ListedRecords
from m4i_fast.runs import Run
from m4i_fast.tables import write_generations, write_repeats
from m4i_fast.types import Generations, Record

IDENTITY = Identity("e", "s", "r")


def said(*ids: str) -> Generations:
    rows = len(ids)
    return Generations(ids, ("a",) * rows, np.ones((rows, 1), np.int32), np.ones(rows, np.int32), None, (None,) * rows)


def put(run: Run, index: int, *ids: str, identity: Identity = IDENTITY, errors: int | None = None) -> None:
    more = {} if errors is None else {"errors": str(errors)}
    path = run.path(f"generations/part-{index:05d}.parquet")
    write_generations(path, said(*ids), metadata=identity.to_metadata() | more)


def put_repeats(run: Run, index: int, *ids: str, asks: int = 3, identity: Identity = IDENTITY) -> None:
    write_repeats(
        run.path(f"repeats/part-{index:05d}.parquet"),
        [said(*ids)] * (asks - 1),
        variants=["flip"] * (asks - 1),
        samples=list(range(asks - 1)),
        metadata=identity.to_metadata(),
    )


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_parts_cover_all_records_and_name_their_files(run: Run) -> None:
    parts = plan(run, IDENTITY, 7, 3, 2)
    assert [(part.start, part.stop, part.first, part.last) for part in parts] == [
        (0, 3, 0, 6),
        (3, 6, 6, 12),
        (6, 7, 12, 14),
    ]
    assert parts[1].path == run.path("generations/part-00001.parquet")
    assert parts[1].repeats == run.path("repeats/part-00001.parquet")
    assert not any(part.stands for part in parts)
    assert len(plan(run, IDENTITY, 6, 3, 1)) == 2


def test_what_stands_is_known_by_its_footer(run: Run) -> None:
    put(run, 1, "d", "e", "f", errors=2)
    put(run, 2, "g")  # says nothing of errors
    assert [(part.stands, part.errors) for part in plan(run, IDENTITY, 7, 3, 1)] == [
        (False, 0),
        (True, 2),
        (True, 0),
    ]


@pytest.mark.parametrize("fault", ["absent", "short", "cut", "other"])
def test_a_part_stands_with_its_repeats_alone(run: Run, fault: str) -> None:
    put(run, 0, "a", "b")
    put_repeats(run, 0, "a", "b")
    assert plan(run, IDENTITY, 2, 2, 3)[0].stands
    path = run.path("repeats/part-00000.parquet")
    if fault == "absent":
        path.unlink()
    elif fault == "short":
        put_repeats(run, 0, "a", "b", asks=2)
    elif fault == "cut":
        path.write_bytes(path.read_bytes()[:-4])
    else:
        put_repeats(run, 0, "a", "b", identity=Identity("e", "s", "other"))
    assert not plan(run, IDENTITY, 2, 2, 3)[0].stands


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1PAR1", b"\0" * 100])
def test_a_part_that_cannot_be_read_does_not_stand(
    run: Run, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    put(run, 0, "a")
    run.path("generations/part-00000.parquet").write_bytes(content)
    assert not plan(run, IDENTITY, 1, 3, 1)[0].stands
    assert "part-00000.parquet is damaged and is made again" in capsys.readouterr().err.replace("\n", "")


@pytest.mark.parametrize(
    ("identity", "says"),
    [
        (Identity("x", "s", "r"), "was made by another engine"),
        (Identity("e", "x", "r"), "belongs to other settings"),
        (Identity("e", "s", "x"), "belongs to other records"),
    ],
)
def test_a_part_of_another_query_is_refused(run: Run, identity: Identity, says: str) -> None:
    put(run, 0, "a", identity=identity)
    with pytest.raises(RunError, match=rf"part-00000\.parquet: a result that stands in this run {says}.*--again"):
        plan(run, IDENTITY, 1, 3, 1)


def test_a_part_of_no_place_is_refused(run: Run) -> None:
    put(run, 0, "a", "b")
    with pytest.raises(RunError, match="is no part of this query"):
        plan(run, IDENTITY, 3, 3, 1)  # two rows of three
    put(run, 0, "a", "b", "c")
    put(run, 1, "d")
    with pytest.raises(RunError, match=r"part-00001\.parquet: .*is no part of this query"):
        plan(run, IDENTITY, 3, 3, 1)


def test_repeats_of_no_place_are_refused(run: Run) -> None:
    """A reader takes all that lie there: those of a longer query before would be among them."""
    put_repeats(run, 1, "c", "d")
    with pytest.raises(RunError, match=r"repeats/part-00001\.parquet: .*is no part of this query"):
        plan(run, IDENTITY, 2, 2, 3)
    assert len(plan(run, IDENTITY, 4, 2, 3)) == 2
    with pytest.raises(RunError, match="is no part of this query"):
        plan(run, IDENTITY, 4, 2, 1)  # of a query without repeats


def test_parts_come_in_the_order_of_their_numbers(run: Run) -> None:
    run.path("generations").mkdir()
    for number in (100_000, 9, 10_000, 10_001, 99_999):
        run.path(f"generations/part-{number:05d}.parquet").touch()
    run.path("generations/other.parquet").touch()
    assert [int(path.stem[5:]) for path in part_paths(run)] == [9, 10_000, 10_001, 99_999, 100_000]


def test_clearing_takes_all_of_a_query_and_nothing_else(run: Run) -> None:
    put(run, 0, "a")
    put_repeats(run, 0, "a")
    for name in ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm", "overlap.parquet"):
        run.path(name).touch()
    clear_parts(run)
    assert sorted(path.name for path in run.root.iterdir()) == ["overlap.parquet"]
    run.path("generations").mkdir()
    run.path("generations/notes.txt").touch()
    clear_parts(run)
    assert run.path("generations/notes.txt").exists()


def test_the_identity_changes_with_everything_that_an_answer_depends_on() -> None:
    base = Record("x", "y.png", error=None, image_sha256="0")
    changed = [
        Record("X", "y.png", image_sha256="0"),
        Record("x", "Y.png", image_sha256="0"),
        Record("x", "y.png", error="gone", image_sha256="0"),
        Record("x", "y.png", image_sha256="1"),
        Record("xy", ".png", image_sha256="0"),
    ]
    identities = [identify("e", {}, ListedRecords([record])) for record in (base, *changed)]
    identities += [identify("E", {}, ListedRecords([base])), identify("e", {"a": 1}, ListedRecords([base]))]
    assert len(set(identities)) == len(identities)
    told: Any = Record("x", "y.png", ("a caption",), "group", image_sha256="0")
    assert identify("e", {}, ListedRecords([told])) == identities[0], "captions and groups change no answer"
    strange = os.fsdecode(b"\xff\xfe.png")
    assert identify("e", {}, ListedRecords([Record("x", strange)])) != identities[0]
