"""The four kinds of engine on ONNX Runtime: arrays in, arrays out, bad rows marked and never hidden."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from m4i_fast.engines.metadata import EngineMetadata
from m4i_fast.engines.onnx_session import Session, open_session
from m4i_fast.engines.protocol import MODEL_GAVE
from m4i_fast.errors import DataError, EngineError
from m4i_fast.text.vocabulary import Vocabulary
from m4i_fast.types import Generations, ImageBatch

__all__ = [
    "OnnxCaptioner",
    "OnnxHead",
    "OnnxImageEncoder",
    "OnnxTextEncoder",
    "open_captioner",
    "open_head",
    "open_image_encoder",
    "open_text_encoder",
]

NOT_FINITE = f"{MODEL_GAVE} a log-probability that is not a number"


class _OnnxEngine:
    """What all four share."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def metadata(self) -> EngineMetadata:
        """What the engine says of itself."""
        return self._session.metadata

    @property
    def sha256(self) -> str:
        """Hash of the file and its external weights."""
        return self._session.sha256

    @property
    def provider(self) -> str:
        """What really runs it: cpu, cuda or tensorrt."""
        return self._session.provider

    def _vocabulary(self) -> Vocabulary:
        given = tuple(self.metadata.vocabulary or ())
        try:
            vocabulary = Vocabulary(given)
        except DataError as error:
            raise EngineError(f"its {error.what}", where=self._session.path, cure="Export it again.") from error
        if vocabulary.words != given:
            raise EngineError(
                "its vocabulary does not start with <pad>, <start>, <end>, <unk>",
                where=self._session.path,
                cure="Export it again with: m4i-fast export",
            )
        return vocabulary


class _TakesPixels(_OnnxEngine):
    @property
    def image_size(self) -> int:
        """Height and width of the pictures, in pixels."""
        return self.metadata.image_size or 0  # the metadata's check saw to it

    def _check_pixels(self, pixels: npt.NDArray[np.uint8]) -> None:
        size = self.image_size
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != (size, size, 3):
            raise DataError(
                f"pictures of {pixels.dtype} {list(pixels.shape)} do not fit an engine of uint8 [N, {size}, {size}, 3]",
                where=self._session.path,
                cure=f"Decode them at size {size}.",
            )


class OnnxCaptioner(_TakesPixels):
    """Pictures to captions. Made by ``open_captioner``."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._words = self._vocabulary()

    def generate(self, batch: ImageBatch) -> Generations:
        """Caption N pictures.

        Rows with an error are not sent to the model and keep their error. A row whose log-probabilities are not
        finite, or whose tokens or length are outside what the engine declares, gets an error and an empty text.

        Raises:
            DataError: the pictures have another size than ``image_size``.
            EngineError: an output has the wrong shape.
            RunFailed: the runtime failed.
        """
        self._check_pixels(batch.pixels)
        errors = list(batch.errors)
        good = np.flatnonzero([error is None for error in errors])
        found: dict[str, np.ndarray[Any, Any]] = {}
        width = 0
        if len(good):
            found = self._session.run(batch.pixels if len(good) == len(errors) else batch.pixels[good])
            width = self._width(found)
        tokens = np.zeros((len(errors), width), np.int32)
        lengths = np.zeros(len(errors), np.int32)
        log_probs = np.zeros((len(errors), width), np.float32) if "log_probs" in self._session.outputs else None
        if len(good):
            faults = self._faults(found)
            fine = np.array([fault is None for fault in faults])
            for row, fault in zip(good.tolist(), faults, strict=True):
                errors[row] = fault
            rows = good[fine]
            lengths[rows] = found["lengths"][fine]
            inside = np.arange(width) < lengths[rows, None]
            tokens[rows] = np.where(inside, found["tokens"][fine], 0)
            if log_probs is not None:
                log_probs[rows] = np.where(inside, found["log_probs"][fine], 0)
        texts = self._words.decode(tokens, lengths)
        return Generations(batch.ids, tuple(texts), tokens, lengths, log_probs, tuple(errors))

    def _width(self, found: dict[str, np.ndarray[Any, Any]]) -> int:
        width = int(found["tokens"].shape[1])
        if "log_probs" in found and found["log_probs"].shape[1] != width:
            raise EngineError(
                f"output 'log_probs' has {found['log_probs'].shape[1]} columns, and 'tokens' has {width}",
                where=self._session.path,
                cure="Export it again with: m4i-fast export",
            )
        longest = self.metadata.max_tokens
        if longest is not None and width > longest:
            raise EngineError(
                f"output 'tokens' has {width} columns, and its metadata says that no caption is longer than {longest}",
                where=self._session.path,
                cure="Export it again with: m4i-fast export",
            )
        return width

    def _faults(self, found: dict[str, np.ndarray[Any, Any]]) -> list[str | None]:
        """Why each row cannot be used, or None."""
        tokens, lengths = found["tokens"], found["lengths"]
        width, size = tokens.shape[1], len(self._words)
        inside = np.arange(width) < lengths[:, None]
        bad_length: npt.NDArray[np.bool_] = (lengths < 0) | (lengths > width)
        bad_token = np.any(inside & ((tokens < 0) | (tokens >= size)), axis=1)
        not_finite = np.zeros(len(lengths), bool)
        if "log_probs" in found:
            not_finite = np.any(inside & ~np.isfinite(found["log_probs"]), axis=1)
        faults: list[str | None] = [None] * len(lengths)
        for row in np.flatnonzero(bad_length | bad_token | not_finite).tolist():
            if bad_length[row]:
                faults[row] = f"{MODEL_GAVE} length {lengths[row]}, outside 0..{width}"
            elif bad_token[row]:
                faults[row] = f"{MODEL_GAVE} a token outside its vocabulary of {size}"
            else:
                faults[row] = NOT_FINITE
        return faults


class _Vectors(_OnnxEngine):
    def _vectors(self, value: np.ndarray[Any, Any]) -> npt.NDArray[np.float32]:
        """Features of N >= 1 rows: float32 [N, D], NaN throughout where one of them is not finite."""
        values = self._session.run(value)["features"].astype(np.float32, copy=True)
        dim = self.metadata.dim
        if dim is not None and values.shape[1] != dim:
            raise EngineError(
                f"output 'features' has {values.shape[1]} columns, and its metadata says {dim}",
                where=self._session.path,
                cure="Export it again with: m4i-fast export",
            )
        values[~np.isfinite(values).all(axis=1)] = np.nan
        return values

    def _none(self) -> npt.NDArray[np.float32]:
        return np.zeros((0, self.metadata.dim or 0), np.float32)


class OnnxImageEncoder(_TakesPixels, _Vectors):
    """Pictures to vectors. Made by ``open_image_encoder``."""

    def encode(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Uint8 [N, H, W, 3] to float32 [N, D]; a vector that is not finite becomes NaN throughout."""
        self._check_pixels(pixels)
        return self._vectors(pixels) if len(pixels) else self._none()


