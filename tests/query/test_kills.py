"""Killed at any moment, or out of disk at any write, and started again: a query ends as if nothing had happened."""

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from dying import Dying, Order, dying
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from m4i_fast.query import Asks, query
from m4i_fast.query.ledger import open_ledger
from m4i_fast.query.writing import AHEAD as UNWRITTEN
from m4i_fast.runs import open_run
from m4i_fast.tables import write_records
from m4i_fast.types import Record

KILLED = -9
VARIANTS = ("flip",)


@pytest.fixture(scope="module")
def dies() -> Iterator[Dying]:
    with dying() as server:
        yield server


class Scene:
    """A query, its undisturbed result, and folders in which it is disturbed."""

    def __init__(self, folder: Path, records: list[Record], order: Order) -> None:
        self.folder = folder
        self.records = records
        self.order = order
        self.count = 0
        calm = self.fresh()
        with open_run(calm) as run:
            query(
                run,
                records,
                order.engine,
                batch=order.batch,
                part_rows=order.part_rows,
                asks=Asks(order.augment),
                threads=1,
            )
        self.calm = tables(calm)

    def fresh(self) -> Path:
        self.count += 1
        root = self.folder / f"run{self.count}"
        write_records(root / "records.parquet", self.records)
        return root


@pytest.fixture
def scene(graphs: Any, picture_records: Any, tmp_path: Path) -> Scene:
    records = picture_records([0, 1, 2, 9, 255], broken=(2,))
    return Scene(tmp_path, records, Order("", str(graphs.captioner()), augment=VARIANTS))


def tables(root: Path) -> dict[str, bytes]:
    """All files of a run but the ledger and the lock: those that others read, and whatever was left lying about."""
    files = [path for path in root.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in files
        if not path.name.startswith("ledger.sqlite") and path.name != ".m4i-lock"
    }


def committed(root: Path, copy: Path) -> int:
    """Questions that a run's ledger has answers to, looked up in a copy: opening it would mend it."""
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for path in root.glob("ledger.sqlite*"):
        shutil.copy(path, copy)
    with open_ledger(copy / "ledger.sqlite") as ledger:
        return ledger.count(0, 10)


def points(dies: Dying, scene: Scene, **more: Any) -> list[str]:
    """The write points of an undisturbed run, in order."""
    root = scene.fresh()
    end = dies(replace(scene.order, root=str(root), **more))
    assert (end.code, end.said) == (0, "")
    assert tables(root) == scene.calm
    return end.points


def test_killed_at_every_write_point_it_goes_on_to_the_same_tables(dies: Dying, scene: Scene, tmp_path: Path) -> None:
    names = points(dies, scene)
    assert Counter(names) == {
        "sqlite schema": 2,  # the runner's ledger and the writer's
        "sqlite commit": 1 + 5 + 2,  # identity, batches, parts
        "write_table": 4,
        "fsync": 8,  # each file and its folder
        "replace": 4,
    }
    moments = [(1, "before"), *((at, "after") for at in range(1, len(names) + 1))]
    moments += [(at, "half") for at, name in enumerate(names, 1) if name == "write_table"]
    died = 0
    for at, moment in moments:
        root = scene.fresh()
        order = replace(scene.order, root=str(root))
        first = dies(replace(order, at=at, moment=moment))
        died += first.code == KILLED
        # Two threads reach their points in an order of their own; whatever was reached, nothing under a final name is
        # wrong, and the rest follows.
        standing = tables(root)
        assert {name: content for name, content in standing.items() if ".m4i-tmp-" not in name}.items() <= (
            scene.calm.items()
        )
        known = committed(root, tmp_path / "copy")
        (asked := tmp_path / "asked").unlink(missing_ok=True)
        again = dies(replace(order, asked=str(asked)))
        assert (again.code, again.said) == (0, ""), (at, moment, names)
        assert tables(root) == scene.calm, (at, moment)
        rows = len(asked.read_text().split()) if asked.exists() else 0
        assert rows == 10 - known, "what was committed is not asked again, all else is"
        shutil.rmtree(root)
    assert died == len(moments)


def test_killed_at_the_first_point_then_the_second_and_so_on_one_run_gets_through(dies: Dying, scene: Scene) -> None:
    root = scene.fresh()
    for at in range(1, 100):
        end = dies(replace(scene.order, root=str(root), at=at, moment="after"))
        if end.code != KILLED:
            break
    assert end.code == 0
    assert 5 < at < 99
    assert tables(root) == scene.calm


def test_killed_while_it_clears_what_stands_it_ends_in_the_new_tables(dies: Dying, scene: Scene, graphs: Any) -> None:
    """--again with another model: nothing of the old one may stay among the new."""
    old = str(graphs.captioner("old.onnx", shift=1))
    start = scene.fresh()
    assert dies(replace(scene.order, root=str(start), engine=old)).code == 0
    names = []
    for at in range(1, 9):
        root = scene.fresh()
        shutil.copytree(start, root, dirs_exist_ok=True)
        order = replace(scene.order, root=str(root), again=True)
        end = dies(replace(order, at=at, moment="after"))
        assert end.code == KILLED
        names.append(end.points[-1])
        assert dies(order).code == 0
        assert tables(root) == scene.calm
    assert names[:7] == ["unlink"] * 7  # the ledger's three files, two parts, their repeats


