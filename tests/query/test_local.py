from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m4i_fast.engines import open_captioner
from m4i_fast.engines.onnx import OnnxCaptioner
from m4i_fast.engines.protocol import OutOfMemory
from m4i_fast.query import local, query
from m4i_fast.query.local import Careful, Clock, best_batch, joined
from m4i_fast.runs import open_run
from m4i_fast.tables import read_generations
from m4i_fast.types import Generations, ImageBatch


def pictures(count: int) -> ImageBatch:
    """Picture i is i throughout: the tiny captioner then says something else of each."""
    values = np.arange(count, dtype=np.uint8)[:, None, None, None]
    return ImageBatch(
        tuple(f"r{row}" for row in range(count)), np.broadcast_to(values, (count, 4, 4, 3)), (None,) * count
    )


class Small:
    """A captioner in a memory that holds ``room`` pictures at once; notes how many it was asked about."""

    def __init__(self, captioner: Any, room: int) -> None:
        self._captioner = captioner
        self.room = room
        self.sizes: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._captioner, name)

    def generate(self, batch: ImageBatch) -> Generations:
        self.sizes.append(len(batch.ids))
        if len(batch.ids) > self.room:
            raise OutOfMemory("out of memory")
        return self._captioner.generate(batch)  # type: ignore[no-any-return]


@pytest.fixture
def captioner(graphs: Any) -> Iterator[Any]:
    with open_captioner(graphs.captioner(), threads=1) as engine:
        yield engine


def test_where_memory_runs_out_a_batch_is_halved_and_that_is_remembered(
    captioner: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    small = Small(captioner, 3)
    careful = Careful(small)
    said = careful.generate(pictures(11))
    assert small.sizes == [11, 6, 3, 3, 3, 2]
    assert careful.most == 3
    expected = captioner.generate(pictures(11))
    assert (said.ids, said.texts, said.errors) == (expected.ids, expected.texts, expected.errors)
    np.testing.assert_array_equal(said.tokens, expected.tokens)
    np.testing.assert_array_equal(said.log_probs, expected.log_probs)
    assert "memory ran out on 11 rows at once; going on with 6" in capsys.readouterr().err
    del small.sizes[:]
    assert careful.generate(pictures(5)).texts == expected.texts[:5]
    assert small.sizes == [3, 2], "never again more than the memory took"
    small.room = 1
    careful.generate(pictures(3))
    assert (small.sizes[2:], careful.most) == ([3, 2, 1, 1, 1], 1)


def test_memory_that_is_too_small_for_one_picture_is_an_error(captioner: Any) -> None:
    small = Small(captioner, 0)
    with pytest.raises(OutOfMemory):
        Careful(small).generate(pictures(4))
    assert small.sizes == [4, 2, 1]


def test_a_query_goes_on_in_halves(
    graphs: Any, picture_records: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    real = OnnxCaptioner.generate

    def generate(self: OnnxCaptioner, batch: ImageBatch) -> Generations:
        sizes.append(len(batch.ids))
        if len(batch.ids) > 2:
            raise OutOfMemory("out of memory")
        return real(self, batch)

    monkeypatch.setattr(OnnxCaptioner, "generate", generate)
    with open_run(tmp_path / "run") as run:
        assert query(run, picture_records([0, 1, 2, 9, 255]), graphs.captioner(), batch=4).rows == 5
    assert sizes == [4, 2, 2, 1]
    said = read_generations([tmp_path / "run/generations/part-00000.parquet"])
    assert said.texts == ("red", "green blue", "blue white black", "blue", "white")


def answered(tokens: list[list[int]], log_probs: bool = True, name: str = "a") -> Generations:
    matrix = np.array(tokens, np.int32)
    rows, width = matrix.shape
    return Generations(
        tuple(f"{name}{row}" for row in range(rows)),
        ("x",) * rows,
        matrix,
        np.full(rows, width, np.int32),
        -matrix.astype(np.float32) if log_probs else None,
        (None,) * rows,
    )


def test_answers_of_different_length_are_joined() -> None:
    whole = joined([answered([[1]]), answered([[2, 3, 4], [5, 6, 7]], name="b"), answered([[]], name="c")])
    assert whole.ids == ("a0", "b0", "b1", "c0")
    assert whole.tokens.tolist() == [[1, 0, 0], [2, 3, 4], [5, 6, 7], [0, 0, 0]]
    assert whole.tokens.dtype == np.int32
    assert whole.lengths.tolist() == [1, 3, 3, 0]
    assert whole.log_probs is not None
    assert whole.log_probs.tolist() == [[-1, 0, 0], [-2, -3, -4], [-5, -6, -7], [0, 0, 0]]
    assert joined([answered([[1]]), answered([[2]], log_probs=False)]).log_probs is None


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int, int], float]], Any]:
    """``timed(cost)``: a captioner that takes ``cost(pictures, call)`` seconds of a clock of its own."""
    now = [0.0]
    monkeypatch.setattr(local, "perf_counter", lambda: now[0])

    class Timed:
        def __init__(self, cost: Callable[[int, int], float]) -> None:
            self.cost = cost
            self.sizes: list[int] = []

        def generate(self, batch: ImageBatch) -> None:
            assert len(batch.pixels) == len(batch.ids) == len(batch.errors)
            self.sizes.append(len(batch.ids))
            now[0] += self.cost(len(batch.ids), len(self.sizes))

    return Timed


