"""An endpoint of the tests' own that does what it is told: raw HTTP on loopback, scripted answer by answer.

It runs in a thread with a loop of its own, so that no client can make it wait, and logs what it was really sent.
"""

import asyncio
import datetime as dt
import ipaddress
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RESET = object()
"""A piece of an answer: the connection is reset here."""

HANG = object()
"""A piece of an answer: nothing comes any more, and the connection stays open."""


@dataclass(frozen=True)
class Asked:
    """A request as it came. ``headers``: names in lower case; ``at``: seconds of the monotonic clock."""

    number: int
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    at: float = 0.0


@dataclass(frozen=True)
class Answer:
    """What to do. ``pieces``: bytes to send, seconds to wait, RESET or HANG; ``length``: what Content-Length claims."""

    status: int = 200
    pieces: Sequence[Any] = ()
    headers: Sequence[tuple[str, str]] = (("Content-Type", "application/json"),)
    length: int | None = None
    raw: bool = False  # no status line and no headers: the pieces are all there is


@dataclass
class HostileEndpoint:
    """``script``: an answer for each request, the last one again and again; or a function that makes one."""

    script: Sequence[Answer] | Callable[[Asked], Answer]
    url: str = ""
    log: list[Asked] = field(default_factory=list)
    connections: int = 0
    _tasks: set[Any] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        self.connections += 1
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            pass
        finally:
            writer.close()
            self._tasks.discard(asyncio.current_task())

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first = await reader.readexactly(1)
        if first == b"\x16":  # the hello of TLS, where none is spoken: the answer of most servers
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            return False
        head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        asked = Asked(len(self.log), method, target, headers, body, time.monotonic())
        self.log.append(asked)
        answer = self.script(asked) if callable(self.script) else self.script[min(asked.number, len(self.script) - 1)]
        if not answer.raw:
            size = sum(len(each) for each in answer.pieces if isinstance(each, bytes))
            lines = [f"HTTP/1.1 {answer.status} Said", *(f"{name}: {value}" for name, value in answer.headers)]
            lines.append(f"Content-Length: {size if answer.length is None else answer.length}")
            writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        for piece in answer.pieces:
            if isinstance(piece, bytes):
                writer.write(piece)
                await writer.drain()
            elif piece is RESET:
                await asyncio.sleep(0.05)  # else the reset overtakes what was sent before it
                writer.transport.abort()
                return False
            elif piece is HANG:
                await reader.read()
                return False
            else:
                await asyncio.sleep(piece)
        return not answer.raw


@contextmanager
def hostile_endpoint(
    script: Sequence[Answer] | Callable[[Asked], Answer], *, tls: ssl.SSLContext | None = None
) -> Iterator[HostileEndpoint]:
    """Run one on a free port of 127.0.0.1; its ``url`` has no path."""
    endpoint = HostileEndpoint(script)
    loop = asyncio.new_event_loop()
    started = threading.Event()
    stop = asyncio.Event()

    async def run() -> None:
        server = await asyncio.start_server(endpoint.serve, "127.0.0.1", 0, ssl=tls)
        port = server.sockets[0].getsockname()[1]
        endpoint.url = f"http{'s' if tls else ''}://127.0.0.1:{port}"
        started.set()
        await stop.wait()
        server.close()
        for task in list(endpoint._tasks):
            task.cancel()
        await asyncio.gather(*endpoint._tasks, return_exceptions=True)

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield endpoint
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def self_signed(folder: Path, host: str = "127.0.0.1") -> tuple[ssl.SSLContext, Path]:
    """A server's TLS with a certificate that nobody signed, and the file of the certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "the tests")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret = folder / "key.pem"
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, secret)
    return context, path
