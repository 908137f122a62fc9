"""Plain HTTP, so that a server is checked without any client of the tool's."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from typing import Any

from tests.servers.environments import DIRECT

TIMEOUT_S = 60.0


def ask(
    url: str, content: bytes | None = None, headers: Mapping[str, str] | None = None, method: str | None = None
) -> tuple[bytes, Mapping[str, str]]:
    """Body and headers of the answer; an HTTPError unless it is a 2xx."""
    request = urllib.request.Request(url, content, dict(headers or {}), method=method)  # noqa: S310 - loopback
    with DIRECT.open(request, timeout=TIMEOUT_S) as answer:
        return answer.read(), dict(answer.headers)


def ask_json(url: str, body: Any = None) -> Any:
    """GET, or POST where there is a body; JSON both ways."""
    content = None if body is None else json.dumps(body).encode()
    return json.loads(ask(url, content, {"Content-Type": "application/json"})[0])
