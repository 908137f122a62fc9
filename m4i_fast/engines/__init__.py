"""Engines: files that caption, encode or score, opened by what their name says they are.

Each is opened in a ``with`` block; nothing touches a device before it, and nothing holds one after it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m4i_fast.errors import EngineError

if TYPE_CHECKING:
    from m4i_fast.engines.protocol import Captioner, Head, ImageEncoder, TextEncoder

__all__ = ["open_captioner", "open_head", "open_image_encoder", "open_text_encoder"]


def open_captioner(
    path: Path | str, *, provider: str = "cpu", threads: int = 0, allow_fallback: bool = False
) -> AbstractContextManager[Captioner]:
    """Open a captioner.

    Args:
        path: an .onnx file made by ``m4i-fast export``.
        provider: cpu, cuda or tensorrt; what was asked for really runs, or an error says that it does not.
        threads: threads inside one operator; 0: one a usable core.
        allow_fallback: go on with a RuntimeWarning where the provider does not start.

    Raises:
        EngineError: the file cannot be used as asked. (At ``with``, as the errors of a missing extra.)
    """
    return _room(path).open_captioner(  # type: ignore[no-any-return]  # of a module that is chosen
        Path(path), provider=provider, threads=threads, allow_fallback=allow_fallback
    )


def open_image_encoder(
    path: Path | str, *, provider: str = "cpu", threads: int = 0, allow_fallback: bool = False
) -> AbstractContextManager[ImageEncoder]:
    """Open an image encoder; arguments and errors as ``open_captioner``."""
    return _room(path).open_image_encoder(  # type: ignore[no-any-return]  # of a module that is chosen
        Path(path), provider=provider, threads=threads, allow_fallback=allow_fallback
    )


def open_text_encoder(
    path: Path | str, *, provider: str = "cpu", threads: int = 0, allow_fallback: bool = False
) -> AbstractContextManager[TextEncoder]:
    """Open a text encoder; arguments and errors as ``open_captioner``."""
    return _room(path).open_text_encoder(  # type: ignore[no-any-return]  # of a module that is chosen
        Path(path), provider=provider, threads=threads, allow_fallback=allow_fallback
    )


def open_head(
    path: Path | str, *, provider: str = "cpu", threads: int = 0, allow_fallback: bool = False
) -> AbstractContextManager[Head]:
    """Open a fitted head; arguments and errors as ``open_captioner``."""
    return _room(path).open_head(  # type: ignore[no-any-return]  # of a module that is chosen
        Path(path), provider=provider, threads=threads, allow_fallback=allow_fallback
    )


def _room(path: Path | str) -> Any:
    """The module that runs this sort of engine."""
    name = str(path)
    if name.lower().startswith(("http:/", "https:/")):  # one slash: a Path has folded two into one
        raise EngineError(
            "this version cannot ask a captioner behind a URL yet", where=name, cure="Give the path of an .onnx file."
        )
    suffix = Path(name).suffix.lower()
    if suffix == ".plan":
        raise EngineError(
            "this build cannot run TensorRT plans yet (they also need NVIDIA's tensorrt package)",
            where=name,
            cure="Give the .onnx file that the plan was built from; --provider tensorrt runs it on TensorRT "
            "through onnxruntime-gpu.",
        )
    if suffix != ".onnx":
        raise EngineError(
            f"no engine is known by the ending '{suffix}'" if suffix else "this name has no ending",
            where=name,
            cure="Give the path of an .onnx file made by 'm4i-fast export'.",
        )
    from m4i_fast.engines import onnx

    return onnx
