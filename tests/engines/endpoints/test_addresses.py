"""Which URLs and addresses are asked."""

import ipaddress
import socket
from typing import Any

import pytest
from endpoint_questions import HTTP, ask, good, script
from hostile_endpoint import hostile_endpoint
from hypothesis import given
from hypothesis import strategies as st

from m4i_fast.engines.endpoints import Secret, is_loopback
from m4i_fast.engines.endpoints.addresses import is_public, place_of
from m4i_fast.errors import EndpointError

PRIVATE = [
    *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1"),  # noqa: S104
    *("169.254.169.254", "100.64.0.1", "100.127.255.255", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"),
    *("::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::1"),
]
PUBLIC = ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@given(st.ip_addresses(v=4))
def test_an_address_in_another_dress_is_the_same(address: ipaddress.IPv4Address) -> None:
    for dressed in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert is_public(ipaddress.ip_address(dressed)) == is_public(address)


@pytest.mark.parametrize("protocol", [*HTTP, "kserve-grpc"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"])
def test_a_private_address_is_asked_only_when_that_is_wanted(protocol: str, host: str) -> None:
    with hostile_endpoint(script(protocol, good(protocol))) as endpoint:
        url = endpoint.url.replace("127.0.0.1", host)
        with pytest.raises(EndpointError) as caught:
            ask(url, protocol, private=False)
        assert endpoint.connections == 0
    assert "private address" in caught.value.what or "not the URL" in caught.value.what


def _resolved_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Names resolve to these one after the other; then again to the last."""
    left = list(addresses)

    def resolve(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        address = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.mark.parametrize("protocol", HTTP)
def test_a_name_that_resolves_to_a_private_address_is_refused(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    from m4i_fast.engines.endpoints import Picture, open_endpoint

    with hostile_endpoint(script(protocol, good(protocol))) as endpoint:
        port = endpoint.url.rpartition(":")[2]
        _resolved_to(monkeypatch, "127.0.0.1")

        async def run() -> None:  # in asyncio's own loop: it resolves by socket.getaddrinfo
            async with open_endpoint(
                f"http://rebound.example:{port}",
                protocol=protocol,
                model="tiny",
                patience_s=0,  # type: ignore[arg-type]
            ) as opened:
                await opened.ask([Picture(b"x")], request_id="q")

        with pytest.raises(EndpointError, match=r"rebound.example \(127.0.0.1\): this is a private address"):
            asyncio.run(run())
    assert endpoint.connections == 0


def test_a_key_in_clear_leaves_this_machine_neither_by_address_nor_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    key = Secret("sk-0123456789")
    for protocol in (*HTTP, "kserve-grpc"):
        with pytest.raises(EndpointError, match="a key would go there unencrypted"):
            ask("http://192.0.2.1:9", protocol, key=key, timeout_s=0.2)
    import asyncio

    from m4i_fast.engines.endpoints.addresses import Resolver

    _resolved_to(monkeypatch, "192.0.2.1")
    with pytest.raises(EndpointError, match="unencrypted"):
        asyncio.run(Resolver(private=True, only_loopback=True).addresses("localhost", 80))


def test_a_url_with_credentials_is_refused_and_not_said() -> None:
    for url in ("http://user:hunter2@127.0.0.1/", "https://hunter2@example.org/", "ftp://a:hunter2@b/"):
        with pytest.raises(EndpointError, match="holds credentials") as caught:
            place_of(url)
        assert "hunter2" not in str(caught.value)


NO_URLS = [
    *("", "example.org", "ftp://example.org", "http://", "http:///x", "http://[::1", "http://a:99999/", "file:///x"),
    *("http://a b/", "http://a/\r\nX: y", "http://a\\@b/", "http://a%00/", "javascript:alert(1)", "http://a/\x00"),
]


@pytest.mark.parametrize("url", NO_URLS)
def test_what_is_no_url_of_an_endpoint(url: str) -> None:
    with pytest.raises(EndpointError):
        place_of(url)


@given(st.text())
def test_any_text_is_a_place_or_an_error(text: str) -> None:
    for url in (text, f"http://{text}", f"https://h/{text}"):
        try:
            place = place_of(url)
        except EndpointError:
            continue
        assert place.shown.startswith(("http://", "https://"))


def test_places() -> None:
    place = place_of("HTTPS://Example.ORG:443/v1/?a=b")
    assert (place.origin, place.path, place.query) == ("https://example.org", "/v1", "a=b")
    assert place.shown == "https://example.org/v1"
    assert place.target("/v1/models") == "/v1/models?a=b"
    assert place.target("/v1/m\u00fc%20") == "/v1/m%C3%BC%20?a=b"
    assert place_of("http://[::1]:8000").origin == "http://[::1]:8000"
    local = {"http://localhost:1", "http://127.3.4.5/x", "http://[::1]:5", "https://a.localhost"}
    assert all(is_loopback(url) for url in local)
    assert not any(is_loopback(url) for url in ("http://10.0.0.1", "https://localhost.example.org"))


@pytest.mark.parametrize("url", ["user:sk-secret@127.0.0.1/v1", "http:user:sk-secret@host", "x://a:sk-secret@h"])
def test_a_key_before_an_at_sign_is_not_said_though_it_is_no_url(url: str) -> None:
    with pytest.raises(EndpointError) as caught:
        place_of(url)
    assert "sk-secret" not in str(caught.value)
