"""An ONNX file, read once: hashed, checked for references to other files, and handed on as the very same bytes.

A graph may keep tensors in other files by name, and a runtime opens what the name says. So every tensor of the file is
looked at before a session exists: initializers, sparse ones, attributes, those of functions, training graphs and all
subgraphs. The walk follows the message types of protobuf itself and not a list of places, so that it cannot miss one.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from m4i_fast.errors import EngineError
from m4i_fast.extras import require

__all__ = ["GraphFile", "read_graph_file"]

_AGAIN = "Make it again with: m4i-fast export"
_SIMPLE = "Export the engine as one file, or with its weights beside it."


@dataclass(frozen=True, slots=True)
class GraphFile:
    """What was read.

    Attributes:
        path: where it lies.
        content: the file, byte for byte.
        sha256: hash of the content where it stands alone, else of the content and all external files.
        external: the external files, all inside the folder of ``path``, sorted.
    """

    path: Path
    content: bytes
    sha256: str
    external: tuple[Path, ...]


def read_graph_file(path: Path) -> GraphFile:
    """Read and check an ONNX file; nothing of it is executed.

    Raises:
        EngineError: missing, no regular file, empty, not ONNX, truncated, names a file outside its folder or one that
            is not there, or holds a machine-code blob of a provider.
        ExtraMissing: the onnx package is not installed.
    """
    content = _bytes_of(path)
    model = _parse(content, path)
    folder = path.parent.resolve()
    external = tuple(sorted({_inside(location, folder, path) for location in _external_locations(model, path)}))
    digest = hashlib.sha256(content)
    for file in external:
        with file.open("rb") as weights:
            digest.update(hashlib.file_digest(weights, "sha256").digest())
    return GraphFile(path, content, digest.hexdigest(), external)


def _bytes_of(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise EngineError("no such engine file", where=path, cure="Give the path of an .onnx file.") from None
    except (OSError, ValueError) as error:
        raise EngineError(f"cannot be read ({error})", where=path, cure="Give the path of an .onnx file.") from error
    if not stat.S_ISREG(mode):  # a FIFO would make us wait for ever
        raise EngineError("not a regular file", where=path, cure="Give the path of an .onnx file.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EngineError(f"cannot be read ({error.strerror})", where=path, cure="Check its permissions.") from error
    if not content:
        raise EngineError("the file is empty", where=path, cure=_AGAIN)
    return content


def _parse(content: bytes, path: Path) -> Any:
    onnx = require("onnx", why="opening an ONNX engine")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except Exception as error:  # protobuf's own, which has no typed name
        raise EngineError("not an ONNX file, or a truncated one", where=path, cure=_AGAIN) from error
    if not model.HasField("graph") or not model.graph.output:
        raise EngineError("not an ONNX file: it holds no graph with an output", where=path, cure=_AGAIN)
    return model


def _external_locations(model: Any, path: Path) -> Iterator[str]:
    pending = [model]
    while pending:
        message = pending.pop()
        kind = message.DESCRIPTOR.name
        if kind == "TensorProto":
            # Entries without the EXTERNAL mark are ignored by runtimes today; nothing honest writes them.
            entries = [(entry.key, entry.value) for entry in message.external_data]
            locations = [value for key, value in entries if key == "location"]
            if message.data_location == message.EXTERNAL and len(locations) != 1:
                raise EngineError(
                    f"tensor '{message.name}' is said to lie in another file, but not in which",
                    where=path,
                    cure=_SIMPLE,
                )
            yield from locations
            continue
        if kind == "NodeProto" and message.op_type == "EPContext":
            raise EngineError(
                "it holds machine code compiled for one provider (an EPContext node), which cannot be checked",
                where=path,
                cure="Use the graph that it was compiled from.",
            )
        for field, value in message.ListFields():
            if field.message_type is None or field.message_type.GetOptions().map_entry:
                continue
            pending.extend([value] if hasattr(value, "DESCRIPTOR") else value)


def _inside(location: str, folder: Path, path: Path) -> Path:
    try:
        named = Path(location)
        target = (folder / named).resolve()
        outside = named.is_absolute() or ".." in named.parts or not target.is_relative_to(folder)
        missing = not outside and not target.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # NUL in the name, a loop of links
        raise EngineError(
            f"its external data {location!r} cannot be read ({error})", where=path, cure=_SIMPLE
        ) from error
    if outside:
        raise EngineError(
            f"its external data {location!r} points outside the engine's folder",
            where=path,
            cure="Do not use an engine from a source that you do not trust. " + _SIMPLE,
        )
    if missing:
        raise EngineError(f"its external data {location!r} is not there", where=path, cure="Copy that file beside it.")
    return target
