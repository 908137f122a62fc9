"""KServe v2 over HTTP: Triton, MLServer. Tensors go as binary data where the server can, as JSON where it cannot."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote, unquote

import numpy as np

from m4i_fast.engines.endpoints.faults import Busy, Refused, clean, without_frames
from m4i_fast.engines.endpoints.identity import ModelIdentity
from m4i_fast.engines.endpoints.kserve_model import (
    NUMBERS,
    Decode,
    Model,
    Output,
    model_of,
    pack_bytes,
    replies_of,
    unpack_bytes,
)
from m4i_fast.engines.endpoints.questions import Generation, Picture, Reply, TensorNames
from m4i_fast.engines.endpoints.replies import json_of, malformed, refuse_error_body, word
from m4i_fast.engines.endpoints.transport import Answer, Transport, base64_encoder
from m4i_fast.errors import EndpointError

__all__ = ["KServeEndpoint", "open_kserve", "parameters_of", "split_path", "unlisted", "version_of"]

_LENGTH = "Inference-Header-Content-Length"


class KServeEndpoint:
    """Asks up to ``rows`` pictures a request. Made by ``open_kserve``."""

    def __init__(
        self,
        transport: Transport,
        path: str,
        identity: ModelIdentity,
        model: Model,
        generation: Generation,
        *,
        binary: bool,
        decode: Decode | None,
    ) -> None:
        self.identity = identity
        self.wants: Literal["file", "pixels"] = model.wants
        self.image_size = model.image_size
        self.rows = 1 if generation.temperature else model.rows  # a seed is of one request
        self.media_types = model.media_types
        self.alone = 0
        self._transport = transport
        self._path = path
        self._model = model
        self._generation = generation
        self._binary = binary
        self._encode = base64_encoder()
        self._decode = decode

    @without_frames
    async def ask(self, pictures: Sequence[Picture], *, request_id: str) -> list[Reply]:
        """One attempt at 1 to ``rows`` pictures; where the server refuses several, each is sent by itself.

        Raises:
            Busy, EndpointError: see ``Endpoint``.
        """
        try:
            body, headers = self._question(pictures, request_id)
            answer = await self._transport.post(self._path, body, headers)
            return self._replies(answer, len(pictures), request_id)
        except Refused as refused:
            if len(pictures) == 1:
                return [Reply("", error=refused.what)]
        # One bad picture must not cost its neighbours their answers.
        self.alone += len(pictures)
        return [
            (await self.ask([picture], request_id=f"{request_id}.{row}"))[0] for row, picture in enumerate(pictures)
        ]

    def _question(self, pictures: Sequence[Picture], request_id: str) -> tuple[bytes, dict[str, str]]:
        model = self._model
        tensors: list[bytes] = []
        inputs = [self._image(pictures, tensors)]
        if model.prompt is not None:
            prompts = [(self._generation.prompt or "").encode("utf-8", "replace")] * len(pictures)
            inputs.append(self._bytes(model.prompt.name, model.shape_of(model.prompt, len(pictures)), prompts, tensors))
        question: dict[str, Any] = {"id": request_id}
        parameters = parameters_of(self._generation, pictures[0].sample)
        if parameters:
            question["parameters"] = parameters
        question["inputs"] = inputs
        flags: dict[str, Any] = {"parameters": {"binary_data": True}} if self._binary else {}
        question["outputs"] = [{"name": name, **flags} for name in model.outputs]
        head = json.dumps(question, separators=(",", ":")).encode()
        if not self._binary:
            return head, {"Content-Type": "application/json"}
        return b"".join((head, *tensors)), {
            "Content-Type": "application/octet-stream",
            _LENGTH: str(len(head)),
        }

    def _image(self, pictures: Sequence[Picture], tensors: list[bytes]) -> dict[str, Any]:
        model = self._model
        shape = model.shape_of(model.image, len(pictures))
        if model.image_size is None:
            contents = [picture.content for picture in pictures]
            return self._bytes(model.image.name, shape, contents, tensors, picture=True)
        data = model.pixels_of(pictures)
        described = {"name": model.image.name, "shape": shape, "datatype": "UINT8"}
        if self._binary:
            tensors.append(data)
            return {**described, "parameters": {"binary_data_size": len(data)}}
        return {**described, "data": list(data)}

    def _bytes(
        self, name: str, shape: list[int], elements: list[bytes], tensors: list[bytes], *, picture: bool = False
    ) -> dict[str, Any]:
        described = {"name": name, "shape": shape, "datatype": "BYTES"}
        if self._binary:
            data = pack_bytes(elements)
            tensors.append(data)
            return {**described, "parameters": {"binary_data_size": len(data)}}
        if picture:  # JSON holds no bytes; the word is MLServer's
            encoded = [self._encode(each).decode() for each in elements]
            return {**described, "parameters": {"content_type": "base64"}, "data": encoded}
        return {**described, "parameters": {"content_type": "str"}, "data": [each.decode() for each in elements]}

    def _replies(self, answer: Answer, count: int, request_id: str) -> list[Reply]:
        key = self._transport.key
        head, tensors = _parted(answer)
        content = json_of(head)
        refuse_error_body(content, where=self.identity.url, key=key)
        try:
            answered, listed = content.get("id"), content["outputs"]
            outputs = _outputs(listed, tensors)
            model, version = word(content.get("model_name")), version_of(content.get("model_version"))
        except (LookupError, TypeError, AttributeError, ValueError, OverflowError):
            raise malformed("it holds no outputs that can be read") from None
        if isinstance(answered, str) and answered not in {"", request_id}:
            raise malformed("it answers another question")
        about = {"model": model and clean(model, key), "version": version and clean(version, key)}
        return replies_of(self._model, outputs, count, about, key, self._decode)


async def open_kserve(
    transport: Transport,
    *,
    model: str | None,
    generation: Generation,
    names: TensorNames,
    rows: int,
    image_size: int | None,
    decode: Decode | None,
) -> KServeEndpoint:
    """Ask whether the server is ready, what it can, and what the model takes and gives.

    Raises:
        Busy: it cannot be reached or is not ready now.
        EndpointError: it is no such server, or the model cannot be asked for captions.
    """
    place = transport.place
    prefix, in_path, asked_version = split_path(place.path)
    try:
        await _ready(transport, prefix)
        server = json_of((await transport.get(f"{prefix}/v2")).body)
        name = model or in_path or await _only_model(transport, prefix)
        path = f"{prefix}/v2/models/{quote(name, safe='')}"
        path += f"/versions/{quote(asked_version, safe='')}" if asked_version else ""
        metadata = json_of((await transport.get(path)).body)
    except Refused as refused:
        raise EndpointError(refused.what, where=place.shown, cure="Check the model's name.") from None
    except Busy as fault:
        if fault.status != 200:
            raise
        raise EndpointError(
            f"this is no KServe v2 server: {fault.what}", where=place.shown, cure="Check URL and protocol."
        ) from None
    if not isinstance(metadata, dict) or not isinstance(server, dict):
        raise EndpointError("this is no KServe v2 server", where=place.shown, cure="Check URL and protocol.")
    read = model_of(metadata, names, generation, rows=rows, image_size=image_size, where=place.shown, decode=decode)
    versions = metadata.get("versions")
    only = versions[0] if isinstance(versions, list) and len(versions) == 1 else None
    identity = ModelIdentity(
        "kserve", place.origin + prefix, name, asked_version or version_of(only), fingerprint=read.fingerprint
    )
    extensions = server.get("extensions")
    binary = isinstance(extensions, list) and "binary_tensor_data" in extensions
    return KServeEndpoint(transport, f"{path}/infer", identity, read, generation, binary=binary, decode=decode)


def split_path(path: str) -> tuple[str, str | None, str | None]:
    """A URL's path as what goes before ``/v2``, the model and its version, where it names them."""
    found = re.fullmatch(r"(.*?)(?:/v2(?:/models/([^/]+)(?:/versions/([^/]+))?(?:/infer)?)?)?", path)
    if found is None:
        return path, None, None
    model, version = (None if each is None else unquote(each) for each in found.groups()[1:])
    return found[1], model, version


