"""KServe v2 over gRPC, against a real gRPC server that takes and gives plain bytes, typed here by hand."""

import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from endpoint_questions import JPEG, ask
from hostile_endpoint import Answer, hostile_endpoint, self_signed

from m4i_fast.engines.endpoints import Busy, Generation, Picture, Reply, Secret
from m4i_fast.engines.endpoints.kserve_messages import message
from m4i_fast.engines.endpoints.kserve_model import pack_bytes
from m4i_fast.engines.endpoints.transport import BODY_LIMIT
from m4i_fast.errors import EndpointError

KEY = "sk-tests-0123456789"


def field(number: int, value: bytes | str) -> bytes:
    """A field of text, bytes or a message on the wire, shorter than 2 MiB."""
    value = value.encode() if isinstance(value, str) else value
    size, length = len(value), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + value


ANY = b"\xff" * 9 + b"\x01"  # -1 as an int64
METADATA = (
    field(1, "tiny")
    + field(2, "3")
    + field(3, "python")
    + field(4, field(1, "image") + field(2, "BYTES") + field(3, ANY))
    + field(5, field(1, "caption") + field(2, "BYTES") + field(3, ANY))
)
PIXELS = field(4, field(1, "pixels") + field(2, "UINT8") + field(3, ANY + b"\x02\x02\x03"))


def caption(*texts: str, version: str = "3", raw: bool = True) -> bytes:
    """A ModelInferResponse."""
    output = field(1, "caption") + field(2, "BYTES") + field(3, bytes([len(texts)]))
    head = field(1, "tiny") + field(2, version)
    if not raw:
        return head + field(5, output + field(5, b"".join(field(8, text) for text in texts)))
    return head + field(5, output) + field(6, pack_bytes([each.encode() for each in texts]))


class Server:
    """``infer``, ``others`` by method: bytes to bytes, or raises by its context. ``log``: method, bytes, metadata."""

    def __init__(self, infer: Callable[[bytes, Any], bytes], metadata: bytes, others: dict[str, Any] | None) -> None:
        self.log: list[tuple[str, bytes, dict[str, Any]]] = []
        self.url = ""
        self._answers: dict[str, Any] = {
            "ServerReady": lambda *_: b"\x08\x01",
            "ModelMetadata": lambda *_: metadata,
            "RepositoryIndex": lambda *_: field(1, field(1, "tiny")),
            "ModelInfer": infer,
        } | (others or {})

    def service(self, details: Any) -> Any:
        method = details.method.removeprefix("/inference.GRPCInferenceService/")
        if method not in self._answers:
            return None

        def answer(question: bytes, context: Any) -> Any:
            self.log.append((method, question, dict(details.invocation_metadata)))
            return self._answers[method](question, context)

        return grpc.unary_unary_rpc_method_handler(answer)


@contextmanager
def serving(
    infer: Callable[[bytes, Any], bytes],
    metadata: bytes = METADATA,
    *,
    others: dict[str, Any] | None = None,
    tls: Any = None,
    compression: Any = None,
) -> Iterator[Server]:
    server = Server(infer, metadata, others)
    handler = type("Handler", (grpc.GenericRpcHandler,), {"service": lambda _, details: server.service(details)})()
    with ThreadPoolExecutor(2) as pool:
        running = grpc.server(pool, handlers=[handler], compression=compression)
        port = running.add_secure_port("127.0.0.1:0", tls) if tls else running.add_insecure_port("127.0.0.1:0")
        running.start()
        server.url = f"http{'s' if tls else ''}://127.0.0.1:{port}"
        try:
            yield server
        finally:
            running.stop(0).wait(5)


def failing(code: grpc.StatusCode, details: str = "no") -> Callable[[bytes, Any], bytes]:
    def infer(_: bytes, context: Any) -> bytes:
        context.abort(code, details)
        raise AssertionError

    return infer


