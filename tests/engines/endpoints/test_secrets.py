"""A key can be sent; no text, copy or traceback shows it."""

import base64
import copy
import os
import pickle
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m4i_fast.engines.endpoints import Secret
from m4i_fast.errors import ConfigError

KEY = "sk-a/b+c=0123456789"


def test_it_shows_itself_nowhere_and_is_what_was_given() -> None:
    secret = Secret(f"  {KEY}\n")
    assert secret.reveal() == KEY
    assert (repr(secret), str(secret), f"{secret:>8}", f"{secret}") == ("Secret([key])", "[key]", "   [key]", "[key]")
    assert not hasattr(secret, "__dict__")


@pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_is_not_copied(way: Any) -> None:
    with pytest.raises(TypeError, match="neither copied nor pickled") as caught:
        way(Secret(KEY))
    assert KEY not in str(caught.value)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6), st.text(), st.text())
def test_every_spelling_is_scrubbed(key: str, before: str, after: str) -> None:
    secret = Secret(key)
    for form in (key, quote(key, safe=""), quote(key), base64.b64encode(key.encode()).decode()):
        scrubbed = secret.scrub(f"{before} {form} {after}")
        assert "[key]" in scrubbed
        if key not in "[key]" and key not in before + after:
            assert key not in scrubbed


def test_a_text_without_it_stays() -> None:
    assert Secret(KEY).scrub("a dog") == "a dog"
    assert Secret("dog").scrub("a dog") == "a dog", "a key this short would blot out words"
    assert Secret("dog").scrub("dog") == "[key]"


@pytest.mark.parametrize(
    ("value", "what"),
    [("", "is empty"), (" \n", "is empty"), ("q z", "blank"), ("a\r\nX: y", "blank"), ("kéy", "outside ASCII")],
)
def test_what_no_header_can_carry_is_refused_and_not_said(value: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what) as caught:
        Secret(value)
    assert not value.strip() or value not in str(caught.value)
    with pytest.raises(ConfigError, match="longer than"):
        Secret("x" * 20_000)


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("M4I_TEST_KEY", f"{KEY}\n")
    assert Secret.from_environment("M4I_TEST_KEY").reveal() == KEY
    with pytest.raises(ConfigError, match="M4I_NO_KEY: this environment variable is not set"):
        Secret.from_environment("M4I_NO_KEY")
    for mistaken in (KEY, "sk_live_abc", "a=b", "", "\0"):
        with pytest.raises(ConfigError, match="no environment variable has this name") as caught:
            Secret.from_environment(mistaken)
        assert not mistaken or mistaken not in str(caught.value), "it may be the key itself"


def test_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n")
    path.chmod(0o600)
    assert Secret.from_file(path).reveal() == KEY
    assert capsys.readouterr().err == ""
    path.chmod(0o644)
    assert Secret.from_file(str(path)).reveal() == KEY
    assert "chmod 600" in capsys.readouterr().err
    os.mkfifo(tmp_path / "fifo")
    path.write_bytes(b"\xff\xfe")
    for bad in (path, tmp_path, tmp_path / "fifo", tmp_path / "absent"):
        with pytest.raises(ConfigError, match=str(bad)):
            Secret.from_file(bad)
    with pytest.raises(ConfigError) as caught:
        Secret.from_file("sk-0123")
    assert "sk-0123" not in str(caught.value), "it may be the key itself"