def parameters_of(generation: Generation, sample: int) -> dict[str, Any]:
    """Parameters of a request: none for a greedy one without options, as many models refuse what they do not know."""
    fields: dict[str, Any] = {}
    if generation.temperature:
        fields = {"temperature": generation.temperature, "top_p": generation.top_p, "max_tokens": generation.max_tokens}
        fields["seed"] = None if generation.seed is None else generation.seed + sample
    fields |= generation.options
    return {name: value for name, value in fields.items() if value is not None}


def version_of(value: Any) -> str | None:
    """A model's version as text; servers leave it empty where they have none."""
    return word(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else None


async def _ready(transport: Transport, prefix: str) -> None:
    try:
        await transport.get(f"{prefix}/v2/health/ready")
    except Refused:  # Triton's word while it loads its models
        not_ready = Busy("the server is not ready")
    else:
        return
    raise not_ready


async def _only_model(transport: Transport, prefix: str) -> str:
    headers = {"Content-Type": "application/json"}
    try:
        content = json_of((await transport.post(f"{prefix}/v2/repository/index", b'{"ready":true}', headers)).body)
    except (EndpointError, Refused) as error:
        raise unlisted(error.what, transport.place.shown) from None
    entries = content if isinstance(content, list) else []
    names = sorted({str(word(each.get("name"))) for each in entries if isinstance(each, dict) and each.get("name")})
    if len(names) != 1:
        raise EndpointError(
            f"the server has {len(names)} models ({', '.join(names[:10]) or 'none'})",
            where=transport.place.shown,
            cure="Say which one with --model.",
        )
    return names[0]


def unlisted(what: str, where: str) -> EndpointError:
    """Of a server that does not list its models: many lack that part of the protocol, or keep it for themselves."""
    return EndpointError(f"the server does not list its models: {what}", where=where, cure="Name one with --model.")


def _parted(answer: Answer) -> tuple[bytes, memoryview]:
    """The JSON of an answer and the binary data after it."""
    said = answer.headers.get(_LENGTH.lower())
    if said is None:
        return answer.body, memoryview(b"")
    if not re.fullmatch(r"[0-9]{1,12}", said) or int(said) > len(answer.body):
        raise malformed(f"its {_LENGTH} is not within the body")
    return answer.body[: int(said)], memoryview(answer.body)[int(said) :]


def _outputs(listed: Any, tensors: memoryview) -> dict[str, Output]:
    found: dict[str, Output] = {}
    position = 0
    for each in listed:
        name, datatype, shape = str(each["name"]), str(each["datatype"]), tuple(int(axis) for axis in each["shape"])
        parameters = each.get("parameters") or {}
        size = parameters.get("binary_data_size")
        if size is None:
            found[name] = Output(datatype, shape, _from_json(datatype, each["data"], parameters))
            continue
        if not isinstance(size, int) or not 0 <= size <= len(tensors) - position:
            raise malformed(f"output '{name}' ends beyond the body")
        data = tensors[position : position + size]
        position += size
        if datatype == "BYTES":
            found[name] = Output(datatype, shape, unpack_bytes(data))
        elif datatype in NUMBERS:
            found[name] = Output(datatype, shape, np.frombuffer(data, NUMBERS[datatype]))
    if position != len(tensors):
        raise malformed(f"{len(tensors) - position} bytes of the body belong to no output")
    return found


def _from_json(datatype: str, data: Any, parameters: Mapping[str, Any]) -> Any:
    while isinstance(data, list) and data and isinstance(data[0], list):  # nested by axis, or flat
        data = [each for row in data for each in row]
    if not isinstance(data, list):
        raise TypeError
    if datatype != "BYTES":
        return np.array(data, NUMBERS.get(datatype, "<f8"))
    if parameters.get("content_type") == "base64":
        return [base64.b64decode(each, validate=True) for each in data]
    return [clean(each, None).encode() for each in data]
