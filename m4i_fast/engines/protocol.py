"""What an opened engine can do, whatever runs it. All arrays are new; none is a view of an engine's buffers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from m4i_fast.engines.metadata import EngineMetadata
from m4i_fast.errors import RunFailed
from m4i_fast.types import Generations, ImageBatch

__all__ = ["MODEL_GAVE", "Captioner", "Engine", "Head", "ImageEncoder", "OutOfMemory", "TextEncoder"]

MODEL_GAVE = "the model gave"
"""How the reason of a row begins whose picture was good and whose answer was not."""


class OutOfMemory(RunFailed):
    """A batch was too large for the memory; a smaller one may pass."""


@runtime_checkable
class Engine(Protocol):
    """What all engines tell about themselves.

    Attributes:
        metadata: what the file says of itself.
        sha256: hash of the file, and of the external weights that it names.
        provider: what really runs it: cpu, cuda or tensorrt.
    """

    @property
    def metadata(self) -> EngineMetadata:
        """What the file says of itself."""
        ...

    @property
    def sha256(self) -> str:
        """Hash of the file, and of the external weights that it names."""
        ...

    @property
    def provider(self) -> str:
        """What really runs it: cpu, cuda or tensorrt."""
        ...


@runtime_checkable
class Captioner(Engine, Protocol):
    """Pictures to captions. ``image_size``: height and width of its pictures in pixels."""

    @property
    def image_size(self) -> int:
        """Height and width of its pictures in pixels."""
        ...

    def generate(self, batch: ImageBatch) -> Generations:
        """Caption N pictures; a row with an error keeps it, and its pixels are not sent to the model."""
        ...


@runtime_checkable
class ImageEncoder(Engine, Protocol):
    """Pictures to vectors. ``image_size``: height and width of its pictures in pixels."""

    @property
    def image_size(self) -> int:
        """Height and width of its pictures in pixels."""
        ...

    def encode(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Uint8 [N, H, W, 3] to float32 [N, D]; a vector that is not finite becomes NaN throughout."""
        ...


@runtime_checkable
class TextEncoder(Engine, Protocol):
    """Texts to vectors."""

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """N texts to float32 [N, D]; a vector that is not finite becomes NaN throughout."""
        ...


@runtime_checkable
class Head(Engine, Protocol):
    """The features of an attack to a score of membership."""

    def score(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Float64 [N, F] to float64 [N], larger = more member-like; NaN where a feature or the score is not finite."""
        ...
