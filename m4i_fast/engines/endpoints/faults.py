"""What each failure of an attempt means: try again, give this row up, or end the run."""

from __future__ import annotations

import functools
import json
import math
import re
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, ParamSpec, TypeVar

from m4i_fast.engines.endpoints.secrets import Secret
from m4i_fast.errors import EndpointError

__all__ = [
    "LONGEST_WAIT_S",
    "Busy",
    "Refused",
    "clean",
    "excerpt",
    "raise_for_status",
    "retry_after_s",
    "said",
    "without_frames",
]

LONGEST_WAIT_S = 300.0
"""What a Retry-After may ask for; more is taken as this much."""

_LONGEST_EXCERPT = 200

_ROW = frozenset({400, 413, 415, 422, 451})
"""The request was understood and this picture refused: the same picture would be refused again."""

_AGAIN = frozenset({408, 409, 425, 429})
"""Beside 5xx."""

_SLOW_DOWN = frozenset({429, 503, 504, 529})

_CURES = {
    401: "Give a valid key; the command goes on where it stopped.",
    402: "Pay for more, then run the command again; it goes on where it stopped.",
    403: "Give a key that may use this model; the command goes on where it stopped.",
    404: "Check the URL, the protocol and the model's name.",
    405: "Check the URL and the protocol.",
    410: "Give a model that still exists.",
}

_UNPAID = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
"""OpenAI's words for a 429 that no waiting cures."""

_Given = ParamSpec("_Given")
_Got = TypeVar("_Got")

_SURROGATES = re.compile("[\ud800-\udfff]")

_TRACEBACK = "Traceback (most recent call last)"
_ENDS_TRACEBACK = re.compile(r"^[A-Za-z_][\w.]*: \S.*", re.MULTILINE)


class Busy(Exception):  # noqa: N818 - reads as what it is
    """One attempt failed in a way that may pass.

    Attributes:
        what: one sentence, without any key.
        retry_after_s: seconds the server asked to wait, 0 to 300; None where it named no time that makes sense.
        status: of HTTP, or 500 where gRPC says the same; None where there is none.
        overload: the server asks for fewer requests: 429, 503, 504, a timeout.
    """

    def __init__(
        self, what: str, *, status: int | None = None, retry_after_s: float | None = None, overload: bool = False
    ) -> None:
        super().__init__(what)
        self.what = what
        self.status = status
        self.retry_after_s = retry_after_s
        self.overload = overload

    def __reduce__(self) -> tuple[Any, ...]:
        return _busy, (self.what, self.status, self.retry_after_s, self.overload)


class Refused(Exception):  # noqa: N818 - reads as what it is
    """The endpoint understood and refused these pictures. ``what`` becomes the error of the row."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def without_frames(
    attempt: Callable[_Given, Awaitable[_Got]],
) -> Callable[_Given, Coroutine[Any, Any, _Got]]:
    """Make an attempt whose faults carry no frames of it: these hold what was sent, and what the server echoed."""

    @functools.wraps(attempt)
    async def made(*given: _Given.args, **named: _Given.kwargs) -> _Got:
        fault: Exception
        try:
            return await attempt(*given, **named)
        except (Busy, EndpointError) as error:
            fault = error.with_traceback(None)
        fault.__context__ = None
        raise fault

    return made


def retry_after_s(value: str | None, *, now: float | None = None) -> float | None:
    """Seconds that a Retry-After asks for.

    Args:
        value: seconds, or an HTTP date.
        now: seconds since the epoch by the server's clock; None: by ours.

    Returns:
        0 to 300; None for what is absent, negative, in the past or no time at all.
    """
    value = "" if value is None else value.strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]*)?", value):
        return min(float(value[:32]), LONGEST_WAIT_S)
    then = _seconds_of_date(value)
    wait = math.nan if then is None else then - (time.time() if now is None else now)
    return min(wait, LONGEST_WAIT_S) if wait >= 0 else None


def raise_for_status(status: int, headers: Mapping[str, str], body: bytes, *, where: str, key: Secret | None) -> None:
    """Raise what a status other than 2xx means.

    Raises:
        Busy: 408, 409, 425, 429, 5xx.
        Refused: 400, 413, 415, 422, 451.
        EndpointError: all others.
    """
    content = _json_or_none(body)
    text = said(content, body, key)
    what = f"the endpoint answered HTTP {status}{text}"
    if status == 429 and not _UNPAID.isdisjoint(_codes(content)):
        raise EndpointError(what, where=where, cure=_CURES[402])
    if status in _AGAIN or 500 <= status < 600:
        wait = retry_after_s(headers.get("retry-after"), now=_seconds_of_date(headers.get("date", "")))
        raise Busy(what, status=status, retry_after_s=_estimated(content, wait), overload=status in _SLOW_DOWN)
    if status in _ROW:
        raise Refused(f"the endpoint refused this picture with HTTP {status}{text}")
    raise EndpointError(what, where=where, cure=_CURES.get(status, "Check the URL, the protocol and the key."))


def said(content: Any, body: bytes, key: Secret | None) -> str:
    """`` and said: ...`` of the body of a failure, or nothing where it is empty."""
    text = ""
    while isinstance(content, dict) and not text:
        found = next((content[name] for name in ("error", "message", "detail", "error_message") if name in content), "")
        text, content = (found, None) if isinstance(found, str) else ("", found)
    if not text:
        if body.lstrip()[:1] == b"<":
            return " with an HTML page"
        text = body.decode("utf-8", "replace")
    text = excerpt(text, key)
    return f" and said: {text}" if text else ""


def excerpt(text: str, key: Secret | None) -> str:
    """A server's words for an error: one line, printable, without the key, at most 200 characters.

    Of a Python traceback it is the last line that says something, not where the server's files lie.
    """
    text = clean(text, key)  # before any cut: a key cut in two would not be found
    if _TRACEBACK in text and (ends := _ENDS_TRACEBACK.findall(text)):
        text = ends[-1]
    text = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return text if len(text) <= _LONGEST_EXCERPT else text[:_LONGEST_EXCERPT].rstrip() + " ..."


def clean(text: str, key: Secret | None) -> str:
    """A server's text as it may be stored: no lone surrogate (U+FFFD instead) and no key."""
    if not text.isascii():
        text = _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text)
    return text if key is None else key.scrub(text)


def _busy(what: str, status: int | None, wait_s: float | None, overload: bool) -> Busy:
    return Busy(what, status=status, retry_after_s=wait_s, overload=overload)


def _seconds_of_date(value: str) -> float | None:
    """Seconds since the epoch of an HTTP date; without a zone it is UTC."""
    try:
        date = parsedate_to_datetime(value)
        if date.tzinfo is None:
            from datetime import UTC

            date = date.replace(tzinfo=UTC)
        return date.timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _json_or_none(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _codes(content: Any) -> frozenset[str]:
    error = content.get("error") if isinstance(content, dict) else None
    found = [error.get(name) for name in ("code", "type")] if isinstance(error, dict) else []
    return frozenset(each for each in found if isinstance(each, str))


def _estimated(content: Any, wait_s: float | None) -> float | None:
    """A model that is being loaded says in the body how long it takes (hf); the header goes first."""
    if wait_s is None and isinstance(content, dict):
        found = content.get("estimated_time")
        if isinstance(found, int | float) and not isinstance(found, bool) and found >= 0:  # NaN is not
            return float(min(found, LONGEST_WAIT_S))
    return wait_s
