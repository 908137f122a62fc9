"""``m4i-fast bench query``: what the path of a query costs beside the model that it asks.

The engine is an exported ResNet-50 with LSTM of random weights, the pictures are drawn in the size of Flickr8k's photos
(``materials``). Rates are compared within a round, one contender after the other. What takes a process of its own has
its own clock.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from m4i_fast.bench.environment import environment, load_average
from m4i_fast.bench.figures import Agreement, Findings
from m4i_fast.bench.harness import Contender, Race, cores_here, race, spread, steps
from m4i_fast.bench.loopback import AT_ONCE, LATENCY_S, asked, serving
from m4i_fast.bench.materials import BACKBONE, PHOTO, THUMB, Model, drawn_photos, listed, made_model, table_of
from m4i_fast.bench.promises import Found, Promise, chosen, figures_of
from m4i_fast.bench.rivals import Unavailable
from m4i_fast.extras import require
from m4i_fast.progress import progress
from m4i_fast.runs import open_run
from m4i_fast.types import Record

__all__ = ["DISTRIBUTIONS", "PROMISES", "ROUNDS", "Sizes", "query_bench"]

ROUNDS: Final = 5
BATCH: Final = 64
"""Pictures at a time, of all three ways."""
PHOTOS: Final = 512
"""Different pictures, at most; more records go through them again."""
TABLE: Final = 1024
"""Records beyond those that are answered: there is something left to ask."""
DISTRIBUTIONS: Final = ("httptools", "numpy", "onnxruntime", "pillow", "pyarrow", "torch", "uvloop")

# fmt: off - a table
PROMISES: Final = (
    Promise(
        "whole-path",
        "paths",
        "x",
        "images/s from JPEG files on disk to parts, to the bare session.run on batches in memory",
        0.95,
    ),
    Promise(
        "plain-script", "paths", "x", "the same, to a script in PyTorch: Pillow, eager, a loop over batches of 64", 2.0
    ),
    Promise(
        "endpoint",
        "endpoint",
        "x",
        f"queries/s of an endpoint that takes {LATENCY_S * 1000:.0f} ms and "
        f"{AT_ONCE} at once, to the ideal {AT_ONCE / LATENCY_S:,.0f}",
        0.90,
    ),
    Promise(
        "overhead",
        "overhead",
        "us/record",
        "ledger, parts and checks of a record, with an engine that is free",
        30,
        at_least=False,
    ),
    Promise(
        "resume",
        "million",
        "s",
        "from the start of a program to the first new question of a run with 1,000,000 answers",
        5,
        at_least=False,
    ),
    Promise("memory", "million", "x", "peak memory at 1,000,000 records, to that at 100,000", 1.1, at_least=False),
    Promise("memory-peak", "million", "MB", "peak memory at 1,000,000 records", 700, at_least=False),
    Promise("whole-path-cpu", "paths", "x", "as whole-path, by CPU time: what is left where no core is ever idle"),
    Promise("images", "paths", "images/s", "the whole path"),
    Promise("images-bare", "paths", "images/s", "the bare session.run"),
    Promise("images-script", "paths", "images/s", "the script"),
    Promise("ready", "ready", "ms/image", "read, hashed, decoded, resized: CPU time of a picture", at_least=False),
    Promise("queries", "endpoint", "queries/s", "of the endpoint"),
    Promise("endpoint-cpu", "endpoint", "us/query", "CPU time of the client", at_least=False),
    Promise("overhead-cpu", "overhead", "us/record", "as overhead, CPU time of all threads", at_least=False),
    Promise("resume-cpu", "million", "s", "as resume, CPU time", at_least=False),
)
# fmt: on


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured. ``images``: a timing's; ``queries``: of an endpoint; ``records``: of the longest run."""

    images: int = 512
    queries: int = 40_000
    records: int = 1_000_000
    rounds: int = ROUNDS
    backbone: str = BACKBONE


