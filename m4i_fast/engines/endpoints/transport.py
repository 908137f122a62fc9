"""HTTP with every guard: where it goes, how long it takes, how much comes back, and that no key gets out.

No other exception than the project's own leaves this module, not even as the context of one: a frame below holds the
headers that were sent.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urljoin

from m4i_fast import __version__
from m4i_fast.engines.endpoints.addresses import Place, Resolver, place_of
from m4i_fast.engines.endpoints.faults import Busy, excerpt, raise_for_status
from m4i_fast.engines.endpoints.secrets import Secret
from m4i_fast.errors import EndpointError
from m4i_fast.extras import require

if TYPE_CHECKING:
    from m4i_fast.engines.endpoints.http1 import HttpClient, Response

__all__ = ["BODY_LIMIT", "Answer", "Transport", "base64_encoder", "event_loop", "open_transport"]

BODY_LIMIT = 2 << 20
"""Bytes of an answer, also after decompression: 200 answers at once of this size still fit any machine."""

REDIRECTS = 3
CONNECT_S = 30.0
TOO_LATE = "the endpoint did not answer in time"
KEEP_ALIVE_S = 15.0
"""An idle connection is dropped before most servers drop it: a request into a closing one fails."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer. ``headers``: names in lower case; ``body``: decompressed."""

    headers: Mapping[str, str]
    body: bytes


