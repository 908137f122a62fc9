"""What all JSON protocols check of an answer before anything of it is believed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

import msgspec

from m4i_fast.engines.endpoints.faults import Busy, raise_for_status, said
from m4i_fast.engines.endpoints.secrets import Secret
from m4i_fast.engines.protocol import MODEL_GAVE

__all__ = ["NOT_FINITE", "count_of", "json_of", "listed_log_probs", "malformed", "refuse_error_body", "word"]

NOT_FINITE = f"{MODEL_GAVE} a log-probability that is not a number"


def json_of(body: bytes) -> Any:
    """The body as JSON.

    Raises:
        Busy: it is none: an HTML page, garbage, or nested too deep.
    """
    try:
        try:
            return msgspec.json.decode(body)
        except msgspec.DecodeError:
            # Eight times as slow, and it takes what some servers send: NaN, and half of a character beyond 16 bits.
            return json.loads(body)
    except RecursionError:
        what = "the answer is JSON that is nested too deep"
    except ValueError:
        page = body.lstrip()[:1] == b"<"
        what = "the answer is an HTML page" if page else "the answer is not JSON"
    raise Busy(what, status=200)


def malformed(what: str) -> Busy:
    """The fault of an answer that is JSON and not what the protocol says."""
    return Busy(f"the answer is not what the protocol says: {what}", status=200)


def refuse_error_body(content: Any, *, where: str, key: Secret | None) -> None:
    """Refuse a 200 whose body is an error; one that names an HTTP status is taken as that status.

    Raises:
        Busy, Refused, EndpointError: as ``raise_for_status``.
    """
    if not isinstance(content, dict) or not content.get("error"):
        return
    error = content["error"]
    inner = error if isinstance(error, dict) else content
    found = [inner.get(name) for name in ("status", "code", "status_code")]
    status = next((each for each in found if isinstance(each, int) and 400 <= each < 600), None)
    if status is not None:
        raise_for_status(status, {}, json.dumps(content).encode(), where=where, key=key)
    raise Busy(f"the endpoint answered HTTP 200 with an error{said(content, b'', key)}", status=200)


def word(value: Any) -> str | None:
    """A short text of the server's about itself, or None where it is none."""
    return value[:256] if isinstance(value, str) and value else None


def count_of(value: Any) -> int | None:
    """A number of tokens, or None where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 40 else None


def listed_log_probs(values: Iterable[Any]) -> tuple[float, ...] | None:
    """Log-probabilities, or None where one of them is not a finite number."""
    found = tuple(values)
    fine = all(isinstance(each, int | float) and not isinstance(each, bool) and math.isfinite(each) for each in found)
    return tuple(float(each) for each in found) if fine else None
