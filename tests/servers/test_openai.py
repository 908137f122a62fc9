"""transformers' server: chat completions with a picture as a data URL."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.servers.asking import ask_json
from tests.servers.conftest import MAX_TOKENS, PROMPT, Served

pytestmark = pytest.mark.servers


def completion(served: Served, picture: Path) -> Any:
    url = f"data:image/jpeg;base64,{base64.b64encode(picture.read_bytes()).decode()}"
    parts = [{"type": "text", "text": PROMPT}, {"type": "image_url", "image_url": {"url": url}}]
    return ask_json(
        f"{served.url}/v1/chat/completions",
        {
            "model": served.files,
            "messages": [{"role": "user", "content": parts}],
            "temperature": 0,
            "max_tokens": MAX_TOKENS,
            "seed": 0,
        },
    )


def test_it_lists_its_one_model(openai_server: Served) -> None:
    assert [model["id"] for model in ask_json(f"{openai_server.url}/v1/models")["data"]] == [openai_server.files]


def test_the_captions_are_those_of_the_library(openai_server: Served, pictures: list[Path]) -> None:
    answers = [completion(openai_server, picture) for picture in pictures]
    wanted = openai_server.expected(pictures)
    assert [answer["choices"][0]["message"]["content"] for answer in answers] == wanted
    assert len(set(wanted)) >= 6
    assert {answer["choices"][0]["finish_reason"] for answer in answers} == {"stop", "length"}
    assert all(0 < answer["usage"]["completion_tokens"] <= MAX_TOKENS for answer in answers)
    assert {answer["model"] for answer in answers} == {openai_server.files}
