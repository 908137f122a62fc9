"""Where a request may go: the URL's form, public and private addresses, one origin.

A name is judged by the addresses that are really connected to: the HTTP client resolves through ``Resolver`` and
connects to what it gave, so a name that resolves to another address a moment later gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import string
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urlsplit

from m4i_fast.errors import EndpointError

__all__ = ["AddressInfo", "Place", "Resolver", "is_loopback", "is_public", "place_of"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
AddressInfo = tuple[
    socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
]
"""As ``getaddrinfo`` gives it: family, kind, protocol, name, and the address with its port."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Place:
    """A URL that may be asked, taken apart.

    Attributes:
        scheme: http or https.
        host: lower case; a literal IPv6 address without brackets.
        port: given or the scheme's own.
        path: without a slash at its end; may be empty.
        query: without the question mark; may hold what nobody should read, so it is never shown.
    """

    scheme: str
    host: str
    port: int
    path: str
    query: str = ""

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"

    @property
    def shown(self) -> str:
        """The URL for people: no query."""
        return self.origin + self.path

    def target(self, path: str) -> str:
        """Another path at this place, with its query, as a request carries it: ASCII alone."""
        return quote(path + (f"?{self.query}" if self.query else ""), safe=string.punctuation)


@dataclass(frozen=True, slots=True)
class Resolver:
    """Resolves names for the HTTP client and refuses addresses that were not asked for.

    Attributes:
        private: addresses that are not public are allowed.
        only_loopback: none but this machine's: a key in clear must not leave it.
    """

    private: bool
    only_loopback: bool

    def check(self, address: str, host: str) -> None:
        """Refuse a literal address.

        Raises:
            EndpointError: it is private and that was not asked for, or would see a key in clear.
        """
        literal = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
        named = host if host == address else f"{host} ({address})"
        if self.only_loopback and not _inner(literal).is_loopback:
            raise EndpointError(
                "a key would go there unencrypted", where=f"http://{named}", cure="Give an https:// URL, or no key."
            )
        if not self.private and not is_public(literal):
            raise EndpointError(
                "this is a private address", where=named, cure="If you mean it, allow it with --private."
            )

    async def addresses(self, host: str, port: int) -> Sequence[AddressInfo]:
        """All addresses of a name, as ``getaddrinfo`` gives them, each checked.

        Raises:
            OSError: it has none.
            EndpointError: as ``check``.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        for *_, address in found:
            self.check(str(address[0]), host)
        if not found:
            raise OSError(f"{host} has no address")
        return found


def place_of(url: str) -> Place:
    """Take a URL apart.

    Raises:
        EndpointError: no http or https URL with a host, or it holds credentials.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise EndpointError("this is not a URL", where="url", cure="Give one like https://host/path.") from None
    if parts.username is not None or parts.password is not None:  # before anything that shows the URL
        raise EndpointError(
            "the URL holds credentials, which would end up in logs",
            where=host,
            cure="Take 'user:password@' away and give the key by an environment variable or a file.",
        )
    if parts.scheme not in _PORTS or not host:
        raise EndpointError(
            "this is not the URL of an endpoint", where=_shown(parts), cure="Give one like https://host/path."
        )
    if not re.fullmatch(r"[^\x00-\x20\x7f\\]*", url) or "%" in host:
        raise EndpointError("the URL holds a character that no URL has", where=host, cure="Write it as %XX.")
    return Place(parts.scheme, host, port or _PORTS[parts.scheme], parts.path.rstrip("/"), parts.query)


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine: ``localhost`` or a loopback address."""
    host = place_of(url).host
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return _inner(ipaddress.ip_address(host)).is_loopback
    except ValueError:
        return False


def is_public(address: Address) -> bool:
    """Whether anybody on the internet could mean this address.

    Loopback, private, link-local, shared (CGNAT), unique local, metadata services, multicast and reserved ones are
    not, also inside an IPv6 address that stands for one of IPv4.
    """
    inner = _inner(address)
    return inner.is_global and not (inner.is_multicast or inner.is_reserved or inner.is_unspecified)


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, or itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    low = int(address) & 0xFFFF_FFFF
    compatible = int(address) >> 32 == 0 and low > 1  # ::1 and :: are themselves
    return ipaddress.IPv4Address(low) if compatible or address in _NAT64 else address


def _shown(parts: SplitResult) -> str:
    # Without a scheme it was not taken apart, and a key may stand before the @.
    if "@" in parts.netloc + parts.path:
        return "url"
    return f"{parts.scheme}:{parts.netloc or parts.path}"[:200] if parts.scheme else "url"
