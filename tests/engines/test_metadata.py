import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m4i_fast.engines.metadata import EngineMetadata, from_json, to_json
from m4i_fast.errors import EngineError

HEAD = EngineMetadata(kind="head", name="x", features=["a"], recipe="r", threshold=0.5)


def test_text_is_plain_json_without_absent_fields() -> None:
    assert json.loads(to_json(HEAD)) == {
        "kind": "head",
        "name": "x",
        "schema": 1,
        "features": ["a"],
        "recipe": "r",
        "threshold": 0.5,
        "about": {},
    }


@given(
    name=st.text(),
    words=st.lists(st.text(), min_size=4),
    size=st.integers(1, 4096),
    about=st.dictionaries(st.text(), st.text()),
)
def test_what_was_written_is_read(name: str, words: list[str], size: int, about: dict[str, str]) -> None:
    metadata = EngineMetadata(
        kind="captioner", name=name, vocabulary=words, image_size=size, max_tokens=20, about=about
    )
    assert from_json(to_json(metadata), "x.onnx", kind="captioner") == metadata


def test_fields_of_a_newer_minor_version_are_passed_over() -> None:
    assert from_json('{"schema":1,"kind":"image_encoder","name":"x","image_size":4,"new":7}', "x").image_size == 4


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "no metadata"),
        ("", "no metadata"),
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ("{}", "schema"),
        ('{"schema":2,"kind":17}', "schema 2, this version reads schema 1"),
        ('{"schema":1,"kind":"dog","name":"x"}', "'dog'"),
        ('{"schema":1,"kind":"head","name":"x"}', "lacks features, recipe, threshold"),
        ('{"schema":1,"kind":"captioner","name":"x","image_size":4}', "lacks vocabulary, max_tokens"),
        ('{"schema":1,"kind":"image_encoder","name":"x","image_size":0}', "must be positive"),
        ('{"schema":1,"kind":"image_encoder","name":"x","image_size":4,"dim":-1}', "must be positive"),
        (
            '{"schema":1,"kind":"text_encoder","name":"x","vocabulary":["a"],"max_tokens":3}',
            "the four specials alone are 4",
        ),
        ('{"schema":1,"kind":"image_encoder","name":"x","image_size":4,"weights_sha256":"00"}', "SHA-256"),
        ("[" * 100_000, "cannot be read"),
        ('{"schema":1,"x":' + "[" * 100_000, "cannot be read"),
        ("\ud800", "cannot be read"),
    ],
)
def test_bad_text_is_refused_with_the_place(text: str | None, says: str) -> None:
    with pytest.raises(EngineError) as caught:
        from_json(text, "dir/x.onnx")
    assert caught.value.where == "dir/x.onnx"
    assert says in str(caught.value)
    assert caught.value.cure is not None
    assert "xport" in caught.value.cure


def test_the_wrong_kind_is_named() -> None:
    with pytest.raises(EngineError, match=r"wrong kind: head \('x'\), where an image encoder is needed"):
        from_json(to_json(HEAD), "x.onnx", kind="image_encoder")
