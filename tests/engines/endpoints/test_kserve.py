"""KServe v2 over HTTP: what is read of the metadata, what is sent byte for byte, what comes back."""

import asyncio
import base64
import contextlib
import json
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from endpoint_questions import JPEG, METADATA, ask, good, opening, said
from hostile_endpoint import Answer, Asked, hostile_endpoint
from hypothesis import given
from hypothesis import strategies as st

from m4i_fast.engines.endpoints import Busy, Generation, Picture, Reply, TensorNames, open_endpoint
from m4i_fast.engines.endpoints.kserve import split_path
from m4i_fast.engines.endpoints.kserve_model import pack_bytes, unpack_bytes
from m4i_fast.errors import EndpointError

PIXELS = {"name": "pixels", "datatype": "UINT8", "shape": [-1, 2, 2, 3]}
TOKENS = [
    {"name": "tokens", "datatype": "INT32", "shape": [-1, 3]},
    {"name": "lengths", "datatype": "INT32", "shape": [-1]},
    {"name": "log_probs", "datatype": "FP32", "shape": [-1, 3]},
]
RED = Picture(b"", pixels=np.full((2, 2, 3), 7, np.uint8))
BLUE = Picture(b"", pixels=np.arange(12, dtype=np.uint8).reshape(2, 2, 3))


def server(infer: Callable[[Asked], Answer], *, binary: bool = True, **metadata: Any) -> Callable[[Asked], Answer]:
    def answer(asked: Asked) -> Answer:
        if asked.target.endswith("/infer"):
            return infer(asked)
        if asked.target == "/v2":
            return said({"extensions": ["classification", "binary_tensor_data"] if binary else []})
        return said(METADATA | metadata if "/models/" in asked.target else {})

    return answer


def texts(*values: str, **more: Any) -> Callable[[Asked], Answer]:
    output = {"name": "caption", "datatype": "BYTES", "shape": [len(values)], "data": list(values)}
    return lambda _: said({"model_name": "tiny", "model_version": "3", "outputs": [output], **more})


def binary(outputs: Sequence[tuple[dict[str, Any], bytes]], tail: bytes = b"") -> Callable[[Asked], Answer]:
    listed = [each | {"parameters": {"binary_data_size": len(data)}} for each, data in outputs]
    head = json.dumps({"model_version": "3", "outputs": listed}).encode()
    body = head + b"".join(data for _, data in outputs) + tail
    return lambda _: Answer(200, [body], [("Inference-Header-Content-Length", str(len(head)))])


def test_files_as_binary_data_byte_for_byte() -> None:
    with hostile_endpoint(server(texts("a", "b"))) as endpoint:
        replies = ask(endpoint.url, "kserve", [Picture(JPEG), Picture(b"xyz")])
    assert [(each.text, each.model, each.version) for each in replies] == [("a", "tiny", "3"), ("b", "tiny", "3")]
    targets = [each.target for each in endpoint.log]
    assert targets == ["/v2/health/ready", "/v2", "/v2/models/tiny", "/v2/models/tiny/infer"]
    asked = endpoint.log[-1]
    head = (
        b'{"id":"q0","inputs":[{"name":"image","shape":[2],"datatype":"BYTES","parameters":{"binary_data_size":1035}}],'
        b'"outputs":[{"name":"caption","parameters":{"binary_data":true}}]}'
    )
    assert asked.body == head + b"\x00\x04\x00\x00" + JPEG + b"\x03\x00\x00\x00xyz"
    assert asked.headers["inference-header-content-length"] == str(len(head))
    assert asked.headers["content-length"] == str(len(head) + 1035)


def test_pixels_as_binary_data_byte_for_byte() -> None:
    with hostile_endpoint(server(texts("a", "b"), inputs=[PIXELS])) as endpoint:
        assert len(ask(endpoint.url, "kserve", [RED, BLUE])) == 2
    asked = endpoint.log[-1]
    length = int(asked.headers["inference-header-content-length"])
    (described,) = json.loads(asked.body[:length])["inputs"]
    assert described == {
        "name": "pixels",
        "shape": [2, 2, 2, 3],
        "datatype": "UINT8",
        "parameters": {"binary_data_size": 24},
    }
    assert asked.body[length:] == b"\x07" * 12 + bytes(range(12))


