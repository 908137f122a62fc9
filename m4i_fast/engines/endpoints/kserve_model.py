"""What a KServe v2 model takes and gives, by its own metadata, and its tensors as answers. Over HTTP and gRPC alike."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from m4i_fast.engines.endpoints.faults import clean
from m4i_fast.engines.endpoints.questions import FILES, Generation, Picture, Reply, TensorNames
from m4i_fast.engines.endpoints.replies import NOT_FINITE, malformed
from m4i_fast.engines.endpoints.secrets import Secret
from m4i_fast.engines.protocol import MODEL_GAVE
from m4i_fast.errors import EndpointError

__all__ = ["NUMBERS", "Decode", "Model", "Output", "Tensor", "model_of", "pack_bytes", "replies_of", "unpack_bytes"]

Decode = Callable[[npt.NDArray[np.int32], npt.NDArray[np.int32]], Sequence[str]]
"""Tokens int32 [N, T] and lengths int32 [N] to N texts, as ``Vocabulary.decode``; raises for an unknown token."""

NUMBERS = {"UINT8": "<u1", "INT32": "<i4", "INT64": "<i8", "FP32": "<f4", "FP64": "<f8"}

MOST_TOKENS = 65_536


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output as the metadata names it; -1 in ``shape`` is any length."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.datatype} {list(self.shape)}"


@dataclass(frozen=True, slots=True)
class Output:
    """An output as it came. ``values``: bytes for BYTES, else a numpy array, flat."""

    datatype: str
    shape: tuple[int, ...]
    values: list[bytes] | npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Model:
    """How to ask a model.

    Attributes:
        image: the input for pictures: UINT8 pixels, or BYTES with files.
        prompt: the input for the prompt, or None.
        outputs: names to ask for; the text, or tokens and lengths, and log_probs where there are any.
        text: the output with text, or None where it is tokens.
        image_size: height and width of the pixels; None where files are sent.
        rows: pictures a request.
        fingerprint: hash of the metadata, but for the versions.
    """

    image: Tensor
    prompt: Tensor | None
    outputs: tuple[str, ...]
    text: str | None
    image_size: int | None
    rows: int
    fingerprint: str

    @property
    def wants(self) -> Literal["file", "pixels"]:
        """What a picture must hold."""
        return "file" if self.image_size is None else "pixels"

    @property
    def media_types(self) -> frozenset[str]:
        """Files that may be sent as they are."""
        return FILES if self.image_size is None else frozenset()

    def shape_of(self, tensor: Tensor, count: int) -> list[int]:
        """The shape of an input with ``count`` pictures or prompts."""
        if tensor is self.image and self.image_size is not None:
            pixels = [self.image_size, self.image_size, 3]
            return [count, *pixels] if len(tensor.shape) == 4 else pixels
        return [count] + [1] * (len(tensor.shape) - 1)

    def pixels_of(self, pictures: Sequence[Picture]) -> bytes:
        """The pictures' pixels, one after the other."""
        return b"".join(np.ascontiguousarray(_pixels(picture, self.image_size)).data for picture in pictures)


def model_of(
    metadata: Mapping[str, Any],
    names: TensorNames,
    generation: Generation,
    *,
    rows: int,
    image_size: int | None,
    where: str,
    decode: Decode | None,
) -> Model:
    """Read a model's metadata.

    Args:
        metadata: ``inputs`` and ``outputs``, each with name, datatype and shape; ``platform``.
        names: what is meant where there is a choice.
        generation: its prompt needs an input.
        rows: pictures a request where the first axis is free.
        image_size: of the pixels where the model takes any.
        where: for errors.
        decode: makes text of tokens.

    Raises:
        EndpointError: the model cannot be asked for captions; lists what it takes and gives.
    """
    inputs, outputs = (_tensors(metadata.get(kind), where) for kind in ("inputs", "outputs"))
    image = _image(inputs, names, where)
    prompt = _prompt([each for each in inputs if each is not image], names, generation, where)
    text = _text(outputs, names, where)
    found = {each.name: each for each in outputs}
    wanted: tuple[str, ...] = () if text is None else (text,)
    if {"tokens", "lengths"} <= found.keys():
        wanted += ("tokens", "lengths", *(["log_probs"] if "log_probs" in found else []))
    if text is None and decode is None:
        raise EndpointError(
            f"the model gives tokens and no text, and nothing here knows its vocabulary ({_listed(outputs)})",
            where=where,
            cure="Serve it with a BYTES output that holds the caption.",
        )
    size = _size(image, image_size, where) if image.datatype == "UINT8" else None
    free = image.shape[0] == -1 and (size is None or len(image.shape) == 4)
    said = {kind: metadata.get(kind) for kind in ("inputs", "outputs", "platform")}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode("utf-8", "surrogatepass")).hexdigest()
    return Model(image, prompt, wanted, text, size, max(rows, 1) if free else 1, digest[:16])


