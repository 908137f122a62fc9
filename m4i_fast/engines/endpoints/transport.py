"""HTTP with every guard: where it goes, how long it takes, how much comes back, and that no key gets out.

Nothing that aiohttp raises leaves this module, not even as the context of another exception: its exceptions carry the
headers that were sent.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urljoin

from m4i_fast import __version__
from m4i_fast.engines.endpoints.addresses import Place, Resolver, place_of
from m4i_fast.engines.endpoints.faults import Busy, excerpt, raise_for_status
from m4i_fast.engines.endpoints.secrets import Secret
from m4i_fast.errors import EndpointError
from m4i_fast.extras import require

if TYPE_CHECKING:
    import aiohttp

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
    """A 2xx answer. ``headers``: by any case; ``body``: decompressed."""

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
    return require("pybase64", why="asking an endpoint", extra="endpoint").b64encode  # type: ignore[no-any-return]


class Transport:
    """Sends requests to one origin. Made by ``open_transport``."""

    def __init__(self, session: aiohttp.ClientSession, place: Place, key: Secret | None) -> None:
        import aiohttp
        from yarl import URL

        self._session = session
        self._http: Any = aiohttp
        self._url = URL
        self._urls: dict[str, URL] = {}
        self.place = place
        self.key = key
        self._handshaken = False

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
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = self._url(self.place.url(path), encoded=True)
        for _ in range(REDIRECTS + 1):
            fault: Exception
            try:
                async with self._session.request(
                    method, url, data=None if body is None else _whole(body), headers=headers, allow_redirects=False
                ) as response:
                    self._handshaken = True
                    content = await _read(response)
                    status, answered = response.status, response.headers
            except self._http.ClientError as error:
                fault = self._fault(error)
            except TimeoutError:
                fault = Busy(TOO_LATE, overload=True)
            except (Busy, EndpointError) as error:
                fault = error
            except (OSError, zlib.error) as error:
                fault = Busy(f"the connection failed ({excerpt(str(error), self.key)})")
            else:
                if 200 <= status < 300:
                    return Answer(answered, content)
                if status in {301, 302, 303, 307, 308}:
                    url = self._redirected(method, url, status, answered.get("Location", ""))
                    continue
                raise_for_status(status, answered, content, where=self.place.shown, key=self.key)
            raise fault  # outside of the handlers, so that it has no context
        raise EndpointError(f"more than {REDIRECTS} redirects", where=self.place.shown, cure="Check the URL.")

    def _redirected(self, method: str, url: Any, status: int, location: str) -> Any:
        """The URL to ask next. The key goes nowhere but where the user sent it."""
        try:
            target = place_of(urljoin(str(url), location))
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
        return self._url(target.url(target.path or "/"), encoded=True)

    def _fault(self, error: Exception) -> Exception:
        """What an exception of the client means; holds nothing of it."""
        http = self._http
        reason = excerpt(str(getattr(error, "os_error", None) or error), self.key)
        if isinstance(error, TimeoutError):
            return Busy(TOO_LATE, overload=True)
        if isinstance(error, http.ClientConnectorCertificateError) or (
            # Before anything has worked it is no passing trouble: it speaks no TLS, or none that is safe.
            isinstance(error, http.ClientConnectorSSLError | http.ClientSSLError) and not self._handshaken
        ):
            return EndpointError(
                f"the endpoint's certificate or TLS is not in order ({reason})",
                where=self.place.shown,
                cure="Check the URL. For a certificate of your own authority set SSL_CERT_FILE to its file.",
            )
        if isinstance(error, http.InvalidURL):
            return EndpointError("this is not the URL of an endpoint", where=self.place.shown, cure="Check the URL.")
        if isinstance(error, http.ClientConnectorError):
            return Busy(f"no connection to {self.place.origin} ({reason})")
        if isinstance(error, http.ServerDisconnectedError | http.ClientPayloadError | http.ClientOSError):
            return Busy("the connection broke off before the answer was complete")
        # What it says may hold the request: only its kind is told.
        return Busy(f"the answer was no HTTP that can be read ({type(error).__name__})")


@asynccontextmanager
async def open_transport(
    place: Place, *, key: Secret | None, private: bool, timeout_s: float, connections: int
) -> AsyncIterator[Transport]:
    """Connections to one origin; nothing is sent yet.

    Raises:
        EndpointError: a literal address is private and that was not asked for.
        ExtraMissing: aiohttp is not installed.
    """
    aiohttp: Any = require("aiohttp", why="asking an endpoint", extra="endpoint")
    resolver = Resolver(private=private, only_loopback=key is not None and place.scheme == "http")
    _check_literal(resolver, place.host)
    headers = {
        "User-Agent": f"m4i-fast/{__version__}",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
    }
    if key is not None:
        headers["Authorization"] = f"Bearer {key.reveal()}"
    connector = aiohttp.TCPConnector(
        limit=connections,
        resolver=resolver,
        ssl=ssl.create_default_context() if place.scheme == "https" else True,
        ttl_dns_cache=60,
        keepalive_timeout=KEEP_ALIVE_S,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,  # _read has a limit, aiohttp has none
        trust_env=False,  # a proxy would be connected to instead of the address that was checked
        timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(timeout_s, CONNECT_S)),
    ) as session:
        yield Transport(session, place, key)


def _check_literal(resolver: Resolver, host: str) -> None:
    """The client asks no resolver about an address."""
    import ipaddress

    try:
        ipaddress.ip_address(host)
    except ValueError:
        return
    resolver.check(host, host)


def _whole(body: bytes) -> Any:
    """A body that is sent at once; above 1 MiB aiohttp warns of bytes, and takes a file."""
    if len(body) <= 1 << 20:
        return body
    import io

    return io.BytesIO(body)


async def _read(response: Any) -> bytes:
    """The whole body, decompressed, within BODY_LIMIT."""
    length = response.content_length
    if length is not None and length > BODY_LIMIT:
        response.close()
        raise Busy(f"the answer has {length} bytes, more than {BODY_LIMIT}", status=response.status)
    pieces = []
    size = 0
    content = response.content
    while piece := await content.readany():
        size += len(piece)
        if size > BODY_LIMIT:
            response.close()
            raise Busy(f"the answer has more than {BODY_LIMIT} bytes", status=response.status)
        pieces.append(piece)
    body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    encoding = response.headers.get("Content-Encoding")
    return body if encoding is None else _decompressed(body, encoding.strip().lower(), response.status)


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
