"""The two towers over a run: every picture and every generated caption becomes a vector."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from m4i_fast.engines import open_image_encoder, open_text_encoder
from m4i_fast.engines.metadata import EngineMetadata
from m4i_fast.engines.protocol import ImageEncoder, TextEncoder
from m4i_fast.errors import DataError, RunError
from m4i_fast.progress import progress
from m4i_fast.query.asks import PLAIN
from m4i_fast.query.feeding import feeding
from m4i_fast.query.local import Clock
from m4i_fast.query.parts import FOLDER, part_paths
from m4i_fast.query.pictures import Wanted
from m4i_fast.query.runner import batch_size, usable_cores
from m4i_fast.query.stopping import stopping_cleanly
from m4i_fast.runs import Run
from m4i_fast.tables import read_generations, read_records, write_embeddings
from m4i_fast.types import Embeddings, Generations, Record

__all__ = ["EncodeReport", "encode"]


@dataclass(frozen=True, slots=True)
class EncodeReport:
    """What an encoding did.

    Attributes:
        rows: rows of each of the two tables, one a record.
        image_errors: rows of NaN among the pictures.
        text_errors: rows of NaN among the texts (no caption, or no finite vector).
        image_dim: length of a picture's vector.
        text_dim: length of a text's vector.
        decode_s: seconds the decoding thread worked; overlaps with ``infer_s``.
        infer_s: seconds in the two engines.
        wall_s: seconds in all.
    """

    rows: int
    image_errors: int
    text_errors: int
    image_dim: int
    text_dim: int
    decode_s: float
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
    allow_fallback: bool = False,
) -> EncodeReport:
    """Encode the pictures of a run and the captions generated for them.

    Reads ``records.parquet`` and ``generations/``; writes ``embeddings/image.parquet`` and ``embeddings/text.parquet``,
    each whole or not at all, in the order of the records. A picture that cannot be read and a caption that is not
    there are NaN throughout.

    Args:
        run: the open run.
        image_encoder_path: the image tower.
        text_encoder_path: the text tower.
        batch: rows at a time; "auto": 32 on the CPU, 128 on a GPU.
        provider: cpu, cuda or tensorrt.
        threads: of the engines; 0: one a usable core.
        decode_threads: that decode pictures; 0: one a usable core.
        allow_fallback: see ``open_captioner``.

    Raises:
        RunError: records or generations are missing, or not all records were asked about.
        EngineError: an engine cannot be used as asked.
        RunFailed: an engine failed on the way.
    """
    started = time.perf_counter()
    size = batch_size(batch, provider)
    made_by = f"m4i-fast query DATA --engine ENGINE --out {run.root}"
    records = read_records(run.need("records.parquet", made_by=made_by))
    generations = _generations(run, records, made_by)
    clock = Clock()
    asked: dict[str, Any] = {"provider": provider, "threads": threads, "allow_fallback": allow_fallback}
    with (
        stopping_cleanly(),
        # Both are opened before either works, so that a wrong second path costs no minutes.
        open_image_encoder(image_encoder_path, **asked) as image_tower,
        open_text_encoder(text_encoder_path, **asked) as text_tower,
    ):
        images = _images(records, image_tower, size, decode_threads, clock)
        texts = _texts(generations, text_tower, size, clock)
        recipes = [_recipe(each.metadata, each.sha256) for each in (image_tower, text_tower)]
    ids = tuple(record.id for record in records)
    for name, values, recipe in zip(("image", "text"), (images, texts), recipes, strict=True):
        write_embeddings(run.path(f"embeddings/{name}.parquet"), Embeddings(ids, values), recipe=recipe)
    return EncodeReport(
        rows=len(records),
        image_errors=int(np.isnan(images).any(axis=1).sum()),
        text_errors=int(np.isnan(texts).any(axis=1).sum()),
        image_dim=images.shape[1],
        text_dim=texts.shape[1],
        decode_s=clock.decode_s,
        infer_s=clock.infer_s,
        wall_s=time.perf_counter() - started,
    )


def _generations(run: Run, records: Sequence[Record], made_by: str) -> Generations:
    paths = part_paths(run)
    if not paths:
        raise RunError(f"'{FOLDER}' is missing in this run", where=run.root, cure=f"Run first: {made_by}")
    generations = read_generations(paths)
    if generations.ids != tuple(record.id for record in records):
        raise RunError(
            f"{len(generations.ids)} generations do not go with {len(records)} records: the query has not ended",
            where=run.path(FOLDER),
            cure=f"Finish it: {made_by}",
        )
    if not records:
        raise DataError("there is no record to encode", where=run.root, cure=f"Run first: {made_by}")
    return generations


def _images(
    records: Sequence[Record], tower: ImageEncoder, size: int, decode_threads: int, clock: Clock
) -> npt.NDArray[np.float32]:
    # A blank picture tells the length of the vectors, also where no picture can be read.
    dim = tower.encode(np.zeros((1, tower.image_size, tower.image_size, 3), np.uint8)).shape[1]
    values = np.full((len(records), dim), np.nan, np.float32)
    rows = [Wanted(row, record, PLAIN) for row, record in enumerate(records)]
    batches = (rows[start : start + size] for start in range(0, len(rows), size))
    with (
        progress("encode images", len(records)) as advance,
        feeding(batches, tower.image_size, threads=decode_threads or usable_cores()) as feed,
    ):
        begun, done = time.perf_counter(), 0
        for fed in feed:
            mark = time.perf_counter()
            good = np.flatnonzero([error is None for error in fed.images.errors])
            if len(good):
                values[fed.batch[0].question + good] = tower.encode(fed.images.pixels[good])
            clock.infer_s += time.perf_counter() - mark
            done += len(fed.batch)
            advance(len(fed.batch), f"{done / (time.perf_counter() - begun):.0f} images/s")
        clock.read_s, clock.decode_s, clock.wait_s = feed.read_s, feed.decode_s, feed.wait_s
    return values


def _texts(generations: Generations, tower: TextEncoder, size: int, clock: Clock) -> npt.NDArray[np.float32]:
    dim = tower.encode([""]).shape[1]
    values = np.full((len(generations.ids), dim), np.nan, np.float32)
    good = np.flatnonzero([error is None for error in generations.errors])
    with progress("encode captions", len(good)) as advance:
        for start in range(0, len(good), size):
            rows = good[start : start + size]
            mark = time.perf_counter()
            values[rows] = tower.encode([generations.texts[row] for row in rows.tolist()])
            clock.infer_s += time.perf_counter() - mark
            advance(len(rows))
    return values


def _recipe(metadata: EngineMetadata, sha256: str) -> str:
    return f"{metadata.kind}|name:{metadata.name}|sha256:{sha256}"
