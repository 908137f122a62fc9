"""HTTP/1.1 to one origin: connections are kept, answers are bounded, one question at a time on each.

A client for all that HTTP can be takes 130 us of processor time a request, half of what a query may take in all; this
one knows what an endpoint needs and takes 25. What is hard is done by others: llhttp (httptools) reads answers, the
loop's TLS encrypts, aiohappyeyeballs connects.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

import httptools
from aiohappyeyeballs import start_connection

from m4i_fast.engines.endpoints.addresses import AddressInfo, Place, Resolver

__all__ = ["BrokenOff", "HttpClient", "NoConnection", "NotHttp", "Response", "TooLong"]

HEAD_LIMIT = 64 << 10
"""Bytes of an answer's status and headers."""

HEADER_COSTS = 32
"""Bytes that each header counts beside its own, as in RFC 9113, 10.5.1: many are a burden, too."""

LONG_HEAD = "its headers are too long"

NEXT_ADDRESS_S = 0.25
"""Until the next address of a name is tried beside the one that has not answered yet (RFC 8305)."""

RESOLVED_S = 60.0
"""How long the addresses of a name are good for."""


class Response(NamedTuple):
    """An answer. ``headers``: names in lower case, the first of each; ``body``: as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoConnection(Exception):  # noqa: N818 - says what happened
    """Nobody could be connected to; its cause is an OSError, ssl.SSLError among them."""


class BrokenOff(Exception):  # noqa: N818 - as NoConnection
    """The connection was lost before the answer was whole."""


class NotHttp(Exception):  # noqa: N818 - as NoConnection
    """What came is no answer in HTTP; its text is a kind of fault, nothing that was sent."""


class TooLong(Exception):  # noqa: N818 - as NoConnection
    """The answer is longer than allowed; its text says what it is, after 'the answer has'."""


class HttpClient:
    """Asks one origin.

    Args:
        place: the origin.
        resolver: gives the addresses that may be connected to.
        tls: for https; None for http.
        headers: sent with each request.
        connections: open at once, at most; who asks more waits.
        timeout_s: of a request, from its turn to the last byte of the answer.
        connect_s: of a connection, TLS included.
        keep_s: an idle connection is dropped after so long.
        body_limit: bytes of an answer's body.
    """

    def __init__(
        self,
        place: Place,
        *,
        resolver: Resolver,
        tls: ssl.SSLContext | None,
        headers: Mapping[str, str],
        connections: int,
        timeout_s: float,
        connect_s: float,
        keep_s: float,
        body_limit: int,
    ) -> None:
        self._host, self._port = place.host, place.port
        named = {"Host": place.origin.partition("://")[2].encode("idna").decode(), **headers}
        self._common = _lines(named)
        self._resolver = resolver
        self._tls = tls
        self._timeout_s = timeout_s
        self._connect_s = min(connect_s, timeout_s)
        self._keep_s = keep_s
        self._body_limit = body_limit
        self._room = asyncio.Semaphore(connections)
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()
        self._resolved: tuple[float, Sequence[AddressInfo]] = (0.0, ())

    async def ask(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> Response:
        """Send a request and wait for the whole answer; one attempt, whatever its status.

        Args:
            method: GET or POST.
            target: path and query, as they go into the request.
            body: or None.
            headers: beside those of all requests.

        Raises:
            TimeoutError: it took too long.
            NoConnection, BrokenOff, NotHttp, TooLong: see there.
            EndpointError: the name resolves to an address that is not allowed.
        """
        length = b"" if body is None else b"Content-Length: %d\r\n" % len(body)
        head = b"%s %s HTTP/1.1\r\n%s%s%s\r\n" % (
            method.encode(),
            target.encode(),
            self._common,
            _lines(headers),
            length,
        )
        loop = asyncio.get_running_loop()
        async with self._room:
            until = loop.time() + self._timeout_s
            connection = self._kept(loop) or await self._connect(loop)
            self._open.add(connection)
            late = loop.call_at(until, connection.fail, TimeoutError())
            try:
                response = await connection.send((head,) if body is None else (head, body))
            except BaseException:
                connection.drop()
                raise
            finally:
                late.cancel()
                self._open.discard(connection)
            # After a failure of its own many a server closes without a word, and the next request would fall into that.
            if response.status < 500 and connection.reusable():
                connection.since = loop.time()
                self._idle.append(connection)
            else:
                connection.drop()
            return response

    async def close(self) -> None:
        """Drop all connections."""
        for connection in (*self._idle, *self._open):
            connection.drop()
        self._idle.clear()
        await asyncio.sleep(0)  # the loop tells them

    def _kept(self, loop: asyncio.AbstractEventLoop) -> _Connection | None:
        """The connection that was used last, if it may still be open at the other end."""
        oldest = loop.time() - self._keep_s
        while self._idle:
            connection = self._idle.pop()
            if connection.since >= oldest and connection.reusable():
                return connection
            connection.drop()
        return None

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> _Connection:
        try:
            async with asyncio.timeout(self._connect_s):
                socket = await start_connection(
                    await self._addresses(loop), happy_eyeballs_delay=NEXT_ADDRESS_S, interleave=1, loop=loop
                )
                try:
                    _, connection = await loop.create_connection(
                        lambda: _Connection(loop, self._body_limit),
                        sock=socket,
                        ssl=self._tls,
                        server_hostname=None if self._tls is None else self._host,
                    )
                except BaseException:
                    socket.close()
                    raise
        except TimeoutError:
            raise
        except OSError as error:  # ssl.SSLError is one
            raise NoConnection from error
        return connection

    async def _addresses(self, loop: asyncio.AbstractEventLoop) -> Sequence[AddressInfo]:
        since, found = self._resolved
        if not found or loop.time() - since > RESOLVED_S:
            found = await self._resolver.addresses(self._host, self._port)
            self._resolved = loop.time(), found
        return found


class _Connection(asyncio.Protocol):
    """One connection. What llhttp finds it tells by the ``on_`` functions."""

    def __init__(self, loop: asyncio.AbstractEventLoop, body_limit: int) -> None:
        self.since = 0.0
        self._loop = loop
        self._body_limit = body_limit
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Response] | None = None
        self._parser = httptools.HttpResponseParser(self)
        # What browsers let pass, too: there is nobody behind us whom a loose end could mislead.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._begin()

    def _begin(self) -> None:
        self._status = 0  # until the headers are whole
        self._headers: dict[str, str] = {}
        self._pieces: list[bytes] = []
        self._size = 0
        self._head_size = 0  # of headers that are whole
        self._fed = 0  # until all are

    def send(self, message: Sequence[bytes]) -> asyncio.Future[Response]:
        """Write a request; the answer, or why there is none."""
        self._begin()
        answer = self._answer = self._loop.create_future()
        if self._transport is None or self._transport.is_closing():
            self.fail(BrokenOff())
        else:
            self._transport.writelines(message)
        return answer

    def reusable(self) -> bool:
        """Whether another request may be sent."""
        transport = self._transport
        # A server that answers before it has read everything leaves something of the request in the buffer.
        return transport is not None and not transport.is_closing() and transport.get_write_buffer_size() == 0

    def drop(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def fail(self, fault: BaseException) -> None:
        """End the request that is under way, if one is, and the connection."""
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(fault)
        self.drop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As the loop says."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """As the loop says."""
        if self._answer is None:  # nobody has asked
            self.drop()
            return
        if not self._status:
            self._fed += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.fail(NotHttp(type(error).__name__))
        if not self._status and self._fed > HEAD_LIMIT:
            self.fail(NotHttp(LONG_HEAD))

    def connection_lost(self, exc: Exception | None) -> None:
        """As the loop says."""
        headers = self._headers
        framed = "content-length" in headers or "transfer-encoding" in headers
        if self._answer is not None and exc is None and self._status and not framed:
            self._end()  # RFC 9112, 6.3: it ends with the connection
        self.fail(BrokenOff())

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header is there."""
        self._head_size += len(name) + len(value) + HEADER_COSTS
        if self._head_size > HEAD_LIMIT:
            self.fail(NotHttp(LONG_HEAD))
        elif not self._status:  # else it is a trailer
            self._headers.setdefault(name.decode("latin-1").lower(), value.decode("utf-8", "replace").strip())

    def on_headers_complete(self) -> None:
        """All headers are there."""
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            self._headers = {}  # the answer is still to come
            return
        self._status = status
        length = self._headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > self._body_limit:
            self.fail(TooLong(f"{length[:20]} bytes, more than {self._body_limit}"))

    def on_body(self, piece: bytes) -> None:
        """A piece of the body is there."""
        self._size += len(piece)
        if self._size > self._body_limit:
            self.fail(TooLong(f"more than {self._body_limit} bytes"))
        elif self._answer is not None:
            self._pieces.append(piece)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        if self._status:
            self._end()

    def _end(self) -> None:
        answer, self._answer = self._answer, None
        if answer is None or answer.done():
            self.drop()  # a second answer to one question: it would be taken for that of the next
            return
        if not self._parser.should_keep_alive() and self._transport is not None:
            self._transport.close()
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        answer.set_result(Response(self._status, self._headers, body))


def _lines(headers: Mapping[str, str]) -> bytes:
    text = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if text.count("\n") != len(headers) or text.count("\r") != len(headers):
        raise ValueError("a header holds an end of line")  # without the header: it may be the key
    return text.encode("latin-1")