def query_bench(
    data: Sequence[Record] | None = None, *, sizes: Sizes | None = None, only: Sequence[str] = ()
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
    given = sizes or Sizes()
    facts = environment(DISTRIBUTIONS)
    agreed: list[Agreement] = []
    with tempfile.TemporaryDirectory(prefix="m4i-bench-") as folder:
        bench = _Bench(Path(folder), given, data, agreed)
        measures: Mapping[str, Callable[[], Mapping[str, Found]]] = {
            "paths": bench.paths,
            "ready": bench.ready,
            "endpoint": bench.endpoint,
            "overhead": bench.overhead,
            "million": bench.million,
        }
        figures = tuple(figures_of(wanted, measures))
    facts |= {"load_average": {"before": facts["load_average"], "after": load_average()}, "pictures": bench.pictures}
    method = {
        "order": "interleaved: a round times all contenders of a figure in turn",
        "rounds": given.rounds,
        "clock": "wall time, on all cores that this process may use; figures named -cpu: CPU time of all threads",
        "value": "median over rounds, with quartiles; a ratio is formed within each round",
        "images": given.images,
        "queries": given.queries,
        "records": given.records,
        "engine": f"{given.backbone} with LSTM, random weights, batches of {BATCH}",
    }
    return Findings("query", figures, tuple(agreed), method, facts)


class _Bench:
    def __init__(self, folder: Path, sizes: Sizes, data: Sequence[Record] | None, agreed: list[Agreement]) -> None:
        self._folder = folder
        self._sizes = sizes
        self._data = data
        self._agreed = agreed
        self._runs = 0
        self.pictures = "none"

    def _records(self) -> list[Record]:
        count = self._sizes.images
        if self._data is not None:
            if len(self._data) < count:
                raise Unavailable(f"{count} pictures are wanted, and there are {len(self._data)}: see --images.")
            self.pictures = f"{count} of the user's own"
            return list(self._data[:count])
        drawn = min(count, PHOTOS)
        self.pictures = f"{drawn} drawn, {PHOTO[0]} x {PHOTO[1]} pixels"
        return listed(drawn_photos(drawn), count)

    @contextmanager
    def run_folder(self) -> Iterator[Path]:
        self._runs += 1
        folder = self._folder / f"run-{self._runs}"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    def paths(self) -> Mapping[str, Found]:
        """The whole path, the bare engine and the script, in turns."""
        records, model = self._records(), made_model(self._sizes.backbone)
        with ExitStack() as stack:
            ways = _Ways(self, stack, records, model)
            self._agreed.append(ways.agreement())
            contenders = [
                Contender(name, work, len(records), repeats=1)
                for name, work in (("bare", ways.bare), ("whole", ways.whole), ("script", ways.script))
            ]
            timed = _raced("bench query: paths", contenders, self._sizes.rounds)
        agree = not self._agreed[-1].differ
        disturbed = f"{timed.disturbance():.2f} s of wall time a second of CPU time, over all cores"
        return {
            "whole-path": Found(spread(timed.ratio("whole", ["bare"], wall=True)), disturbed),
            "plain-script": Found(
                spread(timed.ratio("whole", ["script"], wall=True)),
                "" if agree else "the script says something else: see agreement",
                agree,
            ),
            "whole-path-cpu": Found(spread(timed.ratio("whole", ["bare"]))),
            "images": Found(spread(1 / timed.seconds("whole", wall=True))),
            "images-bare": Found(spread(1 / timed.seconds("bare", wall=True))),
            "images-script": Found(spread(1 / timed.seconds("script", wall=True))),
        }

    def ready(self) -> Mapping[str, Found]:
        """Pictures alone, on one thread."""
        from m4i_fast.data.bytes import ImageReader
        from m4i_fast.query.asks import PLAIN
        from m4i_fast.query.pictures import Wanted, fill

        records = self._records()[:64]
        rows = [Wanted(number, record, PLAIN) for number, record in enumerate(records)]
        pixels = np.zeros((len(rows), 224, 224, 3), np.uint8)
        with ImageReader() as reader:
            contender = Contender("ready", lambda: fill(rows, pixels, reader), len(rows))
            timed = _raced("bench query: ready", [contender], self._sizes.rounds)
        return {"ready": Found(spread(timed.seconds("ready") * 1e3))}

    def endpoint(self) -> Mapping[str, Found]:
        """A server and a client on a core each."""
        require("httptools", why="asking an endpoint", extra="endpoint")
        cores = cores_here()
        if len(cores) < 2:
            raise Unavailable("this process may use one core only; client and server take one each.")
        ideal = AT_ONCE / LATENCY_S
        table = table_of(self._folder / "queries.parquet", self._sizes.queries, drawn_photos(64, size=THUMB))
        rates, cpu, faults = [], [], 0.0
        with progress("bench query: endpoint", self._sizes.rounds, live=False) as advance, serving(cores[:1]) as port:
            for _ in range(self._sizes.rounds):
                with self.run_folder() as folder:
                    shutil.copy(table, folder / "records.parquet")
                    told = asked(port, folder, cores[1:2])
                rates.append(told["queries"] / told["wall_s"])
                cpu.append(told["cpu_s"] / told["queries"] * 1e6)
                faults += told["faults"]
                advance()
        note = f"opening, canary and slow start included; pictures of {THUMB[0]} x {THUMB[1]}; {faults:.0f} refused"
        return {
            "endpoint": Found(spread(np.array(rates) / ideal), note),
            "queries": Found(spread(rates)),
            "endpoint-cpu": Found(spread(cpu)),
        }

    def overhead(self) -> Mapping[str, Found]:
        """A free engine; a tenth of the records."""
        count = max(1, self._sizes.records // 10)
        wall, cpu = [], []
        with progress("bench query: overhead", self._sizes.rounds, live=False) as advance:
            for _ in range(self._sizes.rounds):
                with self.run_folder() as folder:
                    table_of(folder / "records.parquet", count + TABLE)
                    told = _free(folder, count)
                wall.append(told["wall_s"] / count * 1e6)
                cpu.append(told["cpu_s"] / count * 1e6)
                advance()
        note = f"{count:,} records; reading the table and making its digest included"
        return {"overhead": Found(spread(wall), note), "overhead-cpu": Found(spread(cpu))}

    def million(self) -> Mapping[str, Found]:
        """One long run and one of a tenth of it; then the long one goes on, again and again."""
        count = self._sizes.records
        whole = count >= 1_000_000
        note = "" if whole else f"{count:,} records in place of 1,000,000"
        with progress("bench query: long runs", self._sizes.rounds + 2, live=False) as advance:
            peaks = []
            with ExitStack() as stack:
                for rows in (max(1, count // 10), count):
                    folder = stack.enter_context(self.run_folder())
                    table_of(folder / "records.parquet", rows + TABLE)
                    peaks.append(_free(folder, rows)["peak_mb"])
                    advance()
                begun = []
                for _ in range(self._sizes.rounds):
                    begun.append(_first_question(folder))
                    advance()
        small, large = peaks
        return {
            "memory": Found(spread([large / small]), note, whole),
            "memory-peak": Found(spread([large]), note, whole),
            "resume": Found(
                spread([each["wall_s"] for each in begun]),
                "; ".join(
                    part for part in ("a fresh interpreter, its imports included; the engine is free", note) if part
                ),
                whole,
            ),
            "resume-cpu": Found(spread([each["cpu_s"] for each in begun]), note),
        }


class _Ways:
    """Three ways to caption the same pictures; each call does all of them."""

    def __init__(self, bench: _Bench, stack: ExitStack, records: list[Record], model: Model) -> None:
        import torch

        from m4i_fast.bench.answering import answer_all
        from m4i_fast.engines import open_captioner
        from m4i_fast.nets.checkpoint import load_captioner

        cores = len(cores_here())
        self._bench, self._records, self._answer_all, self._cores = bench, records, answer_all, cores
        self._captioner = stack.enter_context(open_captioner(model.engine))
        self._bare = _bare_session(model.engine, cores)
        self._net = load_captioner(model.checkpoint)
        self._torch = torch
        torch.set_num_threads(cores)
        self._batches = self._decoded()
        self.said: list[str] = []

    def _decoded(self) -> list[npt.NDArray[np.uint8]]:
        from PIL import Image

        size = self._captioner.image_size
        batches = []
        for start in range(0, len(self._records), BATCH):
            some = self._records[start : start + BATCH]
            pixels = np.zeros((len(some), size, size, 3), np.uint8)
            for row, record in enumerate(some):
                picture = Image.open(record.image).convert("RGB")
                pixels[row] = np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS))
            batches.append(pixels)
        return batches

    def bare(self) -> None:
        """Nothing but ``session.run``."""
        for pixels in self._batches:
            self._bare.run(None, {"pixels": pixels})

    def whole(self) -> None:
        """Files to parts, in a run folder of its own."""
        with self._bench.run_folder() as folder, open_run(folder) as run:
            self._answer_all(run, self._records, self._captioner, decode_threads=self._cores, batch=BATCH)
            self._folder_read(folder)

    def _folder_read(self, folder: Path) -> None:
        if not self.said:
            from m4i_fast.tables import read_generations

            self.said = list(read_generations(sorted((folder / "generations").glob("*.parquet"))).texts)

    def script(self) -> list[str]:
        """As most would write it."""
        from PIL import Image

        torch, model, words = self._torch, self._net.model, self._net.vocabulary.words
        size, said = self._captioner.image_size, []
        with torch.no_grad():
            for start in range(0, len(self._records), BATCH):
                pictures = []
                for record in self._records[start : start + BATCH]:
                    picture = Image.open(record.image).convert("RGB")
                    picture = picture.resize((size, size), Image.Resampling.LANCZOS)
                    pictures.append(torch.from_numpy(np.array(picture)))
                found = model.greedy(torch.stack(pictures))
                for tokens, length in zip(found.tokens.tolist(), found.lengths.tolist(), strict=True):
                    said.append(" ".join(words[token] for token in tokens[:length]))
        return said

    def agreement(self) -> Agreement:
        """Whether the script says the same as the whole path."""
        some, self._records = self._records, self._records[: 2 * BATCH]
        self.whole()
        theirs = self.script()
        self._records = some
        differ = sum(ours != other for ours, other in zip(self.said, theirs, strict=True))
        return Agreement("plain-script", "captions, word for word", len(theirs), differ)


def _bare_session(engine: Path, threads: int) -> Any:
    """ONNX Runtime as it comes, but for the number of threads."""
    runtime = require("onnxruntime", why="running an ONNX engine")
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    return runtime.InferenceSession(str(engine), options, providers=["CPUExecutionProvider"])


def _raced(what: str, contenders: Sequence[Contender], rounds: int) -> Race:
    with progress(what, steps(contenders, rounds), live=False) as advance:
        return race(contenders, rounds=rounds, advance=advance)


def _free(folder: Path, stop: int) -> dict[str, float]:
    return _told(folder, str(stop), "answer")


def _first_question(folder: Path) -> dict[str, float]:
    begun = time.perf_counter()
    told = _told(folder, "0", "first")
    return told | {"wall_s": time.perf_counter() - begun}  # the program ends where it would ask


def _told(*given: object) -> dict[str, float]:
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "m4i_fast.bench.answering", *map(str, given)],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told