class OnnxTextEncoder(_Vectors):
    """Texts to vectors. Made by ``open_text_encoder``."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._words = self._vocabulary()

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """N texts to float32 [N, D]; a vector that is not finite becomes NaN throughout."""
        if not len(texts):
            return self._none()
        return self._vectors(self._words.encode(texts, self.metadata.max_tokens or 1))


class OnnxHead(_OnnxEngine):
    """Features to scores of membership. Made by ``open_head``."""

    def score(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Float64 [N, F] to float64 [N]; NaN where a feature (not sent to the model then) or the score is not finite.

        Raises:
            DataError: F is not the number of the head's features.
        """
        names = self.metadata.features or []
        values = np.asarray(values)
        if values.ndim != 2 or values.shape[1] != len(names):
            raise DataError(
                f"features {list(values.shape)} do not fit a head that takes [N, {len(names)}]: {', '.join(names)}",
                where=self._session.path,
                cure="Give it the features that it was fitted on.",
            )
        scores = np.full(len(values), np.nan)
        fine = np.all(np.abs(values) <= np.finfo(np.float32).max, axis=1)  # False for NaN too
        if fine.any():
            scores[fine] = self._session.run(values[fine].astype(np.float32))["scores"]
        scores[~np.isfinite(scores)] = np.nan
        return scores


@contextmanager
def open_captioner(
    path: Path, *, provider: str = "cpu", threads: int = 0, allow_fallback: bool = False
) -> Iterator[OnnxCaptioner]:
    """Open a captioner; arguments and errors as ``open_session``."""
    with open_session(path, "captioner", provider=provider, threads=threads, allow_fallback=allow_fallback) as session:
        yield OnnxCaptioner(session)


@contextmanager
def open_image_encoder(
    path: Path, *, provider: str = "cpu", threads: int = 0, allow_fallback: bool = False
) -> Iterator[OnnxImageEncoder]:
    """Open an image encoder; arguments and errors as ``open_session``."""
    with open_session(
        path, "image_encoder", provider=provider, threads=threads, allow_fallback=allow_fallback
    ) as session:
        yield OnnxImageEncoder(session)


@contextmanager
def open_text_encoder(
    path: Path, *, provider: str = "cpu", threads: int = 0, allow_fallback: bool = False
) -> Iterator[OnnxTextEncoder]:
    """Open a text encoder; arguments and errors as ``open_session``."""
    with open_session(
        path, "text_encoder", provider=provider, threads=threads, allow_fallback=allow_fallback
    ) as session:
        yield OnnxTextEncoder(session)


@contextmanager
def open_head(
    path: Path, *, provider: str = "cpu", threads: int = 0, allow_fallback: bool = False
) -> Iterator[OnnxHead]:
    """Open a fitted head; arguments and errors as ``open_session``."""
    with open_session(path, "head", provider=provider, threads=threads, allow_fallback=allow_fallback) as session:
        yield OnnxHead(session)
