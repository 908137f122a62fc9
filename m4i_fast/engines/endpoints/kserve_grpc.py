"""KServe v2 over gRPC: the same questions as ``kserve``, as messages on one connection.

A channel would resolve names, follow proxies and retry by itself: it is given checked addresses instead, and told not
to.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from m4i_fast.engines.endpoints.addresses import Place, Resolver
from m4i_fast.engines.endpoints.faults import Busy, Refused, clean, excerpt, without_frames
from m4i_fast.engines.endpoints.identity import ModelIdentity
from m4i_fast.engines.endpoints.kserve import parameters_of, split_path, unlisted, version_of
from m4i_fast.engines.endpoints.kserve_messages import SERVICE, message
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
from m4i_fast.engines.endpoints.replies import malformed, word
from m4i_fast.engines.endpoints.secrets import Secret
from m4i_fast.engines.endpoints.transport import BODY_LIMIT, TOO_LATE
from m4i_fast.errors import EndpointError
from m4i_fast.extras import require

__all__ = ["Channel", "KServeGrpcEndpoint", "open_channel", "open_kserve_grpc"]

_ROW = frozenset({"INVALID_ARGUMENT", "OUT_OF_RANGE", "FAILED_PRECONDITION"})
_FAILED = frozenset({"INTERNAL", "UNKNOWN"})
"""What HTTP calls 500: Triton and MLServer say so of a picture that their model cannot read."""

_OVER = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED", "NOT_FOUND", "UNIMPLEMENTED"})
_CURES = {
    "UNAUTHENTICATED": "Give a valid key; the command goes on where it stopped.",
    "PERMISSION_DENIED": "Give a key that may use this model; the command goes on where it stopped.",
    "NOT_FOUND": "Check the model's name.",
    "UNIMPLEMENTED": "This is no KServe v2 server: check the URL and the protocol.",
}
_TLS = ("handshake", "certificate", "ssl")

_KEPT = "is restricted"
"""Triton's words, with UNAVAILABLE, about what its owner keeps for himself: it will not pass."""

_CONTENTS = {
    "BYTES": "bytes_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "UINT8": "uint_contents",
}


class Channel:
    """One connection to one place. Made by ``open_channel``."""

    def __init__(self, channel: Any, place: Place, key: Secret | None, timeout_s: float) -> None:
        import grpc
        from google.protobuf.message import DecodeError

        self.place = place
        self.key = key
        self._grpc = grpc
        self._decode_error = DecodeError
        self._channel = channel
        self._timeout_s = timeout_s
        self._metadata = () if key is None else (("authorization", f"Bearer {key.reveal()}"),)
        self._calls: dict[str, Any] = {}

    async def call(self, method: str, question: Any, request_id: str | None = None) -> Any:
        """One call.

        Raises:
            Busy, Refused, EndpointError: see ``faults``.
        """
        send = self._calls.get(method)
        if send is None:
            send = self._calls[method] = self._channel.unary_unary(
                f"/{SERVICE}/{method}",
                request_serializer=type(question).SerializeToString,
                response_deserializer=None,  # bytes: of a message that cannot be read it would make None
            )
        metadata = self._metadata if request_id is None else (*self._metadata, ("x-request-id", request_id))
        try:
            answer = await send(question, timeout=self._timeout_s, metadata=metadata)
            return message(f"{method}Response").FromString(answer)
        except self._grpc.aio.AioRpcError as error:
            fault = self._fault(error.code().name, error.details() or "")
        except self._decode_error:
            fault = malformed("it is no message that can be read")
        raise fault  # outside of the handler: the error holds the call, and the call holds the key

    def _fault(self, code: str, details: str) -> Exception:
        text = excerpt(details, self.key)
        what = f"the endpoint answered {code}" + (f" and said: {text}" if text else "")
        if code in _ROW:
            return Refused(f"the endpoint refused this picture with {code}" + (f" and said: {text}" if text else ""))
        if code in _OVER:
            return EndpointError(what, where=self.place.shown, cure=_CURES[code])
        if code == "UNAVAILABLE" and self.place.scheme == "https" and any(each in text.lower() for each in _TLS):
            return EndpointError(
                f"the endpoint's certificate or TLS is not in order ({text})",
                where=self.place.shown,
                cure="Check the URL. For a certificate of your own authority set SSL_CERT_FILE to its file.",
            )
        if code == "DEADLINE_EXCEEDED":
            return Busy(TOO_LATE, overload=True)
        return Busy(what, status=500 if code in _FAILED else None, overload=code == "RESOURCE_EXHAUSTED")