def test_without_the_extension_all_is_json() -> None:
    inputs = [METADATA["inputs"][0] | {"shape": [-1, 1]}, {"name": "ask", "datatype": "BYTES", "shape": [-1, 1]}]  # type: ignore[index]
    with hostile_endpoint(server(texts("a"), binary=False, inputs=inputs)) as endpoint:
        ask(endpoint.url, "kserve", generation=Generation(prompt="wé"))
    assert json.loads(endpoint.log[-1].body) == {
        "id": "q0",
        "inputs": [
            {
                "name": "image",
                "shape": [1, 1],
                "datatype": "BYTES",
                "parameters": {"content_type": "base64"},
                "data": [base64.b64encode(JPEG).decode()],
            },
            {
                "name": "ask",
                "shape": [1, 1],
                "datatype": "BYTES",
                "parameters": {"content_type": "str"},
                "data": ["wé"],
            },
        ],
        "outputs": [{"name": "caption"}],
    }
    assert "inference-header-content-length" not in endpoint.log[-1].headers
    with hostile_endpoint(server(texts("a"), binary=False, inputs=[PIXELS])) as endpoint:
        ask(endpoint.url, "kserve", [BLUE])
    assert json.loads(endpoint.log[-1].body)["inputs"][0]["data"] == list(range(12))


def test_a_seed_and_options_are_parameters() -> None:
    generation = Generation(temperature=0.5, seed=10, options={"beam": 2, "x": None})
    with hostile_endpoint(server(texts("a"))) as endpoint:
        ask(endpoint.url, "kserve", [Picture(JPEG, sample=3)], generation=generation)
    asked = endpoint.log[-1]
    head = json.loads(asked.body[: int(asked.headers["inference-header-content-length"])])
    assert head["parameters"] == {"temperature": 0.5, "max_tokens": 64, "seed": 13, "beam": 2}


def test_binary_answers_with_tokens() -> None:
    outputs = [
        ({"name": "log_probs", "datatype": "FP32", "shape": [2, 3]}, struct.pack("<6f", -0.5, -1, 0, -2, -3, -4)),
        (
            {"name": "caption", "datatype": "BYTES", "shape": [2]},
            pack_bytes([b"a dog", "ein Bär\xff".encode("latin-1")]),
        ),
        ({"name": "tokens", "datatype": "INT32", "shape": [2, 3]}, struct.pack("<6i", 4, 5, 0, 6, 7, 8)),
        ({"name": "lengths", "datatype": "INT32", "shape": [2]}, struct.pack("<2i", 2, 3)),
    ]
    declared = [METADATA["outputs"][0], *TOKENS]  # type: ignore[index]
    with hostile_endpoint(server(binary(outputs), outputs=declared)) as endpoint:
        first, second = ask(endpoint.url, "kserve", [Picture(JPEG), Picture(JPEG)])
    assert first == Reply("a dog", tokens=(4, 5), log_probs=(-0.5, -1.0), version="3")
    assert second == Reply("ein B�r�", tokens=(6, 7, 8), log_probs=(-2.0, -3.0, -4.0), version="3")


def _tokens(tokens: list[int], lengths: list[int], rates: list[float]) -> Callable[[Asked], Answer]:
    values = zip(TOKENS, (tokens, lengths, rates), strict=True)
    outputs = [{**each, "shape": [len(data)], "data": data} for each, data in values]
    return lambda _: said({"outputs": outputs})


def test_tokens_without_text_need_someone_who_knows_the_words() -> None:
    infer = _tokens([0, 1, 9, 1, 0, 0], [2, 2], [-1.0, -2.0, 0.0, -1.0, -1.0, 0.0])
    with hostile_endpoint(server(infer, outputs=TOKENS)) as endpoint:
        with pytest.raises(EndpointError, match="nothing here knows its vocabulary"):
            ask(endpoint.url, "kserve")

        def decode(tokens: Any, lengths: Any) -> list[str]:
            words = ["red", "dog"]
            return [" ".join(words[each] for each in row[:n]) for row, n in zip(tokens, lengths, strict=True)]

        pair = [Picture(JPEG), Picture(JPEG)]
        assert [each.text for each in ask(endpoint.url, "kserve", pair, decode=decode)] == ["red dog", "dog red"]
    wrong = [
        (_tokens([0, 7, 0], [2], [0.0, 0.0, 0.0]), "the model gave a token outside its vocabulary"),
        (_tokens([0, 1, 0], [4], [0.0, 0.0, 0.0]), "the model gave length 4, outside 0..3"),
        (_tokens([0, 1, 0], [-1], [0.0, 0.0, 0.0]), "the model gave length -1, outside 0..3"),
        (_tokens([0, 1, 0], [2], [0.0, float("nan"), 0.0]), "the model gave a log-probability that is not a number"),
    ]
    for infer, error in wrong:
        with hostile_endpoint(server(infer, outputs=TOKENS)) as endpoint:
            (reply,) = ask(endpoint.url, "kserve", decode=decode)
        assert (reply.text, reply.error, reply.tokens, reply.log_probs is None or error.endswith("lary")) == (
            "",
            error,
            (),
            True,
        )


