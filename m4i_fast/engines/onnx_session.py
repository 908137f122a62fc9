"""One ONNX Runtime session: opened late, on the provider that was asked for, with checked inputs and outputs.

ONNX Runtime falls back to the CPU in silence, and lists providers that cannot start. So only what a made session says
of itself (``get_providers``) is believed.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from m4i_fast.engines.graph_file import GraphFile, read_graph_file
from m4i_fast.engines.metadata import KEY, EngineMetadata, Kind, from_json
from m4i_fast.engines.protocol import OutOfMemory
from m4i_fast.errors import EngineError, RunFailed
from m4i_fast.extras import require

__all__ = ["PROVIDERS", "Session", "open_session"]

PROVIDERS: dict[str, tuple[str, ...]] = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
}
"""What each provider asks of ONNX Runtime: the first must start, the others take what it cannot run."""


class Port(NamedTuple):
    """An input or output of a graph: its element type, number of axes, and whether it must be there."""

    type: str
    rank: int
    needed: bool = True


INPUTS: dict[Kind, dict[str, Port]] = {
    "captioner": {"pixels": Port("uint8", 4)},
    "image_encoder": {"pixels": Port("uint8", 4)},
    "text_encoder": {"tokens": Port("int32", 2)},
    "head": {"features": Port("float", 2)},
}
OUTPUTS: dict[Kind, dict[str, Port]] = {
    "captioner": {"tokens": Port("int32", 2), "lengths": Port("int32", 1), "log_probs": Port("float", 2, needed=False)},
    "image_encoder": {"features": Port("float", 2)},
    "text_encoder": {"features": Port("float", 2)},
    "head": {"scores": Port("float", 1)},
}
_DTYPES: dict[str, type[np.generic]] = {"uint8": np.uint8, "int32": np.int32, "float": np.float32}
# What allocators say: the runtime's arena, CUDA, cuBLAS, C++.
_NO_MEMORY = re.compile(
    r"out of memory|OUT_OF_MEMORY|failed to allocate|available memory|bad[ _]?alloc|ALLOC_FAILED", re.IGNORECASE
)
_EXPORT = "Export it again with: m4i-fast export"


class Session:
    """A running graph with one input. Made by ``open_session``.

    Attributes:
        path: the engine file.
        metadata: what it says of itself.
        sha256: hash of the file and its external weights.
        provider: cpu, cuda or tensorrt: what really runs it.
        outputs: names of the outputs that it has, in the order in which ``run`` gives them.
    """

    def __init__(self, session: Any, file: GraphFile, metadata: EngineMetadata, provider: str) -> None:
        self._session: Any | None = session
        self.path = file.path
        self.sha256 = file.sha256
        self.metadata = metadata
        self.provider = provider
        ((self._input, port),) = INPUTS[metadata.kind].items()
        self._dtype = _DTYPES[port.type]
        (shape,) = [each.shape for each in session.get_inputs()]
        self._fixed_batch = shape[0] if isinstance(shape[0], int) else None
        present = {each.name for each in session.get_outputs()}
        self.outputs = tuple(name for name in OUTPUTS[metadata.kind] if name in present)

    def run(self, value: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
        """Feed N rows, give each output as [N, ...]; N >= 1.

        Raises:
            EngineError: an output has another type or shape than it must have.
            RunFailed: ONNX Runtime failed, or the session is closed.
        """
        value = np.ascontiguousarray(value, self._dtype)
        if self._fixed_batch is None or len(value) == self._fixed_batch:
            return self._run(value)
        size = self._fixed_batch
        parts = []
        for start in range(0, len(value), size):
            part = value[start : start + size]
            padded = np.zeros((size, *value.shape[1:]), self._dtype)
            padded[: len(part)] = part
            parts.append({name: output[: len(part)] for name, output in self._run(padded).items()})
        return {name: np.concatenate([part[name] for part in parts]) for name in self.outputs}

    def close(self) -> None:
        """Let the session and its memory go; a second call does nothing."""
        self._session = None

    def _run(self, value: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
        if self._session is None:
            raise RunFailed("the engine is closed already", where=self.path, cure="Use it inside its 'with' block.")
        try:
            found = self._session.run(list(self.outputs), {self._input: value})
        except Exception as error:  # ONNX Runtime's own exceptions share no base but Exception
            short = isinstance(error, MemoryError) or bool(_NO_MEMORY.search(str(error)))
            raise (OutOfMemory if short else RunFailed)(
                f"ONNX Runtime failed on a batch of {len(value)} ({_first_line(error)})",
                where=self.path,
                cure="Choose a smaller --batch, or free memory." if short else "Export the engine again.",
            ) from error
        outputs = dict(zip(self.outputs, found, strict=True))
        for name, output in outputs.items():
            port = OUTPUTS[self.metadata.kind][name]
            shape = list(getattr(output, "shape", []))
            if len(shape) != port.rank or shape[0] != len(value) or output.dtype != _DTYPES[port.type]:
                wanted = ", ".join([str(len(value)), "..."][: port.rank])
                raise EngineError(
                    f"output '{name}' came back as {getattr(output, 'dtype', '?')} {shape}, "
                    f"where {np.dtype(_DTYPES[port.type])} [{wanted}] was due",
                    where=self.path,
                    cure=_EXPORT,
                )
        return outputs


@contextmanager
def open_session(
    path: Path, kind: Kind, *, provider: str = "cpu", threads: int = 0, allow_fallback: bool = False
) -> Iterator[Session]:
    """Open an engine of one kind.

    Args:
        path: an ONNX file with metadata.
        kind: what it must be.
        provider: cpu, cuda or tensorrt.
        threads: threads inside one operator; 0: one a usable core.
        allow_fallback: go on, with a RuntimeWarning, where the provider does not start.

    Raises:
        EngineError: the file, its metadata, inputs or outputs are wrong, or the provider did not start.
        ExtraMissing: ONNX Runtime is not installed, or twice.
    """
    if provider not in PROVIDERS:
        raise EngineError(f"unknown provider '{provider}'", where="provider", cure=f"One of: {', '.join(PROVIDERS)}.")
    if threads < 0:
        raise EngineError(f"{threads} threads", where="threads", cure="Give 1 or more, or 0 for all cores.")
    runtime = require("onnxruntime", why="running an ONNX engine")
    file = read_graph_file(path)
    made, started = _make(runtime, file, provider, threads, allow_fallback=allow_fallback)
    metadata = from_json(made.get_modelmeta().custom_metadata_map.get(KEY), path, kind=kind)
    _check_ports(made, metadata, path)
    session = Session(made, file, metadata, started)
    del made  # the session holds the only reference, so that close() really frees it
    try:
        yield session
    finally:
        session.close()


def _make(runtime: Any, file: GraphFile, provider: str, threads: int, *, allow_fallback: bool) -> tuple[Any, str]:
    runtime.set_default_logger_severity(4)  # what went wrong comes back as an exception; the log only repeats it
    runtime.disable_telemetry_events()
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads or _usable_cores()
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    # The bytes that were checked are parsed as ONNX and as nothing else (the runtime also knows a format of its own).
    options.add_session_config_entry("session.load_model_format", "ONNX")
    if file.external:
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", str(file.path.parent.resolve())
        )
    wanted = [name for name in PROVIDERS[provider] if name in runtime.get_available_providers()]
    if wanted[:1] != [PROVIDERS[provider][0]] and not allow_fallback:
        raise EngineError(
            f"provider '{provider}' was asked for, and this build of ONNX Runtime does not have it",
            where=file.path,
            cure=f"{_repair(provider)} Or use --provider cpu.",
        )
    try:
        session = runtime.InferenceSession(file.content, options, providers=wanted, enable_fallback=0)
    except Exception as error:  # as in _run
        if provider != "cpu" and allow_fallback:
            warnings.warn(f"provider '{provider}' failed: {_first_line(error)}", RuntimeWarning, stacklevel=5)
            return _make(runtime, file, "cpu", threads, allow_fallback=False)
        if provider != "cpu" and _runs_on_cpu(runtime, file, options):
            raise EngineError(
                f"provider '{provider}' was asked for and did not start ({_first_line(error)})",
                where=file.path,
                cure=f"{_repair(provider)} Or use --provider cpu.",
            ) from error
        raise EngineError(
            f"ONNX Runtime does not accept it ({_first_line(error)})", where=file.path, cure=_EXPORT
        ) from error
    session.disable_fallback()
    started = next(name for name, chain in PROVIDERS.items() if chain[0] == session.get_providers()[0])
    if started != provider:
        if not allow_fallback:
            raise EngineError(
                f"provider '{provider}' was asked for and did not start: ONNX Runtime fell back to {started}",
                where=file.path,
                cure=f"{_repair(provider)} Or use --provider cpu.",
            )
        warnings.warn(
            f"provider '{provider}' did not start; {file.path} runs on {started}", RuntimeWarning, stacklevel=5
        )
    return session, started


def _runs_on_cpu(runtime: Any, file: GraphFile, options: Any) -> bool:
    # Tells a broken provider from a broken file, so that the cure is the right one.
    try:
        runtime.InferenceSession(file.content, options, providers=list(PROVIDERS["cpu"]), enable_fallback=0)
    except Exception:
        return False
    return True


def _check_ports(session: Any, metadata: EngineMetadata, path: Path) -> None:
    _check_side("input", session.get_inputs(), INPUTS[metadata.kind], path)
    _check_side("output", session.get_outputs(), OUTPUTS[metadata.kind], path)
    unknown = sorted({each.name for each in session.get_inputs()} - set(INPUTS[metadata.kind]))
    if unknown:
        raise EngineError(f"it wants an input '{unknown[0]}' that nobody can give it", where=path, cure=_EXPORT)
    (shape,) = [each.shape for each in session.get_inputs()]
    expected: dict[Kind, list[int | None]] = {
        "captioner": [metadata.image_size, metadata.image_size, 3],
        "image_encoder": [metadata.image_size, metadata.image_size, 3],
        "text_encoder": [metadata.max_tokens],
        "head": [len(metadata.features or ())],
    }
    due = expected[metadata.kind]
    if any(isinstance(axis, int) and axis != value for axis, value in zip(shape[1:], due, strict=True)):
        name = session.get_inputs()[0].name
        raise EngineError(
            f"input '{name}' takes {list(shape)[1:]} a row, and its metadata says {due}", where=path, cure=_EXPORT
        )


def _check_side(side: str, found: Any, wanted: Mapping[str, Port], path: Path) -> None:
    ports = {each.name: each for each in found}
    for name, port in wanted.items():
        if name not in ports:
            if not port.needed:
                continue
            there = ", ".join(f"'{each}'" for each in ports) or "none"
            raise EngineError(f"{side} '{name}' is missing; there is {there}", where=path, cure=_EXPORT)
        actual, shape = ports[name].type, ports[name].shape
        if actual != f"tensor({port.type})":
            raise EngineError(f"{side} '{name}' is {actual}, and must be tensor({port.type})", where=path, cure=_EXPORT)
        # An output may have no declared shape (loops lose it); what comes back is checked at each run.
        if len(shape) != port.rank and (side == "input" or shape):
            raise EngineError(
                f"{side} '{name}' has {len(shape)} axes, and must have {port.rank}", where=path, cure=_EXPORT
            )


def _usable_cores() -> int:
    # The runtime's own default counts the machine's cores, also where this process may use a few of them only.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _repair(provider: str) -> str:
    if provider == "cpu":
        return "Run: pip install -c constraints.txt '.[cpu]'"
    need = "an NVIDIA GPU with its driver" + (" and TensorRT 10" if provider == "tensorrt" else "")
    return (
        f"It needs {need}; run: pip uninstall -y onnxruntime onnxruntime-gpu && "
        "pip install -c constraints.txt '.[gpu]' (m4i-fast doctor shows what starts)."
    )


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return text if len(text) <= 300 else text[:300] + " ..."