def test_the_best_batch_is_where_the_rate_no_longer_grows(timed: Any) -> None:
    # 4 workers in the engine: 1, 2 and 4 pictures cost the same, more cost in proportion.
    engine = timed(lambda pictures, call: 1.0 * max(4, pictures) + (100 if call % 2 else 0))
    assert best_batch(engine, pictures(3)) == 4
    assert engine.sizes == [1, 1, 2, 2, 4, 4, 8, 8], "twice each: the first try of a size pays for buffers"


def test_the_best_batch_stops_at_the_most_and_at_the_memory(timed: Any) -> None:
    assert best_batch(timed(lambda *_: 1.0), pictures(1)) == 256
    assert best_batch(timed(lambda *_: 1.0), pictures(5), most=20) == 16
    assert best_batch(timed(lambda pictures, _: 1.0 * pictures), pictures(5)) == 1

    def full(pictures: int, call: int) -> float:
        if pictures > 8:
            raise OutOfMemory("out of memory")
        return 1.0

    assert best_batch(timed(full), pictures(5)) == 8


def test_a_batch_that_was_found_is_kept_for_the_run(
    graphs: Any, picture_records: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[int] = []

    @contextmanager
    def stopped() -> Iterator[None]:
        real = OnnxCaptioner.generate
        with monkeypatch.context() as patch:

            def generate(self: OnnxCaptioner, batch: ImageBatch) -> Generations:
                if "r00002" in batch.ids:
                    raise KeyboardInterrupt
                return real(self, batch)

            patch.setattr(OnnxCaptioner, "generate", generate)
            with pytest.raises(KeyboardInterrupt):
                yield

    def find(captioner: Any, images: ImageBatch) -> int:
        found.append(len(images.ids))
        return 2

    monkeypatch.setattr("m4i_fast.query.runner.best_batch", find)
    records = picture_records([0, 1, 2, 9, 255], broken=(1,))
    with open_run(tmp_path / "run") as run:
        with stopped():
            query(run, records, graphs.captioner(), batch="auto")
        monkeypatch.setattr("m4i_fast.query.runner.best_batch", lambda *_: 1)
        report = query(run, records, graphs.captioner(), batch="auto")
        assert (report.batch, report.kept) == (2, 2)
        assert query(run, records, graphs.captioner(), batch="auto").batch == 0, "nothing is left to find one for"
    assert found == [4], "tried on what is good in the first batch"


def test_clocks_add_up() -> None:
    clock = Clock(read_s=1, wait_s=2)
    clock.add(Clock(read_s=0.5, infer_s=4, wait_write_s=8))
    assert clock == Clock(read_s=1.5, decode_s=0, infer_s=4, write_s=0, wait_s=2, wait_write_s=8)