CAPTION = {"name": "caption", "datatype": "BYTES", "shape": [1]}


@pytest.mark.parametrize(
    "infer",
    [
        texts("a", "b"),
        texts(),
        texts("a", id="another"),
        binary([(CAPTION, pack_bytes([b"a", b"b"]))]),
        binary([(CAPTION, b"\x05\x00\x00\x00abc")]),
        binary([(CAPTION, b"\x05\x00")]),
        binary([(CAPTION, b"\xff\xff\xff\xff")]),
        binary([(CAPTION, pack_bytes([b"a"]))], tail=b"more"),
        binary([({**CAPTION, "name": "other"}, pack_bytes([b"a"]))]),
        binary([({**CAPTION, "datatype": "FP32"}, bytes(5))]),
        lambda _: Answer(200, [b"{}"], [("Inference-Header-Content-Length", "99")]),
        lambda _: Answer(200, [b"{}"], [("Inference-Header-Content-Length", "-1")]),
        lambda _: said({"outputs": [{**CAPTION, "parameters": {"binary_data_size": 10**12}}]}),
        lambda _: said({"outputs": [{**CAPTION, "parameters": {"binary_data_size": -4}}]}),
        lambda _: said({"outputs": [{**CAPTION, "data": [5]}]}),
        lambda _: said({"outputs": [{**CAPTION, "data": "text"}]}),
        lambda _: said({"outputs": [{**CAPTION, "data": ["?"], "parameters": {"content_type": "base64"}}]}),
        lambda _: said({"id": ["q0"], "outputs": {"caption": 1}}),
    ],
    ids=range(18),
)
def test_an_answer_of_another_count_or_shape_is_none(infer: Callable[[Asked], Answer]) -> None:
    with hostile_endpoint(server(infer)) as endpoint, pytest.raises(Busy, match="what the protocol says"):
        ask(endpoint.url, "kserve")


def test_one_refused_picture_costs_its_neighbours_nothing() -> None:
    def infer(asked: Asked) -> Answer:
        if b"bad" in asked.body:
            return said({"error": "no JPEG"}, 400)
        return texts("a dog")(asked)

    with hostile_endpoint(server(infer)) as endpoint:
        replies = ask(endpoint.url, "kserve", [Picture(b"one"), Picture(b"bad"), Picture(b"two")])
    assert [each.text for each in replies] == ["a dog", "", "a dog"]
    assert replies[1].error == "the endpoint refused this picture with HTTP 400 and said: no JPEG"


def _opened(url: str, script: Any, **settings: Any) -> Any:
    async def run(base: str) -> Any:
        about = {"private": True, "patience_s": 0, **settings}
        async with open_endpoint(base + url, protocol="kserve", **about) as endpoint:
            return endpoint

    with hostile_endpoint(script) as endpoint:
        return asyncio.run(run(endpoint.url))


@pytest.mark.parametrize(
    ("inputs", "settings", "found"),
    [
        ([PIXELS], {}, ("pixels", 2, 8)),
        ([PIXELS], {"rows": 3}, ("pixels", 2, 3)),
        ([PIXELS], {"generation": Generation(temperature=1)}, ("pixels", 2, 1)),
        ([{**PIXELS, "shape": [2, 2, 3]}], {}, ("pixels", 2, 1)),
        ([{**PIXELS, "shape": [1, 2, 2, 3]}], {}, ("pixels", 2, 1)),
        ([{**PIXELS, "shape": [-1, -1, -1, 3]}], {"image_size": 64}, ("pixels", 64, 8)),
        ([{"name": "x", "datatype": "BYTES", "shape": [-1]}], {}, ("file", None, 8)),
        ([{"name": "x", "datatype": "BYTES", "shape": [-1, 1]}], {}, ("file", None, 8)),
        ([{"name": "x", "datatype": "BYTES", "shape": [1]}], {}, ("file", None, 1)),
    ],
)
def test_what_a_model_takes_is_read_of_its_metadata(inputs: Any, settings: Any, found: Any) -> None:
    opened = _opened("/v2/models/tiny", server(texts("a"), inputs=inputs), **settings)
    assert (opened.wants, opened.image_size, opened.rows) == found
    assert bool(opened.media_types) == (opened.wants == "file")
    assert (opened.identity.model, opened.identity.version) == ("tiny", "3")