def pack_bytes(elements: Sequence[bytes]) -> bytes:
    """BYTES elements as binary data: each with its length before it, 4 bytes, little-endian."""
    return b"".join(piece for element in elements for piece in (struct.pack("<I", len(element)), element))


def unpack_bytes(data: bytes | memoryview) -> list[bytes]:
    """The elements of binary BYTES data.

    Raises:
        Busy: a length points beyond the end.
    """
    found = []
    position = 0
    while position < len(data):
        if position + 4 > len(data):
            raise malformed("a BYTES tensor ends within a length")
        (length,) = struct.unpack_from("<I", data, position)
        position += 4
        if position + length > len(data):
            raise malformed("a BYTES tensor ends within an element")
        found.append(bytes(data[position : position + length]))
        position += length
    return found


def replies_of(
    model: Model, outputs: Mapping[str, Output], count: int, about: Mapping[str, Any], key: Secret | None, decode: Any
) -> list[Reply]:
    """One reply a picture, in order.

    Raises:
        Busy: an output is missing, or its count or shape is not that of the question.
    """
    missing = [name for name in model.outputs if name not in outputs]
    if missing:
        raise malformed(f"output '{missing[0]}' is missing")
    texts: list[str] | None = None
    errors: list[str | None] = [None] * count
    if model.text is not None:
        values = outputs[model.text].values
        if not isinstance(values, list) or len(values) != count:
            raise malformed(f"{len(values)} texts for {count} pictures")
        texts = [value.decode("utf-8", "replace") for value in values]
    tokens: list[tuple[int, ...]] = [()] * count
    rates: list[tuple[float, ...] | None] = [None] * count
    if "tokens" in model.outputs:
        numbers, lengths, log_probs = _token_outputs(outputs, count)
        for row in range(count):
            length = int(lengths[row])
            if not 0 <= length <= numbers.shape[1]:
                errors[row] = f"{MODEL_GAVE} length {length}, outside 0..{numbers.shape[1]}"
                continue
            tokens[row] = tuple(numbers[row, :length].tolist())
            if log_probs is not None:
                rates[row] = tuple(log_probs[row, :length].tolist())
                if not np.isfinite(log_probs[row, :length]).all():
                    errors[row], rates[row] = NOT_FINITE, None
        if texts is None:
            texts = [_decoded(decode, numbers, lengths, row, errors) for row in range(count)]
    return [
        Reply(
            "" if error is not None else clean(text, key),
            error=error,
            tokens=() if error is not None else tokens[row],
            log_probs=rates[row],
            **about,
        )
        for row, (text, error) in enumerate(zip(texts or [], errors, strict=True))
    ]


def _decoded(decode: Decode, numbers: Any, lengths: Any, row: int, errors: list[str | None]) -> str:
    if errors[row] is not None:
        return ""
    try:
        return decode(numbers[row : row + 1].astype(np.int32), lengths[row : row + 1].astype(np.int32))[0]
    except Exception:
        errors[row] = f"{MODEL_GAVE} a token outside its vocabulary"
        return ""


def _token_outputs(outputs: Mapping[str, Output], count: int) -> tuple[Any, Any, Any]:
    """Tokens [N, T], lengths [N] and log_probs [N, T] or None."""
    found: list[npt.NDArray[Any] | None] = []
    for name, axes in (("tokens", 2), ("lengths", 1), ("log_probs", 2)):
        output = outputs.get(name)
        if output is None and name == "log_probs":
            found.append(None)
            continue
        if output is None or isinstance(output.values, list) or len(output.values) % max(count, 1):
            raise malformed(f"output '{name}' is not numbers for {count} pictures")
        width = len(output.values) // count
        if (axes == 1 and width != 1) or width > MOST_TOKENS:
            raise malformed(f"output '{name}' has {width} values a picture")
        found.append(output.values.reshape((count, width)[:axes]))
    tokens, lengths, log_probs = found
    if log_probs is not None and tokens is not None and log_probs.shape != tokens.shape:
        raise malformed("outputs 'tokens' and 'log_probs' have different shapes")
    return tokens, lengths, log_probs


