"""Image-to-text: the picture is the body; each form of an answer."""

import base64
import json
from typing import Any

import pytest
from endpoint_questions import JPEG, ask, good, said
from hostile_endpoint import hostile_endpoint

from m4i_fast.engines.endpoints import Busy, Generation, Picture
from m4i_fast.errors import EndpointError


def test_the_picture_is_the_body_byte_for_byte() -> None:
    with hostile_endpoint([good("hf")]) as endpoint:
        ask(endpoint.url, "hf", [Picture(JPEG, "image/webp")])
    (asked,) = endpoint.log
    assert (asked.method, asked.target, asked.body) == ("POST", "/models/tiny", JPEG)
    assert asked.headers["content-type"] == "image/webp"
    assert asked.headers["content-length"] == str(len(JPEG))
    assert asked.headers["x-request-id"] == "q0"
    assert "authorization" not in asked.headers


@pytest.mark.parametrize(
    ("generation", "parameters"),
    [
        (Generation(options={"max_new_tokens": 5, "a": None}), {"max_new_tokens": 5}),
        (
            Generation(temperature=0.5, top_p=0.9, seed=10),
            {"max_new_tokens": 64, "do_sample": True, "temperature": 0.5, "top_p": 0.9, "seed": 12},
        ),
    ],
)
def test_parameters_go_beside_the_picture(generation: Generation, parameters: dict[str, Any]) -> None:
    with hostile_endpoint([good("hf")]) as endpoint:
        ask(endpoint.url, "hf", [Picture(JPEG, sample=2)], generation=generation)
    (asked,) = endpoint.log
    assert asked.headers["content-type"] == "application/json"
    assert json.loads(asked.body) == {"inputs": base64.b64encode(JPEG).decode(), "parameters": parameters}


@pytest.mark.parametrize(
    "answer",
    [
        [{"generated_text": "a dog"}],
        {"generated_text": "a dog"},
        [[{"generated_text": "a dog"}]],
        {"captions": ["a dog"]},
        {"captions": "a dog"},
        {"caption": "a dog"},
        ["a dog"],
        "a dog",
    ],
)
def test_each_form_of_an_answer(answer: Any) -> None:
    with hostile_endpoint([said(answer, headers=[("X-Request-Id", "r-1")])]) as endpoint:
        (reply,) = ask(endpoint.url, "hf")
    assert (reply.text, reply.error, reply.request_id) == ("a dog", None, "r-1")


def test_null_is_an_error_of_the_row_and_two_are_none() -> None:
    with hostile_endpoint([said([{"generated_text": None}])]) as endpoint:
        assert ask(endpoint.url, "hf")[0].error == "the model gave no text"
    two: list[Any] = [[{"generated_text": "a"}, {"generated_text": "b"}], {"captions": ["a", "b"]}, {"captions": []}]
    for answer in two:
        with hostile_endpoint([said(answer)]) as endpoint, pytest.raises(Busy, match="answers to one picture"):
            ask(endpoint.url, "hf")


def test_it_has_no_prompt() -> None:
    for generation in (Generation(prompt="what?"), Generation(system="be brief")):
        with pytest.raises(EndpointError, match="has no prompt"):
            ask("http://127.0.0.1:9", "hf", generation=generation)
