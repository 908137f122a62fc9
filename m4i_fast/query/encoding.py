"""The two towers over a run: every picture and every generated caption becomes a vector.

A tower's vectors are written in parts, each whole or not at all; when all stand they become one file. A kill costs the
part that was at work, and memory does not depend on the number of records.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from m4i_fast.engines import open_image_encoder, open_text_encoder
from m4i_fast.engines.protocol import ImageEncoder, TextEncoder
from m4i_fast.errors import DataError, RunError
from m4i_fast.progress import progress
from m4i_fast.query.asks import PLAIN
from m4i_fast.query.feeding import feeding
from m4i_fast.query.local import Clock
from m4i_fast.query.memory import Pieces
from m4i_fast.query.parts import FOLDER, part_paths
from m4i_fast.query.pictures import Wanted
from m4i_fast.query.records import FIELDS, FiledRecords
from m4i_fast.query.runner import PART_ROWS, batch_size, usable_cores
from m4i_fast.query.stopping import stopping_cleanly
from m4i_fast.runs import Run
from m4i_fast.tables import join_embeddings, read_generations, read_metadata, write_embeddings
from m4i_fast.types import Embeddings, Record

__all__ = ["EncodeReport", "encode"]

PART = ".m4i-part-"
"""How the name of a part begins: no table of the run, and no leavings that the next process may sweep away."""


@dataclass(frozen=True, slots=True)
class EncodeReport:
    """What an encoding did.

    Attributes:
        rows: rows of each of the two tables, one a record.
        image_errors: rows of NaN among the pictures.
        text_errors: rows of NaN among the texts (no caption, or no finite vector).
        image_dim: length of a picture's vector.
        text_dim: length of a text's vector.
        kept: rows of the two tables whose part stood already.
        decode_s: seconds the decoding threads worked; overlaps with ``infer_s``.
        wait_s: seconds the towers waited for pictures.
        infer_s: seconds in the two engines.
        wall_s: seconds in all.
    """

    rows: int
    image_errors: int
    text_errors: int
    image_dim: int
    text_dim: int
    kept: int
    decode_s: float
    wait_s: float
    infer_s: float
    wall_s: float

    def facts(self) -> dict[str, Any]:
        """As JSON values, seconds rounded to milliseconds."""
        return {name: round(value, 3) if isinstance(value, float) else value for name, value in asdict(self).items()}


def encode(
    run: Run,
    image_encoder_path: Path | str,
    text_encoder_path: Path | str,
    *,
    batch: int | Literal["auto"] = 32,
    provider: str = "cpu",
    threads: int = 0,
    decode_threads: int = 0,
    part_rows: int = PART_ROWS,
    allow_fallback: bool = False,
) -> EncodeReport:
    """Encode the pictures of a run and the captions generated for them.

    Reads ``records.parquet`` and ``generations/``; writes ``embeddings/image.parquet`` and ``embeddings/text.parquet``,
    each whole or not at all, in the order of the records. A picture that cannot be read and a caption that is not
    there are NaN throughout. Killed, the same call goes on at the first part that is missing.

    Args:
        run: the open run.
        image_encoder_path: the image tower.
        text_encoder_path: the text tower.
        batch: rows at a time; "auto": 32 on the CPU, 128 on a GPU; fewer where memory runs out.
        provider: cpu, cuda or tensorrt.
        threads: of the engines; 0: one a usable core.
        decode_threads: that decode pictures; 0: one a usable core.
        part_rows: records a part.
        allow_fallback: see ``open_captioner``.

    Raises:
        RunError: records or generations are missing, or not all records were asked about.
        EngineError: an engine cannot be used as asked.
        RunFailed: an engine failed on the way.
    """
    started = time.perf_counter()
    size = batch_size(batch, provider)
    made_by = f"m4i-fast query DATA --engine ENGINE --out {run.root}"
    records = FiledRecords(run.need("records.parquet", made_by=made_by))
    paths = _asked(run, len(records), made_by)
    clock = Clock()
    how: dict[str, Any] = {"provider": provider, "threads": threads, "allow_fallback": allow_fallback}
    with (
        stopping_cleanly(),
        # Both are opened before either works, so that a wrong second path costs no minutes.
        open_image_encoder(image_encoder_path, **how) as image_tower,
        open_text_encoder(text_encoder_path, **how) as text_tower,
    ):
        images = _Table(run, "image", _recipe(image_tower), records, part_rows)
        _encode_images(images, image_tower, size, decode_threads or usable_cores(), clock)
        texts = _Table(run, "text", _recipe(text_tower), records, part_rows)
        _encode_texts(texts, text_tower, size, _said(paths, records, made_by), clock)
        for table in (images, texts):
            table.join()
    return EncodeReport(
        rows=len(records),
        image_errors=images.errors,
        text_errors=texts.errors,
        image_dim=images.dim,
        text_dim=texts.dim,
        kept=images.kept + texts.kept,
        decode_s=clock.decode_s,
        wait_s=clock.wait_s,
        infer_s=clock.infer_s,
        wall_s=time.perf_counter() - started,
    )


class _Table:
    """The vectors of one tower, in parts.

    Attributes:
        dim: their length. errors: rows of NaN. kept: rows that stood already.
    """

    def __init__(self, run: Run, name: str, recipe: str, records: FiledRecords, part_rows: int) -> None:
        self._run, self._name, self._recipe = run, name, recipe
        self.records, self.part_rows = records, part_rows
        self.dim = self.errors = self.kept = 0

    @property
    def starts(self) -> range:
        """First record of each part."""
        return range(0, len(self.records), self.part_rows)

    def stands(self, start: int, inputs: str) -> bool:
        """Whether a part is there and was made of these inputs; then its rows are counted."""
        try:
            rows, found = read_metadata(self._part(start))
        except DataError:
            return False
        if rows != min(self.part_rows, len(self.records) - start) or found.get("inputs") != self._digest(inputs):
            return False
        self.kept += rows
        self.errors += int(found["errors"])
        return True

    def write(self, start: int, inputs: str, ids: Sequence[str], values: npt.NDArray[np.float32]) -> None:
        """Write one part whole."""
        errors = int(np.isnan(values).any(axis=1).sum())
        write_embeddings(
            self._part(start),
            Embeddings(tuple(ids), values),
            recipe=self._recipe,
            metadata={"inputs": self._digest(inputs), "errors": str(errors)},
        )
        self.errors += errors

    def join(self) -> None:
        """Make one file of all parts, and remove them."""
        parts = [self._part(start) for start in self.starts]
        join_embeddings(self._run.path(f"embeddings/{self._name}.parquet"), parts, recipe=self._recipe)
        for part in self._run.path("embeddings").glob(f"{PART}{self._name}-*"):
            part.unlink()

    def _part(self, start: int) -> Path:
        return self._run.path(f"embeddings/{PART}{self._name}-{start // self.part_rows:05d}.parquet")

    def _digest(self, inputs: str) -> str:
        return hashlib.sha256(
            f"{self._recipe}\n{self.part_rows}\n{inputs}".encode("utf-8", "surrogatepass")
        ).hexdigest()


def _encode_images(table: _Table, tower: ImageEncoder, size: int, threads: int, clock: Clock) -> None:
    # A blank picture tells the length of the vectors, also where no picture can be read.
    table.dim = tower.encode(np.zeros((1, tower.image_size, tower.image_size, 3), np.uint8)).shape[1]
    pieces = Pieces()
    rows = len(table.records)
    with progress("encode images", rows) as advance:

        def missing() -> Iterator[list[Wanted]]:
            for start in table.starts:
                block = table.records.block(start, start + table.part_rows)
                if table.stands(start, _identity(block)):
                    advance(len(block))
                    continue
                for at in range(0, len(block), size):
                    yield [Wanted(start + at + row, each, PLAIN) for row, each in enumerate(block[at : at + size])]

        begun, done = time.perf_counter(), 0
        held: list[Record] = []
        vectors: list[npt.NDArray[np.float32]] = []
        with feeding(missing(), tower.image_size, threads=threads) as feed:
            for fed in feed:
                mark = time.perf_counter()
                values = np.full((len(fed.batch), table.dim), np.nan, np.float32)
                good = np.flatnonzero([error is None for error in fed.images.errors])
                if len(good):
                    values[good] = _encoded(tower, fed.images.pixels[good], pieces)
                clock.infer_s += time.perf_counter() - mark
                vectors.append(values)
                held += [wanted.record for wanted in fed.batch]
                start = fed.batch[0].question // table.part_rows * table.part_rows
                if len(held) == min(table.part_rows, rows - start):
                    table.write(start, _identity(held), [record.id for record in held], np.concatenate(vectors))
                    held, vectors = [], []
                done += len(fed.batch)
                advance(len(fed.batch), f"{done / (time.perf_counter() - begun):.0f} images/s")
            clock.read_s, clock.decode_s, clock.wait_s = feed.read_s, feed.decode_s, feed.wait_s


def _encode_texts(
    table: _Table, tower: TextEncoder, size: int, said: Callable[[int, int], list[str | None]], clock: Clock
) -> None:
    table.dim = tower.encode([""]).shape[1]
    pieces = Pieces()
    with progress("encode captions", len(table.records)) as advance:
        for start in table.starts:
            ids = [record.id for record in table.records.block(start, start + table.part_rows)]
            texts = said(start, len(ids))
            inputs = repr(list(zip(ids, texts, strict=True)))
            if not table.stands(start, inputs):
                mark = time.perf_counter()
                values = np.full((len(ids), table.dim), np.nan, np.float32)
                good = [row for row, text in enumerate(texts) if text is not None]
                for at in range(0, len(good), size):
                    rows = good[at : at + size]
                    some = [texts[row] or "" for row in rows]
                    values[rows] = _encoded(tower, some, pieces)
                clock.infer_s += time.perf_counter() - mark
                table.write(start, inputs, ids, values)
            advance(len(ids))


def _encoded(tower: Any, rows: Any, pieces: Pieces) -> npt.NDArray[np.float32]:
    def ask(cut: slice) -> npt.NDArray[np.float32]:
        vectors: npt.NDArray[np.float32] = tower.encode(rows[cut])
        return vectors

    return np.concatenate(pieces.each(len(rows), ask))


def _asked(run: Run, rows: int, made_by: str) -> list[Path]:
    """The files of the generations; they must have a row a record."""
    paths = part_paths(run)
    if not paths:
        raise RunError(f"'{FOLDER}' is missing in this run", where=run.root, cure=f"Run first: {made_by}")
    found = sum(read_metadata(path)[0] for path in paths)
    if found != rows:
        raise _not_ended(run.path(FOLDER), found, rows, made_by)
    return paths


def _said(paths: Sequence[Path], records: FiledRecords, made_by: str) -> Callable[[int, int], list[str | None]]:
    """Gives the captions of so many records from one on, None where there is none; asked in order, a file at a time."""
    files = iter(paths)
    waiting: list[str | None] = []

    def take(start: int, count: int) -> list[str | None]:
        while len(waiting) < count:
            path = next(files)
            part = read_generations([path])
            at = start + len(waiting)
            block = records.block(at, at + len(part.ids))
            if part.ids != tuple(record.id for record in block):
                raise _not_ended(path, len(part.ids), len(records), made_by)
            waiting.extend(
                None if error is not None else text for text, error in zip(part.texts, part.errors, strict=True)
            )
        taken, waiting[:count] = waiting[:count], []
        return taken

    return take


def _not_ended(where: Path, found: int, rows: int, made_by: str) -> RunError:
    return RunError(
        f"{found} generations do not go with {rows} records: the query has not ended",
        where=where,
        cure=f"Finish it: {made_by}",
    )


def _identity(block: Sequence[Record]) -> str:
    """What the vectors of some records depend on."""
    return repr([tuple(getattr(record, name) for name in FIELDS) for record in block])


def _recipe(tower: ImageEncoder | TextEncoder) -> str:
    return f"{tower.metadata.kind}|name:{tower.metadata.name}|sha256:{tower.sha256}"