def test_what_is_sent_byte_for_byte() -> None:
    with serving(lambda *_: caption("a dog", "ein Bär")) as server:
        replies = ask(server.url, "kserve-grpc", [Picture(JPEG), Picture(b"xyz")], key=Secret(KEY), model=None)
    expected = Reply("a dog", model="tiny", version="3")
    assert replies == [expected, Reply("ein Bär", model="tiny", version="3")]
    assert [method for method, _, _ in server.log] == ["ServerReady", "RepositoryIndex", "ModelMetadata", "ModelInfer"]
    assert server.log[2][1] == field(1, "tiny")
    _, question, metadata = server.log[-1]
    assert question == (
        field(1, "tiny")
        + field(3, "q0")
        + field(5, field(1, "image") + field(2, "BYTES") + field(3, b"\x02"))
        + field(6, field(1, "caption"))
        + field(7, b"\x00\x04\x00\x00" + JPEG + b"\x03\x00\x00\x00xyz")
    )
    assert (metadata["authorization"], metadata["x-request-id"]) == (f"Bearer {KEY}", "q0")


def test_pixels_and_parameters() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    metadata = field(1, "tiny") + PIXELS + field(5, field(1, "caption") + field(2, "BYTES") + field(3, ANY))
    generation = Generation(seed=10, options={"beam": 2, "fast": True, "word": "x", "rate": 0.5})
    with serving(lambda *_: caption("a dog", raw=False), metadata) as server:
        (reply,) = ask(server.url, "kserve-grpc", [Picture(b"", pixels=pixels)], generation=generation)
    assert reply.text == "a dog"
    question = server.log[-1][1]
    assert field(5, field(1, "pixels") + field(2, "UINT8") + field(3, b"\x01\x02\x02\x03")) in question
    assert question.endswith(field(7, bytes(range(12))))
    for name, value in (("beam", b"\x10\x02"), ("fast", b"\x08\x01"), ("word", field(3, "x"))):
        assert field(4, field(1, name) + field(2, value)) in question
    assert field(4, field(1, "rate") + field(2, b"\x21" + struct.pack("<d", 0.5))) in question
    with serving(lambda *_: caption("a")) as server, pytest.raises(EndpointError, match="no parameter of this type"):
        ask(server.url, "kserve-grpc", generation=Generation(options={"a": [1]}))


CODES = {
    "UNAVAILABLE": (None, False),
    "RESOURCE_EXHAUSTED": (None, True),
    "DEADLINE_EXCEEDED": (None, True),
    "INTERNAL": (500, False),
    "UNKNOWN": (500, False),
    "ABORTED": (None, False),
}


@pytest.mark.parametrize(("code", "fault"), CODES.items())
def test_what_may_pass_may_be_tried_again(code: str, fault: tuple[int | None, bool]) -> None:
    with serving(failing(grpc.StatusCode[code])) as server, pytest.raises(Busy) as caught:
        ask(server.url, "kserve-grpc")
    assert (caught.value.status, caught.value.overload) == fault


@pytest.mark.parametrize("code", ["UNAUTHENTICATED", "PERMISSION_DENIED", "NOT_FOUND", "UNIMPLEMENTED"])
def test_what_will_not_pass_ends_the_run(code: str) -> None:
    with serving(failing(grpc.StatusCode[code])) as server, pytest.raises(EndpointError, match=code) as caught:
        ask(server.url, "kserve-grpc")
    assert caught.value.cure


KEPT = [
    ("UNIMPLEMENTED", "no", True),
    ("PERMISSION_DENIED", "no", True),
    ("INVALID_ARGUMENT", "no", True),
    ("UNAVAILABLE", "This protocol is restricted, expecting header 'x'", True),
    ("UNAVAILABLE", "no", False),
]


@pytest.mark.parametrize(("code", "details", "kept"), KEPT)
def test_a_server_may_keep_its_list_of_models_to_itself(code: str, details: str, kept: bool) -> None:
    others = {"RepositoryIndex": failing(grpc.StatusCode[code], details)}
    with serving(lambda *_: b"", others=others) as server, pytest.raises(EndpointError, match=details) as caught:
        ask(server.url, "kserve-grpc", model=None, patience_s=0.1)
    assert ("does not list its models" in caught.value.what, "--model" in str(caught.value.cure)) == (kept, kept)