def _tensors(listed: Any, where: str) -> list[Tensor]:
    try:
        return [Tensor(str(each["name"]), str(each["datatype"]), tuple(map(int, each["shape"]))) for each in listed]
    except (TypeError, LookupError, ValueError):
        raise EndpointError(
            "the model's metadata does not say what it takes and gives", where=where, cure="Check URL and protocol."
        ) from None


def _image(inputs: Sequence[Tensor], names: TensorNames, where: str) -> Tensor:
    named = names.image_input
    fitting = [
        each
        for each in inputs
        if (each.name == named if named is not None else each.name != names.prompt_input)
        and (_is_pixels(each) or _is_list(each))
    ]
    if named is None and len(fitting) > 1:  # a prompt is BYTES too: what says that it is a picture goes first
        fitting = (
            [each for each in fitting if _is_pixels(each)]
            or [each for each in fitting if "image" in each.name.lower() or "picture" in each.name.lower()]
            or fitting
        )
    if len(fitting) != 1:
        raise EndpointError(
            f"{'no' if not fitting else 'more than one'} input fits a picture: the model takes {_listed(inputs)}",
            where=where,
            cure="It must be UINT8 [-1, S, S, 3] or BYTES [-1]; where there is a choice, name it with --image-input.",
        )
    return fitting[0]


def _prompt(others: Sequence[Tensor], names: TensorNames, generation: Generation, where: str) -> Tensor | None:
    fitting = [each for each in others if _is_list(each) and names.prompt_input in {None, each.name}]
    if generation.prompt is None and not others and names.prompt_input is None:
        return None
    if len(others) == 1 and len(fitting) == 1 and generation.prompt is not None:
        return fitting[0]
    if generation.prompt is None and len(others) == 1 and len(fitting) == 1:
        cure = f"Give what '{fitting[0].name}' is to hold with --prompt."
    else:
        cure = "It may take one BYTES input for a prompt beside the picture, and --prompt needs one."
    raise EndpointError(f"beside the picture the model takes {_listed(others)}", where=where, cure=cure)


def _text(outputs: Sequence[Tensor], names: TensorNames, where: str) -> str | None:
    """The output with the caption, or None where it gives tokens."""
    texts = [each for each in outputs if each.datatype == "BYTES" and names.text_output in {None, each.name}]
    if len(texts) == 1:
        return texts[0].name
    found = {each.name: each.datatype for each in outputs}
    integers = {"INT32", "INT64"}
    if not texts and names.text_output is None and {found.get("tokens"), found.get("lengths")} <= integers:
        return None
    raise EndpointError(
        f"{'no' if not texts else 'more than one'} output fits a caption: the model gives {_listed(outputs)}",
        where=where,
        cure="It must be BYTES [-1]; where there is a choice, name it with --text-output.",
    )


def _is_pixels(tensor: Tensor) -> bool:
    shape = tensor.shape
    return tensor.datatype == "UINT8" and len(shape) in {3, 4} and shape[-1] == 3 and shape[-2] == shape[-3]


def _is_list(tensor: Tensor) -> bool:
    return tensor.datatype == "BYTES" and (
        (len(tensor.shape) == 1 and tensor.shape[0] in {-1, 1})
        or (len(tensor.shape) == 2 and tensor.shape[0] in {-1, 1} and tensor.shape[1] in {-1, 1})
    )


def _size(image: Tensor, given: int | None, where: str) -> int:
    declared = image.shape[-2]
    if given is not None and declared not in {-1, given}:
        raise EndpointError(f"the model takes pictures of {declared} pixels", where=where, cure="Leave the size out.")
    if given is None and declared < 1:
        raise EndpointError(
            f"the model takes pictures of any size ({image})", where=where, cure="Give one with --image-size."
        )
    return given or declared


def _pixels(picture: Picture, size: int | None) -> npt.NDArray[np.uint8]:
    pixels = picture.pixels
    if pixels is None or pixels.dtype != np.uint8 or pixels.shape != (size, size, 3):
        raise ValueError(f"a picture of uint8 [{size}, {size}, 3] is wanted")
    return pixels


def _listed(tensors: Sequence[Tensor]) -> str:
    return ", ".join(map(str, tensors[:10])) or "nothing"