class KServeGrpcEndpoint:
    """Asks up to ``rows`` pictures a request. Made by ``open_kserve_grpc``."""

    def __init__(
        self, channel: Channel, identity: ModelIdentity, model: Model, generation: Generation, decode: Decode | None
    ) -> None:
        self.identity = identity
        self.wants: Literal["file", "pixels"] = model.wants
        self.image_size = model.image_size
        self.rows = 1 if generation.temperature else model.rows  # a seed is of one request
        self.media_types = model.media_types
        self.alone = 0
        self._channel = channel
        self._model = model
        self._generation = generation
        self._decode = decode
        self._version = split_path(channel.place.path)[2] or ""

    @without_frames
    async def ask(self, pictures: Sequence[Picture], *, request_id: str) -> list[Reply]:
        """One attempt at 1 to ``rows`` pictures; where the server refuses several, each is sent by itself.

        Raises:
            Busy, EndpointError: see ``Endpoint``.
        """
        try:
            answer = await self._channel.call("ModelInfer", self._question(pictures, request_id), request_id)
            return self._replies(answer, len(pictures), request_id)
        except Refused as refused:
            if len(pictures) == 1:
                return [Reply("", error=refused.what)]
        # One bad picture must not cost its neighbours their answers.
        self.alone += len(pictures)
        return [
            (await self.ask([picture], request_id=f"{request_id}.{row}"))[0] for row, picture in enumerate(pictures)
        ]

    def _question(self, pictures: Sequence[Picture], request_id: str) -> Any:
        model = self._model
        question = message("ModelInferRequest")(
            model_name=self.identity.model, model_version=self._version, id=request_id
        )
        for name, value in parameters_of(self._generation, pictures[0].sample).items():
            _set_parameter(question.parameters[name], value)
        files = model.image_size is None
        data = pack_bytes([each.content for each in pictures]) if files else model.pixels_of(pictures)
        tensors = [(model.image, data)]
        if model.prompt is not None:
            prompt = (self._generation.prompt or "").encode("utf-8", "replace")
            tensors.append((model.prompt, pack_bytes([prompt] * len(pictures))))
        for tensor, raw in tensors:
            shape = model.shape_of(tensor, len(pictures))
            question.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=shape)
            question.raw_input_contents.append(raw)
        for name in model.outputs:
            question.outputs.add(name=name)
        return question

    def _replies(self, answer: Any, count: int, request_id: str) -> list[Reply]:
        key = self._channel.key
        if answer.id not in {"", request_id}:
            raise malformed("it answers another question")
        outputs = _outputs(answer)
        model, version = word(answer.model_name), version_of(answer.model_version)
        about = {"model": model and clean(model, key), "version": version and clean(version, key)}
        return replies_of(self._model, outputs, count, about, key, self._decode)


@asynccontextmanager
async def open_channel(place: Place, *, key: Secret | None, private: bool, timeout_s: float) -> AsyncIterator[Channel]:
    """A channel to the checked addresses of a place.

    Raises:
        Busy: the name has no address now.
        EndpointError: an address is private and that was not asked for.
        ExtraMissing: grpcio is not installed.
    """
    grpc = require("grpc", why="asking an endpoint over gRPC", extra="grpc")
    aio: Any = require("grpc.aio", why="asking an endpoint over gRPC", extra="grpc")
    require("google.protobuf", why="asking an endpoint over gRPC", extra="grpc")
    resolver = Resolver(private=private, only_loopback=key is not None and place.scheme == "http")
    target = await _target(resolver, place)
    options: list[tuple[str, Any]] = [
        ("grpc.default_authority", place.origin.partition("//")[2]),
        ("grpc.enable_http_proxy", 0),
        ("grpc.enable_retries", 0),
        ("grpc.service_config_disable_resolution", 1),
        ("grpc.max_receive_message_length", BODY_LIMIT),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", 16_384),
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 5_000),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.compression_enabled_algorithms_bitset", 1),  # none: no bomb either
    ]
    if place.scheme == "https":
        options.append(("grpc.ssl_target_name_override", place.host))
        channel = aio.secure_channel(target, grpc.ssl_channel_credentials(_authorities()), options=options)
    else:
        channel = aio.insecure_channel(target, options=options)
    try:
        yield Channel(channel, place, key, timeout_s)
    finally:
        await channel.close()


