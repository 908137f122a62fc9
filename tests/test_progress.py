"""Without a terminal a long stage gives a sign of life a minute."""

import pytest

from m4i_fast import progress as room


def test_a_line_a_minute_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(room.time, "perf_counter", lambda: now[0])
    room._console.cache_clear()
    with room.progress("caption", 5000) as advance:
        for step in range(1, 6):
            now[0] = 25.0 * step
            advance(1000, f"{step} at once")
    said = capsys.readouterr().err.splitlines()
    assert said == ["caption: 3,000 of 5,000 after 75 s, 3 at once", "caption: 125.0 s"]
    room._console.cache_clear()


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "EVERY_S", 0.0)
    room._console.cache_clear()
    room.hush()
    with room.progress("caption", None) as advance:
        advance()
    room.hush(False)
    assert capsys.readouterr().err == ""
    room._console.cache_clear()
