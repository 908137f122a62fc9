"""``m4i-fast bench scale``: what a second worker brings, and what Ray takes for its service.

Each way runs in a process of its own, with an engine of one thread a worker, over the same pictures. Start-up is told
apart: a run's rate is taken from the files of its parts, from the first that every worker may have written to the last.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from m4i_fast.bench.environment import environment, load_average
from m4i_fast.bench.figures import Findings
from m4i_fast.bench.harness import cores_here, spread
from m4i_fast.bench.materials import BACKBONE, PHOTO, drawn_photos, listed, made_model
from m4i_fast.bench.promises import Found, Promise, chosen, figures_of
from m4i_fast.bench.rivals import Unavailable
from m4i_fast.extras import require
from m4i_fast.progress import progress
from m4i_fast.record_file import write_record_stream
from m4i_fast.types import Record

__all__ = ["DISTRIBUTIONS", "PROMISES", "ROUNDS", "ScaleSizes", "scale_bench"]

ROUNDS: Final = 3
IMAGES: Final = 3072
PHOTOS: Final = 512
PART: Final = 64
"""Records a part: what Ray deals out, so that two actors end together."""
BATCH: Final = 32
LEAST: Final = 3000
DISTRIBUTIONS: Final = ("numpy", "onnxruntime", "pillow", "pyarrow", "ray", "torch")

PROMISES: Final = (
    Promise("workers", "workers", "x", "two workers to one, one engine thread each, start-up apart", 1.85),
    Promise("ray", "ray", "x", "Ray's two actors to two workers, one engine thread each, start-up apart", 0.92),
    Promise("images-1", "workers", "images/s", "one worker"),
    Promise("images-2", "workers", "images/s", "two workers"),
    Promise("images-ray", "ray", "images/s", "two actors of Ray"),
    Promise("start-2", "workers", "s", "start-up of two workers: to their first parts", at_least=False),
    Promise("start-ray", "ray", "s", "start-up of Ray and its actors: to their first parts", at_least=False),
)


@dataclass(frozen=True, slots=True)
class ScaleSizes:
    """``images``: of a run; ``rounds``: of each way."""

    images: int = IMAGES
    rounds: int = ROUNDS
    backbone: str = BACKBONE
    part: int = PART


@dataclass(frozen=True, slots=True)
class _Took:
    """``rate``: images a second once all are at work; ``start_s``: seconds until then."""

    rate: float
    start_s: float


def scale_bench(
    data: Sequence[Record] | None = None, *, sizes: ScaleSizes | None = None, only: Sequence[str] = ()
) -> Findings:
    """Measure everything.

    Args:
        data: records whose pictures are asked about; None: drawn ones.
        sizes: None: those of the promises.
        only: patterns of figure names.

    Raises:
        ConfigError: ``only`` names no figure.
    """
    wanted = chosen(only, PROMISES)
    given = sizes or ScaleSizes()
    facts = environment(DISTRIBUTIONS)
    with tempfile.TemporaryDirectory(prefix="m4i-bench-") as folder:
        bench = _Bench(Path(folder), given, data)
        measures: Mapping[str, Callable[[], Mapping[str, Found]]] = {"workers": bench.workers, "ray": bench.ray}
        bench.both = len({each.measured_by for each in wanted}) > 1
        figures = tuple(figures_of(wanted, measures))
    facts |= {"load_average": {"before": facts["load_average"], "after": load_average()}, "pictures": bench.pictures}
    method = {
        "order": "interleaved: a round runs all ways in turn, each in a process of its own",
        "rounds": given.rounds,
        "clock": "wall time, from the modification times of the parts",
        "value": "median over rounds, with quartiles; a ratio is formed within each round",
        "images": given.images,
        "engine": f"{given.backbone} with LSTM, random weights, one thread, batches of {BATCH}, parts of {given.part}",
    }
    return Findings("scale", figures, (), method, facts)


class _Bench:
    def __init__(self, folder: Path, sizes: ScaleSizes, data: Sequence[Record] | None) -> None:
        self._folder = folder
        self._sizes = sizes
        self._data = data
        self._took: dict[str, list[_Took]] = {}
        self._ready: tuple[Path, Path] | None = None
        self.both = False
        self.pictures = "none"

    def _materials(self) -> tuple[Path, Path]:
        """The engine and the table of records."""
        if self._ready is None:
            count = self._sizes.images
            if self._data is None:
                drawn = min(count, PHOTOS)
                records = listed(drawn_photos(drawn), count)
                self.pictures = f"{drawn} drawn, {PHOTO[0]} x {PHOTO[1]} pixels"
            elif len(self._data) >= count:
                records = list(self._data[:count])
                self.pictures = f"{count} of the user's own"
            else:
                raise Unavailable(f"{count} pictures are wanted, and there are {len(self._data)}: see --images.")
            table = self._folder / "records.parquet"
            write_record_stream(table, records)
            self._ready = made_model(self._sizes.backbone).engine, table
        return self._ready

    def _raced(self, ways: Sequence[tuple[str, int]]) -> None:
        """Run all ways in turn, unless they ran already."""
        if all(self._name(*way) in self._took for way in ways):
            return
        if len(cores_here()) < 2:
            raise Unavailable("this process may use one core only.")
        engine, table = self._materials()
        rounds = self._sizes.rounds
        with progress("bench scale", rounds * len(ways), live=False) as advance:
            for _ in range(rounds):
                for way, workers in ways:
                    with tempfile.TemporaryDirectory(dir=self._folder) as run:
                        took = _ran(Path(run), engine, table, way, workers, self._sizes.part)
                    self._took.setdefault(self._name(way, workers), []).append(took)
                    advance()

    @staticmethod
    def _name(way: str, workers: int) -> str:
        return f"{way}-{workers}"

    def _rates(self, name: str) -> Any:
        return np.array([each.rate for each in self._took[name]])

    def _starts(self, name: str) -> Found:
        return Found(spread([each.start_s for each in self._took[name]]))

    def workers(self) -> Mapping[str, Found]:
        """One worker and two; Ray in the same rounds, where it is wanted and there."""
        ways = [("workers", 1), ("workers", 2)]
        if self.both and _has_ray():
            ways.append(("ray", 2))
        self._raced(ways)
        one, two = self._rates("workers-1"), self._rates("workers-2")
        return {
            "workers": Found(spread(two / one)),
            "images-1": Found(spread(one)),
            "images-2": Found(spread(two)),
            "start-2": self._starts("workers-2"),
        }

    def ray(self) -> Mapping[str, Found]:
        """Two actors and two workers."""
        require("ray", why="answering by a Ray cluster", extra="ray")
        self._raced([("workers", 2), ("ray", 2)])
        enough = self._sizes.images >= LEAST
        note = "" if enough else f"{self._sizes.images:,} images in place of {LEAST:,}"
        return {
            "ray": Found(spread(self._rates("ray-2") / self._rates("workers-2")), note, enough),
            "images-ray": Found(spread(self._rates("ray-2"))),
            "start-ray": self._starts("ray-2"),
        }


def _has_ray() -> bool:
    import importlib.util

    return importlib.util.find_spec("ray") is not None


def _ran(folder: Path, engine: Path, table: Path, way: str, workers: int, part: int) -> _Took:
    (folder / "records.parquet").write_bytes(table.read_bytes())
    begun = time.time()
    given = [str(folder), str(engine), way, str(workers), str(part)]
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "m4i_fast.bench.scale", *given],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        raise Unavailable(f"the run failed: {(done.stderr.strip().splitlines() or ['no word'])[-1]}")
    rows: int = json.loads(done.stdout.splitlines()[-1])["rows"]
    written = sorted(path.stat().st_mtime for path in (folder / "generations").glob("part-*.parquet"))
    # By the time of the worker-th part all workers are at work, whoever wrote them.
    if len(written) <= 2 * workers:
        raise Unavailable(f"{len(written)} parts are too few to tell the start from the rest: see --images.")
    since = written[workers - 1]
    return _Took((rows - workers * part) / (written[-1] - since), since - begun)


def main(folder: str, engine: str, way: str, workers: str, part: str) -> None:
    """Ask once, by ``workers`` processes or by Ray's actors."""
    from m4i_fast.progress import hush
    from m4i_fast.query import query
    from m4i_fast.query.records import FiledRecords
    from m4i_fast.runs import open_run

    hush()
    with open_run(Path(folder)) as run:
        report = query(
            run,
            FiledRecords(run.path("records.parquet")),
            engine,
            batch=BATCH,
            threads=1,
            decode_threads=1,
            workers=int(workers),
            ray="local" if way == "ray" else None,
            part_rows=int(part),
        )
    print(json.dumps({"rows": report.rows}))


if __name__ == "__main__":
    main(*sys.argv[1:])