async def open_kserve_grpc(
    channel: Channel,
    *,
    model: str | None,
    generation: Generation,
    names: TensorNames,
    rows: int,
    image_size: int | None,
    decode: Decode | None,
) -> KServeGrpcEndpoint:
    """Ask whether the server is ready, and what the model takes and gives.

    Raises:
        Busy: it cannot be reached or is not ready now.
        EndpointError: it is no such server, or the model cannot be asked for captions.
    """
    where = channel.place.shown
    _, in_path, asked_version = split_path(channel.place.path)
    refused: Refused | None = None
    try:
        if not (await channel.call("ServerReady", message("ServerReadyRequest")())).ready:
            raise Busy("the server is not ready")
        name = model or in_path or await _only_model(channel)
        asked = message("ModelMetadataRequest")(name=name, version=asked_version or "")
        metadata = await channel.call("ModelMetadata", asked)
    except Refused as fault:
        refused = fault
    if refused is not None:
        raise EndpointError(refused.what, where=where, cure="Check the model's name.")
    told: dict[str, Any] = {
        kind: [
            {"name": each.name, "datatype": each.datatype, "shape": list(each.shape)}
            for each in getattr(metadata, kind)
        ]
        for kind in ("inputs", "outputs")
    }
    told["platform"] = metadata.platform
    read = model_of(told, names, generation, rows=rows, image_size=image_size, where=where, decode=decode)
    only = metadata.versions[0] if len(metadata.versions) == 1 else None
    identity = ModelIdentity(
        "kserve-grpc", channel.place.origin, name, asked_version or version_of(only), fingerprint=read.fingerprint
    )
    return KServeGrpcEndpoint(channel, identity, read, generation, decode)


async def _only_model(channel: Channel) -> str:
    fault: Busy | EndpointError | Refused
    try:
        answer = await channel.call("RepositoryIndex", message("RepositoryIndexRequest")(ready=True))
    except (EndpointError, Refused) as error:
        fault = error
    except Busy as error:
        if _KEPT not in error.what:
            raise
        fault = error
    else:
        return _only_name(answer, channel.place.shown)
    raise unlisted(fault.what, channel.place.shown)


def _only_name(answer: Any, where: str) -> str:
    names = sorted({each.name for each in answer.models})
    if len(names) != 1:
        raise EndpointError(
            f"the server has {len(names)} models ({', '.join(names[:10]) or 'none'})",
            where=where,
            cure="Say which one with --model.",
        )
    return str(names[0])


async def _target(resolver: Resolver, place: Place) -> str:
    """The checked addresses, as a channel takes them."""
    try:
        literal = ipaddress.ip_address(place.host)
    except ValueError:
        try:
            found = [ipaddress.ip_address(each[0]) for *_, each in await resolver.addresses(place.host, place.port)]
        except OSError as error:
            reason = excerpt(str(error), None)
            raise Busy(f"no connection to {place.origin} ({reason})") from None
    else:
        resolver.check(place.host, place.host)
        found = [literal]
    family = 4 if any(each.version == 4 for each in found) else 6  # a target is of one family
    addresses = [each for each in found if each.version == family]
    return f"ipv{family}:" + ",".join(
        f"[{each}]:{place.port}" if family == 6 else f"{each}:{place.port}" for each in addresses
    )


def _authorities() -> bytes | None:
    """SSL_CERT_FILE, which HTTP reads too; gRPC knows only a list of its own."""
    path = os.environ.get("SSL_CERT_FILE")
    return Path(path).read_bytes() if path and Path(path).is_file() else None


def _set_parameter(parameter: Any, value: Any) -> None:
    if isinstance(value, bool):
        parameter.bool_param = value
    elif isinstance(value, int):
        parameter.int64_param = value
    elif isinstance(value, float):
        parameter.double_param = value
    elif isinstance(value, str):
        parameter.string_param = value
    else:
        raise EndpointError(
            f"gRPC has no parameter of this type: {type(value).__name__}",
            where="--option",
            cure="Give a number, a text, true or false.",
        )


def _outputs(answer: Any) -> dict[str, Output]:
    raw = list(answer.raw_output_contents)
    if raw and len(raw) != len(answer.outputs):
        raise malformed(f"{len(raw)} raw tensors for {len(answer.outputs)} outputs")
    found: dict[str, Output] = {}
    for row, each in enumerate(answer.outputs):
        shape = tuple(each.shape)
        if each.datatype not in _CONTENTS:
            continue
        if each.datatype == "BYTES":
            values: Any = unpack_bytes(raw[row]) if raw else list(each.contents.bytes_contents)
        elif raw:
            kind = NUMBERS[each.datatype]
            if len(raw[row]) % np.dtype(kind).itemsize:
                raise malformed(f"output '{each.name}' ends within a number")
            values = np.frombuffer(raw[row], kind)
        else:
            values = np.array(getattr(each.contents, _CONTENTS[each.datatype]), NUMBERS[each.datatype])
        found[each.name] = Output(each.datatype, shape, values)
    return found
