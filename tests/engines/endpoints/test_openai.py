"""Chat completions: what is sent, byte for byte, and each form of an answer."""

import base64
import json
from typing import Any

import pytest
from endpoint_questions import JPEG, ask, good, said, script
from hostile_endpoint import Answer, Asked, hostile_endpoint

from m4i_fast.engines.endpoints import Busy, Generation, Picture, Reply, Secret, open_endpoint
from m4i_fast.errors import EndpointError

MODELS = said({"object": "list", "data": [{"id": "tiny", "root": "/weights/tiny-7"}]})


def test_what_is_sent_byte_for_byte() -> None:
    with hostile_endpoint(script("openai", good("openai"))) as endpoint:
        ask(endpoint.url, "openai", key=Secret("sk-0123456789"))
    listing, asked = endpoint.log
    assert (listing.method, listing.target, listing.body) == ("GET", "/v1/models", b"")
    assert (asked.method, asked.target) == ("POST", "/v1/chat/completions")
    encoded = base64.b64encode(JPEG).decode()
    assert asked.body.decode() == (
        '{"model":"tiny","messages":[{"role":"user","content":[{"type":"text","text":"Describe the image in one '
        'sentence."},{"type":"image_url","image_url":{"url":"data:image/jpeg;base64,' + encoded + '"}}]}],'
        '"max_tokens":64,"temperature":0.0,"stream":false,"seed":0}'
    )
    sent = {name: asked.headers[name] for name in ("authorization", "content-type", "x-request-id", "accept-encoding")}
    assert sent == {
        "authorization": "Bearer sk-0123456789",
        "content-type": "application/json",
        "x-request-id": "q0",
        "accept-encoding": "identity",
    }


def test_every_setting_arrives() -> None:
    generation = Generation(
        prompt='Say "what"',
        system="Be brief: \ud800é",
        max_tokens=9,
        temperature=0.7,
        top_p=0.9,
        seed=40,
        options={"logprobs": True, "max_tokens": None, "max_completion_tokens": 5, "extra": {"a": [1, None]}},
    )
    with hostile_endpoint(script("openai", good("openai"))) as endpoint:
        ask(endpoint.url, "openai", [Picture(b"png", "image/png", sample=2)], generation=generation)
    body = json.loads(endpoint.log[-1].body)
    assert body.pop("messages") == [
        {"role": "system", "content": "Be brief: \ud800é"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": 'Say "what"'},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}},
            ],
        },
    ]
    assert body == {
        "model": "tiny",
        "temperature": 0.7,
        "top_p": 0.9,
        "stream": False,
        "logprobs": True,
        "max_completion_tokens": 5,
        "extra": {"a": [1, None]},
        "seed": 42,
    }


def test_no_seed_and_a_seed_of_the_options() -> None:
    for generation, seed in ((Generation(seed=None), None), (Generation(options={"seed": 7}), 7)):
        with hostile_endpoint(script("openai", good("openai"))) as endpoint:
            ask(endpoint.url, "openai", [Picture(b"x", sample=3)], generation=generation)
        assert json.loads(endpoint.log[-1].body).get("seed") == seed


@pytest.mark.parametrize("name", ["model", "messages", "stream", "n"])
def test_what_is_the_tools_own_is_no_option(name: str) -> None:
    with pytest.raises(EndpointError, match="is the tool's own"):
        ask("http://127.0.0.1:9", "openai", generation=Generation(options={name: 1}))


def answered(message: Any, **more: Any) -> Reply:
    choice = {"index": 0, "message": message, "finish_reason": "stop", **more.pop("choice", {})}
    with hostile_endpoint(script("openai", said({"choices": [choice], **more}))) as endpoint:
        return ask(endpoint.url, "openai")[0]


def test_all_that_an_answer_tells_is_kept() -> None:
    reply = answered(
        {"role": "assistant", "content": " a dog\n"},
        choice={"logprobs": {"content": [{"token": "a", "logprob": -0.5}, {"token": "dog", "logprob": -1}]}},
        id="chatcmpl-7",
        model="tiny-2026",
        system_fingerprint="fp_1",
        usage={"prompt_tokens": 300, "completion_tokens": 2},
    )
    assert reply == Reply(
        " a dog\n",
        log_probs=(-0.5, -1.0),
        finish_reason="stop",
        model="tiny-2026",
        fingerprint="fp_1",
        request_id="chatcmpl-7",
        prompt_tokens=300,
        completion_tokens=2,
    )