@pytest.mark.parametrize(
    ("metadata", "settings", "what"),
    [
        ({"inputs": [{**PIXELS, "datatype": "FP32"}]}, {}, r"no input fits a picture.*pixels FP32 \[-1, 2, 2, 3\]"),
        ({"inputs": [{**PIXELS, "shape": [-1, -1, -1, 3]}]}, {}, "any size"),
        ({"inputs": [PIXELS]}, {"image_size": 3}, "pictures of 2 pixels"),
        ({"inputs": [PIXELS, {**PIXELS, "name": "second"}]}, {}, "more than one input"),
        ({"inputs": [PIXELS, {"name": "q", "datatype": "BYTES", "shape": [-1]}]}, {}, "beside the picture"),
        ({"inputs": [PIXELS]}, {"generation": Generation(prompt="p")}, "beside the picture the model takes nothing"),
        ({"inputs": [PIXELS]}, {"names": TensorNames(image_input="other")}, "no input fits"),
        ({"inputs": 5}, {}, "does not say"),
        ({"outputs": []}, {}, "no output fits a caption"),
        ({"outputs": [CAPTION, {**CAPTION, "name": "second"}]}, {}, "more than one output"),
    ],
)
def test_a_model_that_cannot_be_asked_says_why(metadata: Any, settings: Any, what: str) -> None:
    with pytest.raises(EndpointError, match=what) as caught:
        _opened("", server(texts("a"), **metadata), model="tiny", **settings)
    assert caught.value.cure


def test_names_decide_where_there_is_a_choice() -> None:
    two = [{"name": name, "datatype": "BYTES", "shape": [-1]} for name in ("one", "two")]
    names = TensorNames(image_input="two", text_output="one")
    script = server(lambda _: Answer(), inputs=two, outputs=two)
    about: dict[str, Any] = {"model": "m", "names": names, "generation": Generation(prompt="p")}
    assert _opened("", script, **about).wants == "file"
    with pytest.raises(EndpointError, match="more than one"):
        _opened("", script, model="m", generation=Generation(prompt="p"))


def test_the_only_model_is_found_and_a_version_of_the_url_is_asked() -> None:
    def indexed(names: list[str]) -> Callable[[Asked], Answer]:
        ready = server(texts("a"))
        return lambda asked: (
            said([{"name": name, "state": "READY"} for name in names]) if "index" in asked.target else ready(asked)
        )

    assert _opened("", indexed(["tiny"])).identity.model == "tiny"
    for names in ([], ["a", "b"]):
        with pytest.raises(EndpointError, match=f"the server has {len(names)} models"):
            _opened("", indexed(names))
    assert _opened("/v2/models/tiny/versions/5", server(texts("a"))).identity.version == "5"
    assert split_path("/a/v2/models/m%20n/versions/5/infer") == ("/a", "m n", "5")
    assert split_path("/a/b") == ("/a/b", None, None)
    assert split_path("/v2") == ("", None, None)


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_server_may_keep_its_list_of_models_to_itself(status: int) -> None:
    ready = server(texts("a"))

    def restricted(asked: Asked) -> Answer:
        return said({"error": "restricted"}, status) if "index" in asked.target else ready(asked)

    with pytest.raises(EndpointError, match=f"does not list its models: .*{status} and said: restricted") as caught:
        _opened("", restricted)
    assert caught.value.cure == "Name one with --model."


def test_another_kind_of_server_is_refused() -> None:
    for script in ([Answer(404)], [said({})], [Answer(200, [b"<html>"])], [said([])]):
        with pytest.raises(EndpointError):
            _opened("", script, model="tiny")
    with pytest.raises(EndpointError, match="the server is not ready"):
        _opened("", [Answer(400)], model="tiny")


def test_equal_metadata_is_an_equal_identity_and_another_shape_is_not() -> None:
    first, second = (_opened("", server(texts("a"), versions=["1", "2"]), model="m").identity for _ in range(2))
    assert (first.fingerprint, first.version) == (second.fingerprint, None)
    other = _opened("", server(texts("a"), inputs=[PIXELS]), model="m").identity
    assert other.fingerprint != first.fingerprint


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_bytes_come_back_as_they_were_packed(elements: list[bytes]) -> None:
    packed = pack_bytes(elements)
    assert unpack_bytes(packed) == elements
    assert len(packed) == sum(4 + len(each) for each in elements)


@given(st.binary(max_size=100))
def test_any_bytes_are_elements_or_a_fault(data: bytes) -> None:
    with contextlib.suppress(Busy):
        assert pack_bytes(unpack_bytes(data)) == data


def test_the_openings_of_the_shared_script_are_those_of_a_good_server() -> None:
    assert opening("kserve", Asked(0, "GET", "/v2/models/tiny", {}, b"")) == said(METADATA)
    assert good("kserve").status == 200