def test_a_full_disk_at_every_write_point_is_said_and_costs_nothing(
    dies: Dying, graphs: Any, picture_records: Any, tmp_path: Path
) -> None:
    scene = Scene(tmp_path, picture_records([0, 1, 2, 9]), Order("", str(graphs.captioner())))
    names = points(dies, scene)
    for at, name in enumerate(names, 1):
        root = scene.fresh()
        order = replace(scene.order, root=str(root))
        end = dies(replace(order, at=at, how="full", moment="half" if name == "write_table" else "before"))
        assert (end.code, end.kind) == (1, "RunFailed"), (at, end)
        assert "No space left" in end.said or "disk is full" in end.said
        assert "Make room on the disk" in end.said
        assert tables(root).items() <= scene.calm.items(), "no half-written file, no temporary one"
        assert dies(order).code == 0
        assert tables(root) == scene.calm
        shutil.rmtree(root)


class Disturbed(RuleBasedStateMachine):
    """A run to which anything may happen between two kills."""

    dies: Dying
    scene: Scene

    @initialize()
    def begin(self) -> None:
        self.root = self.scene.fresh()

    def _go(self, **more: Any) -> int:
        return self.dies(replace(self.scene.order, root=str(self.root), **more)).code

    @rule(at=st.integers(1, 30), moment=st.sampled_from(["before", "half", "after"]), batch=st.integers(1, 7))
    def is_killed(self, at: int, moment: str, batch: int) -> None:
        assert self._go(at=at, moment=moment, batch=batch) in {0, KILLED}

    @rule(at=st.integers(1, 30))
    def has_no_room(self, at: int) -> None:
        assert self._go(at=at, how="full") in {0, 1}

    @rule(batch=st.integers(1, 7))
    def gets_through(self, batch: int) -> None:
        assert self._go(batch=batch) == 0
        assert tables(self.root) == self.scene.calm

    @rule(
        name=st.sampled_from(["generations", "repeats"]), index=st.integers(0, 1), keep=st.sampled_from([None, 0, 0.7])
    )
    def loses_a_part(self, name: str, index: int, keep: float | None) -> None:
        path = self.root / name / f"part-0000{index}.parquet"
        if not path.exists():
            return
        if keep is None:
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])

    @rule(suffixes=st.sampled_from([("", "-wal", "-shm"), ("",), ("-wal", "-shm"), ("-shm",)]))
    def loses_its_ledger(self, suffixes: tuple[str, ...]) -> None:
        for suffix in suffixes:
            (self.root / f"ledger.sqlite{suffix}").unlink(missing_ok=True)

    @rule()
    def finds_what_another_left(self) -> None:
        (self.root / "generations").mkdir(exist_ok=True)
        (self.root / "generations/.m4i-tmp-1-part-00000.parquet").write_bytes(b"half")

    @invariant()
    def what_can_be_read_is_right(self) -> None:
        for name, content in tables(self.root).items():
            if content.endswith(b"PAR1") and ".m4i-tmp-" not in name:
                assert content == self.scene.calm[name]

    def teardown(self) -> None:
        assert self._go() == 0
        assert tables(self.root) == self.scene.calm
        shutil.rmtree(self.root)


def test_whatever_happens_the_end_is_that_of_an_undisturbed_run(dies: Dying, scene: Scene) -> None:
    machine: Any = type("Machine", (Disturbed,), {"dies": staticmethod(dies), "scene": scene})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12,
            stateful_step_count=6,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
        ),
    )


@pytest.mark.slow
@pytest.mark.skipif("not config.getoption('-m')", reason="takes a minute: ask for it with -m slow")
def test_two_hundred_kills_at_random_moments(dies: Dying, graphs: Any, picture_records: Any, tmp_path: Path) -> None:
    """On one run; and what they cost is counted by what the engine was asked."""
    pictures = picture_records(list(range(16)), broken=(5,))
    records = [Record(f"r{row:05d}", pictures[row % 16].image) for row in range(8_000)]
    scene = Scene(tmp_path, records, Order("", str(graphs.captioner()), batch=4, part_rows=64))
    root, asked = scene.fresh(), tmp_path / "asked"
    order = replace(scene.order, root=str(root), asked=str(asked), sleep=0.02)
    moments = random.Random("two hundred")
    kills = 0
    while kills < 200:
        end = dies(replace(order, kill_after=moments.uniform(0.05, 0.3)))
        assert end.code == KILLED, end
        kills += 1
    before = len(set(asked.read_text().splitlines()))
    assert 20 < before < 2_000, "it got on, and was killed while it had work"
    assert dies(replace(order, sleep=0.0)).code == 0
    assert tables(root) == scene.calm
    batches = Counter(asked.read_text().splitlines())
    assert len(batches) == 2_000
    assert sum(batches.values()) - len(batches) <= kills * (1 + UNWRITTEN + 1)  # in the engine, waiting, being written