@pytest.mark.parametrize(
    ("message", "text", "error"),
    [
        ({"content": ""}, "", None),
        ({"content": [{"type": "text", "text": "a "}, {"type": "text", "text": "dog"}]}, "a dog", None),
        ({"content": None}, "", "the model gave no text (finish_reason: stop)"),
        ({"content": []}, "", "the model gave no text (finish_reason: stop)"),
        ({}, "", "the model gave no text (finish_reason: stop)"),
        ({"content": None, "refusal": "I cannot"}, "", "the model gave a refusal: I cannot"),
    ],
)
def test_content_may_be_many_things(message: Any, text: str, error: str | None) -> None:
    reply = answered(message)
    assert (reply.text, reply.error) == (text, error)


def test_odd_counts_are_none_and_no_number_is_an_error_of_the_row() -> None:
    odd = answered({"content": "a"}, usage={"prompt_tokens": -1, "completion_tokens": True}, model=5)
    assert (odd.prompt_tokens, odd.completion_tokens, odd.model, odd.error) == (None, None, None, None)
    nan = answered({"content": "a"}, choice={"logprobs": {"content": [{"logprob": float("nan")}]}})
    assert nan.error == "the model gave a log-probability that is not a number"
    assert nan.text == ""


def _opened(url: str, answers: Any, **settings: Any) -> tuple[Any, list[Asked]]:
    import asyncio

    async def run(url: str) -> Any:
        async with open_endpoint(url, protocol="openai", private=True, patience_s=0, **settings) as endpoint:
            await endpoint.ask([Picture(b"x")], request_id="q")
            return endpoint.identity, endpoint

    with hostile_endpoint(answers) as endpoint:
        identity, opened = asyncio.run(run(endpoint.url + url))
        assert (opened.wants, opened.rows, opened.image_size) == ("file", 1, None)
        assert opened.media_types >= {"image/jpeg", "image/png"}
        return identity, endpoint.log


@pytest.mark.parametrize("url", ["", "/", "/v1", "/v1/", "/v1/chat/completions"])
def test_the_url_may_end_anywhere_and_the_only_model_is_found(url: str) -> None:
    identity, log = _opened(url, lambda asked: MODELS if asked.method == "GET" else good("openai"))
    assert [each.target for each in log] == ["/v1/models", "/v1/chat/completions"]
    assert (identity.model, identity.version, identity.protocol) == ("tiny", "/weights/tiny-7", "openai")
    assert identity.url.endswith("/v1")


@pytest.mark.parametrize(
    "listing", [Answer(404), Answer(403), Answer(501), Answer(200, [b"<html>"]), said({"data": 5})]
)
def test_a_server_that_lists_nothing_is_asked_by_the_name_that_is_given(listing: Answer) -> None:
    answers = [listing, good("openai")]
    identity, _ = _opened("", answers, model="m")
    assert (identity.model, identity.version) == ("m", None)
    with pytest.raises(EndpointError):
        _opened("", answers)


@pytest.mark.parametrize("names", [[], ["a", "b"]])
def test_a_choice_of_models_needs_a_name(names: list[str]) -> None:
    answers = [said({"data": [{"id": name} for name in names]}), good("openai")]
    with pytest.raises(EndpointError, match=f"lists {len(names)} models") as caught:
        _opened("", answers)
    assert caught.value.cure == "Say which one with --model."
    assert _opened("", answers, model="b")[0].model == "b"


def test_a_wrong_key_shows_at_the_opening_and_trouble_is_no_wrong_key() -> None:
    with pytest.raises(EndpointError, match="HTTP 401"):
        _opened("", [Answer(401)], model="m")
    with hostile_endpoint([Answer(500)]) as endpoint, pytest.raises(EndpointError, match="HTTP 500"):
        ask(endpoint.url, "openai")
    with hostile_endpoint(script("openai", Answer(500))) as endpoint, pytest.raises(Busy):
        ask(endpoint.url, "openai")