def event_loop() -> asyncio.AbstractEventLoop:
    """The loop to ask in: uvloop's, where it is installed; it takes a third off the time of a request."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def base64_encoder() -> Callable[[bytes], bytes]:
    """Bytes to base64; of a picture of 30 kB in 1 us, for which the standard library takes 60."""
    return require("pybase64", why="asking an endpoint", extra="endpoint").b64encode  # type: ignore[no-any-return]  # it has no types


class Transport:
    """Sends requests to one origin. Made by ``open_transport``."""

    def __init__(self, client: HttpClient, place: Place, key: Secret | None) -> None:
        from m4i_fast.engines.endpoints import http1

        self._client = client
        self._http = http1
        self.place = place
        self.key = key
        self._targets: dict[str, str] = {}
        self._answered = False

    async def get(self, path: str) -> Answer:
        """GET a path of the origin.

        Raises:
            Busy, Refused, EndpointError: see ``faults``.
        """
        return await self._send("GET", path, None, {})

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """POST bytes to a path of the origin.

        Raises:
            Busy, Refused, EndpointError: see ``faults``.
        """
        return await self._send("POST", path, body, headers)

    async def _send(
        self, method: Literal["GET", "POST"], path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        target = self._targets.get(path)
        if target is None:
            target = self._targets[path] = self.place.target(path)
        for _ in range(REDIRECTS + 1):
            fault: Exception
            try:
                response = await self._client.ask(method, target, body, headers)
                self._answered = True
                content = _plain(response)
            except TimeoutError:
                fault = Busy(TOO_LATE, overload=True)
            except (Busy, EndpointError) as error:
                fault = error
            except zlib.error as error:
                fault = Busy(f"the connection failed ({excerpt(str(error), self.key)})")
            except (self._http.NoConnection, self._http.BrokenOff, self._http.NotHttp, self._http.TooLong) as error:
                fault = self._fault(error)
            else:
                status, answered = response.status, response.headers
                if 200 <= status < 300:
                    return Answer(answered, content)
                if status in {301, 302, 303, 307, 308}:
                    target = self._redirected(method, target, status, answered.get("location", ""))
                    continue
                raise_for_status(status, answered, content, where=self.place.shown, key=self.key)
            raise fault  # outside of the handlers, so that it has no context
        raise EndpointError(f"more than {REDIRECTS} redirects", where=self.place.shown, cure="Check the URL.")

    def _redirected(self, method: str, asked: str, status: int, location: str) -> str:
        """The target to ask next. The key goes nowhere but where the user sent it."""
        try:
            target = place_of(urljoin(self.place.origin + asked, location))
        except (EndpointError, ValueError):
            target = None
        if target is None or target.origin != self.place.origin:
            to = "nowhere" if target is None else excerpt(target.origin, self.key)
            raise EndpointError(
                f"the endpoint redirects to another place ({to}), where neither the pictures nor a key are sent",
                where=self.place.shown,
                cure="If you trust it, give its URL.",
            )
        if method != "GET" and status not in {307, 308}:
            raise EndpointError(
                f"the endpoint redirects with HTTP {status}, which drops the question",
                where=self.place.shown,
                cure=f"Give the URL that it redirects to: {excerpt(target.shown, self.key)}",
            )
        return target.target(target.path or "/")

    def _fault(self, error: Exception) -> Exception:
        """What an exception of the client means; holds nothing of it."""
        http, cause = self._http, error.__cause__
        if isinstance(error, http.NoConnection):
            reason = excerpt(str(cause), self.key)
            if isinstance(cause, ssl.SSLCertVerificationError) or (
                # Before anything has worked it is no passing trouble: it speaks no TLS, or none that is safe.
                isinstance(cause, ssl.SSLError) and not self._answered
            ):
                return EndpointError(
                    f"the endpoint's certificate or TLS is not in order ({reason})",
                    where=self.place.shown,
                    cure="Check the URL. For a certificate of your own authority set SSL_CERT_FILE to its file.",
                )
            return Busy(f"no connection to {self.place.origin} ({reason})")
        if isinstance(error, http.BrokenOff):
            return Busy("the connection broke off before the answer was complete")
        if isinstance(error, http.TooLong):
            return Busy(f"the answer has {error}")
        return Busy(f"the answer was no HTTP that can be read ({error})")


@asynccontextmanager
async def open_transport(
    place: Place, *, key: Secret | None, private: bool, timeout_s: float, connections: int
) -> AsyncIterator[Transport]:
    """Connections to one origin; nothing is sent yet.

    Raises:
        EndpointError: a literal address is private and that was not asked for.
        ExtraMissing: httptools is not installed.
    """
    for module in ("httptools", "aiohappyeyeballs"):
        require(module, why="asking an endpoint", extra="endpoint")
    from m4i_fast.engines.endpoints.http1 import HttpClient

    resolver = Resolver(private=private, only_loopback=key is not None and place.scheme == "http")
    _check_literal(resolver, place.host)
    headers = {
        "User-Agent": f"m4i-fast/{__version__}",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
    }
    if key is not None:
        headers["Authorization"] = f"Bearer {key.reveal()}"
    # No proxy of the environment: it would be connected to instead of the address that was checked.
    try:
        client = HttpClient(
            place,
            resolver=resolver,
            tls=ssl.create_default_context() if place.scheme == "https" else None,
            headers=headers,
            connections=connections,
            timeout_s=timeout_s,
            connect_s=CONNECT_S,
            keep_s=KEEP_ALIVE_S,
            body_limit=BODY_LIMIT,
        )
    except UnicodeError:
        raise EndpointError("this is not the name of a host", where=place.shown, cure="Check the URL.") from None
    try:
        yield Transport(client, place, key)
    finally:
        await client.close()


def _check_literal(resolver: Resolver, host: str) -> None:
    """An address is refused before anybody is asked anything."""
    import ipaddress

    try:
        ipaddress.ip_address(host)
    except ValueError:
        return
    resolver.check(host, host)


def _plain(response: Response) -> bytes:
    """The body, decompressed."""
    encoding = response.headers.get("content-encoding")
    if encoding is None:
        return response.body
    return _decompressed(response.body, encoding.strip().lower(), response.status)


def _decompressed(body: bytes, encoding: str, status: int) -> bytes:
    """Undo a compression that nobody asked for, as some proxies apply it."""
    if encoding in {"", "identity"}:
        return body
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        raise Busy("the answer is compressed in a way that was not asked for", status=status)
    unzip = zlib.decompressobj(wbits=47)  # 32 + 15: gzip or zlib, as its header says
    plain = unzip.decompress(body, BODY_LIMIT + 1)
    if len(plain) > BODY_LIMIT:
        raise Busy(f"the answer has more than {BODY_LIMIT} bytes once decompressed", status=status)
    if not unzip.eof:
        raise Busy("the answer's compression ends too early", status=status)
    return plain
