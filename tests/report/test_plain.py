import pytest
from hypothesis import given
from hypothesis import strategies as st

from m4i_fast.report.plain import plain, shorten


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a dog runs", "a dog runs"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]never ended", "never ended"),
        ("\x9b2Jcleared", "cleared"),
        ("nul\x00bell\x07del\x7f", "nulbelldel"),
        ("two\r\nlines\tand a tab", "two lines and a tab"),
        ("a\u202eb\u2066c", "a⟨U+202E⟩b⟨U+2066⟩c"),
        ("zero\u200bwidth\ufeff", "zero⟨U+200B⟩width⟨U+FEFF⟩"),
        ("tag\U000e0041", "tag⟨U+E0041⟩"),
        ("family 👨\u200d👩\u200d👧", "family 👨\u200d👩\u200d👧"),
        ("lone \ud800 surrogate", "lone \ufffd surrogate"),
        ("Ärger, 犬, כלב", "Ärger, 犬, כלב"),
    ],
)
def test_text_becomes_text_and_nothing_else(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_lines_stay_where_they_are_asked_for() -> None:
    assert plain("a\tb\r\nc\x1b[1m\x00", keep_lines=True) == "a\tb\r\nc"


@given(st.text(st.characters(codec=None), max_size=60))
def test_nothing_harmful_is_left_and_a_second_pass_changes_nothing(text: str) -> None:
    once = plain(text)
    assert plain(once) == once
    assert not any(ord(sign) < 32 or 0x7F <= ord(sign) < 0xA0 for sign in once)
    assert not set(once) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    once.encode("utf-8")


def test_long_texts_are_cut_and_say_so() -> None:
    assert shorten("abc", 3) == "abc"
    assert shorten("x" * 100_000, 4) == "xxxx … [100,000 characters]"
