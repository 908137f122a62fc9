"""What a server says of waiting, taken only where it makes sense."""

import copy
from datetime import UTC, datetime
from email.utils import format_datetime

from hypothesis import given
from hypothesis import strategies as st

from m4i_fast.engines.endpoints import Busy, Secret
from m4i_fast.engines.endpoints.faults import excerpt, retry_after_s


def test_by_hand() -> None:
    assert retry_after_s(None) is None
    assert retry_after_s("") is None
    assert retry_after_s(" 120 ") == 120
    assert retry_after_s("1.5") == 1.5
    assert retry_after_s("300") == 300
    assert retry_after_s("301") == 300
    assert retry_after_s("٣") is None  # a digit, and none of HTTP's
    assert retry_after_s("nan") is retry_after_s("inf") is retry_after_s("1e3") is None
    date = "Fri, 31 Dec 1999 23:59:59 GMT"
    assert retry_after_s(date, now=946684799 - 60) == 60
    assert retry_after_s(date, now=946684799 + 60) is None
    assert retry_after_s("Fri, 31 Dec 1999 23:59:59 -0000", now=946684799 - 60) == 60


@given(st.one_of(st.text(), st.from_regex(r"[-+]?[0-9.eE]{1,400}", fullmatch=True), st.integers().map(str)))
def test_any_text_is_no_time_or_one_within_bounds(text: str) -> None:
    wait = retry_after_s(text)
    assert wait is None or 0 <= wait <= 300


@given(st.integers(0, 10**9))
def test_whole_seconds_are_taken_as_they_are(seconds: int) -> None:
    assert retry_after_s(str(seconds)) == min(seconds, 300)


@given(st.datetimes(datetime(1971, 1, 1), datetime(9998, 1, 1)), st.integers(-(10**6), 10**6))  # noqa: DTZ001
def test_dates_are_taken_by_the_clock_that_is_given(date: datetime, ahead: int) -> None:
    date = date.replace(microsecond=0, tzinfo=UTC)
    wait = retry_after_s(format_datetime(date, usegmt=True), now=date.timestamp() - ahead)
    assert wait == (min(ahead, 300) if ahead >= 0 else None)


@given(st.text())
def test_an_excerpt_is_short_and_printable(text: str) -> None:
    found = excerpt(text, Secret("sk-0123456789"))
    assert found.isprintable()
    assert len(found) <= 204


def test_of_a_traceback_the_reason_is_kept() -> None:
    lines = 'File "/srv/model.py", line 9, in execute\n    raise pil.Error'
    cause = f"Traceback (most recent call last):\n  {lines}\nPIL.UnidentifiedImageError: cannot identify image file"
    said = f"Failed, message: Traceback (most recent call last):\n  {lines}\nbackend.Error: {cause}\n\nAt:\n  x: y"
    assert excerpt(said, None) == "PIL.UnidentifiedImageError: cannot identify image file"
    assert excerpt("Traceback (most recent call last)", None) == "Traceback (most recent call last)"
    assert excerpt("model: it said\nerror: no", None) == "model: it said error: no"


def test_a_fault_travels_between_processes() -> None:
    busy = copy.copy(Busy("full", status=429, retry_after_s=2.0, overload=True))
    assert (busy.what, busy.status, busy.retry_after_s, busy.overload) == ("full", 429, 2.0, True)