def test_one_refused_picture_costs_its_neighbours_nothing() -> None:
    def infer(question: bytes, context: Any) -> bytes:
        if b"bad" in question:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no JPEG")
        return caption("a dog")

    with serving(infer) as server:
        replies = ask(server.url, "kserve-grpc", [Picture(b"one"), Picture(b"bad")])
    assert [each.text for each in replies] == ["a dog", ""]
    assert replies[1].error == "the endpoint refused this picture with INVALID_ARGUMENT and said: no JPEG"


def _slow(_: bytes, context: Any) -> bytes:
    time.sleep(0.6)
    return caption("late")


RAW = field(5, field(1, "caption") + field(2, "BYTES") + field(3, b"\x01"))


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (lambda *_: caption("a", "b"), "2 texts for 1 pictures"),
        (lambda *_: caption(), "0 texts for 1 pictures"),
        (lambda *_: field(1, "tiny"), "output 'caption' is missing"),
        (lambda *_: field(3, "another") + caption("a"), "another question"),
        (lambda *_: RAW + field(6, b"\x09\x00\x00\x00a"), "ends within an element"),
        (lambda *_: RAW + field(6, b"") * 2, "2 raw tensors for 1 outputs"),
        (lambda *_: b"\xff\xff\xff", "no message that can be read"),
        (lambda *_: field(6, bytes(BODY_LIMIT + 1)), "RESOURCE_EXHAUSTED"),
        (_slow, "did not answer in time"),
    ],
    ids=range(9),
)
def test_an_answer_that_is_none_is_a_fault(answer: Callable[..., bytes], what: str) -> None:
    with serving(answer) as server, pytest.raises(Busy, match=what):
        ask(server.url, "kserve-grpc", timeout_s=0.3)


def test_a_bomb_is_not_unpacked() -> None:
    bomb = field(6, bytes(BODY_LIMIT // 2))
    with serving(lambda *_: bomb, compression=grpc.Compression.Gzip) as server, pytest.raises((Busy, EndpointError)):
        ask(server.url, "kserve-grpc")


def test_the_key_shows_nowhere() -> None:
    import traceback

    refusing = failing(grpc.StatusCode.UNAUTHENTICATED, f"bad key {KEY}")
    with serving(refusing) as server, pytest.raises(EndpointError) as caught:
        ask(server.url, "kserve-grpc", key=Secret(KEY))
    texts = traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    printed = "".join(line for text in texts for line in text.splitlines() if " server = " not in line)
    assert "bad key [key]" in str(caught.value)
    assert KEY not in printed
    assert caught.value.__context__ is None


def test_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, certificate = self_signed(tmp_path)
    pair = ((tmp_path / "key.pem").read_bytes(), certificate.read_bytes())
    with serving(lambda *_: caption("a dog"), tls=grpc.ssl_server_credentials([pair])) as server:
        with pytest.raises(EndpointError, match="certificate or TLS"):
            ask(server.url, "kserve-grpc")
        assert server.log == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert ask(server.url, "kserve-grpc", key=Secret(KEY))[0].text == "a dog"


def test_nobody_there_and_another_kind_of_server() -> None:
    with hostile_endpoint([Answer(404)]) as endpoint, pytest.raises(EndpointError):
        ask(endpoint.url, "kserve-grpc", timeout_s=1.0)
    with pytest.raises(EndpointError, match="UNAVAILABLE"):
        ask(endpoint.url, "kserve-grpc", timeout_s=1.0)
    with pytest.raises(EndpointError, match="no connection"):
        ask("http://no-such-host.invalid", "kserve-grpc")


def test_the_messages_have_the_published_numbers() -> None:
    tensor = message("InferTensor")(name="x", datatype="FP32", shape=[1, 2])
    tensor.contents.fp32_contents.append(1.0)
    tensor.parameters["a"].int64_param = 5
    assert tensor.SerializeToString() == (
        field(1, "x")
        + field(2, "FP32")
        + field(3, b"\x01\x02")
        + field(4, field(1, "a") + field(2, b"\x10\x05"))
        + field(5, field(6, struct.pack("<f", 1.0)))
    )
    contents = message("InferTensorContents").DESCRIPTOR
    assert [each.number for each in contents.fields] == list(range(1, 9))
