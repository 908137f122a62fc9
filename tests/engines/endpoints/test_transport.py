"""Row 5 of the fault matrix: each thing a server can do wrong, over each protocol, and what becomes of it."""

import gzip
import json
import logging
import re
import time
import traceback
from pathlib import Path
from typing import Any

import pytest
from endpoint_questions import HTTP, ask, good, opening, said, script
from hostile_endpoint import HANG, RESET, Answer, Asked, hostile_endpoint, self_signed

from m4i_fast.engines.endpoints import Busy, Picture, Secret
from m4i_fast.engines.endpoints.transport import BODY_LIMIT
from m4i_fast.errors import EndpointError

KEY = "sk-tests/0123456789+abcdef=="
HTML = Answer(200, [b"<!DOCTYPE html><h1>Welcome</h1>"], [("Content-Type", "text/html")])


def fault(protocol: str, *answers: Answer, **settings: Any) -> Busy:
    with hostile_endpoint(script(protocol, *answers)) as endpoint, pytest.raises(Busy) as caught:
        ask(endpoint.url, protocol, **settings)
    return caught.value


def end(protocol: str, *answers: Answer, **settings: Any) -> EndpointError:
    with hostile_endpoint(script(protocol, *answers)) as endpoint, pytest.raises(EndpointError) as caught:
        ask(endpoint.url, protocol, **settings)
    assert caught.value.exit_code == 2
    assert caught.value.cure
    return caught.value


@pytest.mark.parametrize("protocol", HTTP)
@pytest.mark.parametrize(
    ("status", "overload"),
    [(408, False), (409, False), (425, False), (429, True), (500, False), (502, False), (503, True), (504, True)],
)
def test_what_may_pass_may_be_tried_again(protocol: str, status: int, overload: bool) -> None:
    busy = fault(protocol, said({"error": {"message": "try later"}}, status))
    assert (busy.status, busy.overload, busy.retry_after_s) == (status, overload, None)
    assert busy.what == f"the endpoint answered HTTP {status} and said: try later"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([("Retry-After", "7")], 7.0),
        ([("Retry-After", "0")], 0.0),
        ([("Retry-After", "-5")], None),
        ([("Retry-After", "999999999999")], 300.0),
        ([("Retry-After", "9" * 4000)], 300.0),
        ([("Retry-After", "soon")], None),
        ([("Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT")], None),
        ([("Retry-After", "Wed, 21 Oct 2415 07:28:00 GMT")], 300.0),
        # By the server's clock it is in 30 seconds, whatever ours says.
        ([("Date", "Wed, 21 Oct 2015 07:27:30 GMT"), ("Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT")], 30.0),
    ],
)
def test_retry_after_is_honoured_where_it_makes_sense(headers: list[tuple[str, str]], seconds: float | None) -> None:
    assert fault("hf", Answer(429, headers=headers)).retry_after_s == seconds


def test_a_model_that_is_being_loaded_says_how_long_it_takes() -> None:
    assert fault("hf", said({"error": "loading", "estimated_time": 20.5}, 503)).retry_after_s == 20.5
    assert fault("hf", said({"estimated_time": -1}, 503)).retry_after_s is None
    assert fault("hf", said({"estimated_time": 1e9}, 503)).retry_after_s == 300


@pytest.mark.parametrize("protocol", HTTP)
def test_a_slow_drip_and_silence_end_in_time(protocol: str) -> None:
    started = time.monotonic()
    dripping = [piece for byte in b'[{"generated_text": "a dog"}]' for piece in (bytes([byte]), 0.1)]
    for pieces in (dripping, [HANG], [b"{", HANG]):
        busy = fault(protocol, Answer(200, pieces, length=1000), timeout_s=0.3)
        assert busy.what == "the endpoint did not answer in time"
        assert busy.overload
    assert time.monotonic() - started < 4


@pytest.mark.parametrize("protocol", HTTP)
@pytest.mark.parametrize("pieces", [[RESET], [b'[{"gener', RESET], [b'[{"generated_text": "a'], []])
def test_a_connection_that_breaks_off_gives_no_half_answer(protocol: str, pieces: list[Any]) -> None:
    raw = pieces == []  # closed without a word
    busy = fault(
        protocol, Answer(200, pieces if pieces[-1:] == [RESET] or raw else [*pieces, RESET], length=60, raw=raw)
    )
    assert busy.what == "the connection broke off before the answer was complete"
    assert not busy.overload


@pytest.mark.parametrize("protocol", HTTP)
@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (said({"error": "CUDA out of memory"}), "HTTP 200 with an error and said: CUDA out of memory"),
        (said({"error": {"message": "busy", "code": 503}}), "HTTP 503 and said: busy"),
        (HTML, "the answer is an HTML page"),
        (Answer(502, HTML.pieces, HTML.headers), "HTTP 502 with an HTML page"),
        (Answer(200, [b"\x00\xff\xfe garbage"]), "the answer is not JSON"),
        (Answer(200, [b""]), "the answer is not JSON"),
        (Answer(200, [b"[" * 100_000]), "nested too deep"),
        (Answer(200, [b'{"a":' * 50_000]), "nested too deep"),
        (said([]), ""),
        (said({}), ""),
        (said("text"), ""),
        (said([[[{"nothing": 1}]]]), ""),
        (said({"choices": []}), ""),
        (said({"choices": [{"message": {"content": "a"}}, {"message": {"content": "b"}}], "captions": ["a", "b"]}), ""),
        (said({"choices": [{"message": {"content": 5}}], "outputs": 7, "generated_text": 5}), ""),
    ],
)
def test_a_200_that_is_no_answer_is_not_taken_for_one(protocol: str, answer: Answer, what: str) -> None:
    if protocol == "hf" and answer.pieces == [b'"text"']:
        pytest.skip("a bare text is an answer there")
    assert what in fault(protocol, answer).what


@pytest.mark.parametrize("status", [400, 413, 415, 422, 451])
@pytest.mark.parametrize("protocol", HTTP)
def test_a_refused_picture_is_an_error_of_its_row(protocol: str, status: int) -> None:
    with hostile_endpoint(
        script(protocol, said({"error": "no\x1b[31m picture\n"}, status), good(protocol))
    ) as endpoint:
        first, second = ask(endpoint.url, protocol, times=2)
    assert first.error == f"the endpoint refused this picture with HTTP {status} and said: no [31m picture"
    assert (first.text, second.text, second.error) == ("", "a dog", None)


@pytest.mark.parametrize("status", [401, 402, 403, 404, 405, 410, 418])
@pytest.mark.parametrize("protocol", HTTP)
def test_what_will_not_pass_ends_the_run(protocol: str, status: int) -> None:
    error = end(protocol, good(protocol), said({"detail": "no"}, status), times=2)
    assert error.what == f"the endpoint answered HTTP {status} and said: no"


def test_a_quota_that_is_used_up_ends_the_run() -> None:
    spent = said({"error": {"message": "pay", "code": "insufficient_quota"}}, 429)
    assert "goes on where it stopped" in str(end("openai", spent).cure)


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate"])
def test_a_bomb_is_defused(encoding: str) -> None:
    import zlib

    packed = gzip.compress if "gzip" in encoding else zlib.compress
    bomb = packed(b" " * (BODY_LIMIT + 1))
    assert len(bomb) < 10_000
    headers = [("Content-Encoding", encoding)]
    assert "once decompressed" in fault("hf", Answer(200, [bomb], headers)).what
    assert "connection failed" in fault("hf", Answer(200, [b"no gzip"], headers)).what
    fine = packed(b'{"generated_text": "a cat"}')
    assert "ends too early" in fault("hf", Answer(200, [fine[:-3]], headers)).what
    with hostile_endpoint([Answer(200, [fine], headers)]) as endpoint:
        assert ask(endpoint.url, "hf")[0].text == "a cat"
    assert "not asked for" in fault("hf", Answer(200, [fine], [("Content-Encoding", "br")])).what


def test_a_body_is_read_up_to_its_limit_only() -> None:
    assert "more than" in fault("hf", Answer(200, [HANG], length=BODY_LIMIT + 1)).what
    endless = Answer(
        200,
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *[b"10000\r\n" + b" " * 65536 + b"\r\n"] * 40],
        raw=True,
    )
    assert "more than" in fault("hf", endless).what


@pytest.mark.parametrize(
    "raw",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X%d: y\r\n" % row for row in range(5000)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http_is_a_fault_that_may_pass(raw: bytes) -> None:
    busy = fault("hf", Answer(pieces=[raw], raw=True))
    assert re.search("no HTTP that can be read|broke off", busy.what)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("protocol", HTTP)
def test_neither_key_nor_picture_follows_a_redirect_to_another_host(protocol: str, status: int) -> None:
    with hostile_endpoint([good(protocol)]) as other:
        away = Answer(status, headers=[("Location", f"{other.url}/v1/chat/completions")])
        error = end(protocol, away, key=Secret(KEY))
        assert other.log == []
        assert other.connections == 0
        assert f"redirects to another place ({other.url})" in error.what
    for location in (
        "http://user:pass@127.0.0.1/",
        "file:///etc/passwd",
        "//",
        "http://[",
        "",
        "http://127.0.0.1:99999/",
    ):
        assert "redirects" in end(protocol, Answer(status, headers=[("Location", location)])).what


def test_a_redirect_within_the_host_is_followed_with_the_whole_question() -> None:
    def answer(asked: Asked) -> Answer:
        moved = {"/models/tiny": "/moved?to=1", "/moved?to=1": "../moved/again"}
        to = moved.get(asked.target)
        return good("hf") if to is None else Answer(307, headers=[("Location", to)])

    with hostile_endpoint(answer) as endpoint:
        assert ask(endpoint.url, "hf", key=Secret(KEY))[0].text == "a dog"
    assert [each.target for each in endpoint.log] == ["/models/tiny", "/moved?to=1", "/moved/again"]
    assert len({(each.method, each.body, each.headers["authorization"]) for each in endpoint.log}) == 1
    loop = end("hf", Answer(308, headers=[("Location", "/models/tiny")]))
    assert "more than 3 redirects" in loop.what
    assert "drops the question" in end("hf", Answer(302, headers=[("Location", "/models/tiny")])).what


def test_a_certificate_that_nobody_signed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, certificate = self_signed(tmp_path)
    with hostile_endpoint(script("openai", good("openai")), tls=context) as endpoint:
        with pytest.raises(EndpointError, match="certificate or TLS") as caught:
            ask(endpoint.url, "openai", key=Secret(KEY))
        assert "SSL_CERT_FILE" in str(caught.value.cure)
        assert endpoint.log == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert ask(endpoint.url, "openai", key=Secret(KEY))[0].text == "a dog"
        assert endpoint.log[-1].headers["authorization"] == f"Bearer {KEY}"
        with pytest.raises(EndpointError, match="certificate or TLS"):  # for another name
            ask(endpoint.url.replace("127.0.0.1", "localhost"), "openai")


def test_tls_where_there_is_none_is_refused() -> None:
    with hostile_endpoint([good("hf")]) as endpoint, pytest.raises(EndpointError, match="certificate or TLS"):
        ask(endpoint.url.replace("http:", "https:"), "hf")


def test_nobody_there_is_a_fault_that_may_pass_and_an_error_at_the_opening() -> None:
    with hostile_endpoint([good("hf")]) as endpoint:
        pass
    with pytest.raises(Busy, match=f"no connection to {endpoint.url}"):
        ask(endpoint.url, "hf")
    with pytest.raises(EndpointError, match="no connection to"):
        ask(endpoint.url, "openai")
    with pytest.raises(EndpointError, match="no connection to"):
        ask("http://no-such-host.invalid", "openai")


def test_a_server_that_is_starting_is_waited_for() -> None:
    starting = [Answer(503), Answer(503)]

    def answer(asked: Asked) -> Answer:
        return starting.pop() if starting else opening("kserve", asked) or good("kserve")

    with hostile_endpoint(answer) as endpoint:
        assert ask(endpoint.url, "kserve", patience_s=5.0)[0].text == "a dog"


def test_connections_are_kept_and_cookies_are_not() -> None:
    with_cookie = good("hf")
    with_cookie = Answer(200, with_cookie.pieces, [("Set-Cookie", "track=1; Path=/")])
    with hostile_endpoint([with_cookie]) as endpoint:
        assert len(ask(endpoint.url, "hf", times=3)) == 3
    assert endpoint.connections == 1
    assert not any("cookie" in each.headers for each in endpoint.log)


def test_a_large_picture_goes_as_it_is() -> None:
    large = bytes(1_500_000)
    with hostile_endpoint([good("hf")]) as endpoint:
        ask(endpoint.url, "hf", [Picture(large)])
    assert endpoint.log[0].body == large
    assert endpoint.log[0].headers["content-type"] == "image/jpeg"


def test_a_query_goes_with_the_request_and_into_no_error() -> None:
    with hostile_endpoint([said({"error": "no"}, 404)]) as endpoint, pytest.raises(EndpointError) as caught:
        ask(f"{endpoint.url}/a/?sig=private", "hf")
    assert endpoint.log[0].target == "/a/models/tiny?sig=private"
    assert "private" not in str(caught.value)


def _everywhere(error: BaseException) -> str:
    """All that could be printed of an exception: texts, chains, tracebacks with the local variables."""
    texts = [str(error), repr(error), repr(vars(error))]
    texts += traceback.format_exception(error)
    texts += traceback.TracebackException.from_exception(error, capture_locals=True).format()
    seen = error.__context__
    while seen is not None:
        texts += [repr(seen), *traceback.TracebackException.from_exception(seen, capture_locals=True).format()]
        seen = seen.__context__
    return "\n".join(texts)


ECHO = f"your key Bearer {KEY} is bad"


@pytest.mark.parametrize(
    "answer",
    [
        said({"error": {"message": ECHO}}, 401),
        said({"error": {"message": ECHO}}, 500),
        said({"error": ECHO}),
        said({"detail": " " * 5000 + ECHO}, 429),
        Answer(404, [("a" * 195 + KEY + "b" * 3000).encode()]),
        Answer(302, headers=[("Location", f"http://{KEY[:8]}.example/{KEY}")]),
        Answer(307, headers=[("Location", f"/{KEY}")]),
        Answer(pieces=[f"HTTP/1.1 200 {KEY}\r\n{KEY}\r\n\r\n".encode()], raw=True),
        Answer(pieces=[f"{KEY}\r\n\r\n".encode()], raw=True),
        Answer(200, [RESET]),
        Answer(200, [HANG]),
        Answer(200, [f'{{"a": "{KEY}'.encode()]),
    ],
    ids=range(12),
)
@pytest.mark.parametrize("protocol", HTTP)
def test_the_key_shows_nowhere(protocol: str, answer: Answer, caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    caplog.set_level(logging.DEBUG)
    with hostile_endpoint(script(protocol, answer)) as endpoint, pytest.raises((Busy, EndpointError)) as caught:
        ask(endpoint.url, protocol, key=Secret(KEY), timeout_s=0.3)
    assert caught.value.__context__ is None
    printed = _everywhere(caught.value)
    assert any(each.headers.get("authorization") == f"Bearer {KEY}" for each in endpoint.log)
    out, err = capfd.readouterr()
    printed += "\n".join(str(vars(each)) for each in caplog.records) + out + err
    printed = re.sub(r"^    (answer|KEY|ECHO|protocol|endpoint|caught) = .*$", "", printed, flags=re.MULTILINE)
    assert KEY not in printed
    assert KEY[8:20] not in printed


@pytest.mark.parametrize("protocol", HTTP)
def test_an_answer_that_echoes_the_key_is_kept_without_it(protocol: str) -> None:
    extra = {"model": KEY, "id": KEY, "system_fingerprint": KEY, "model_name": KEY, "model_version": KEY}
    if protocol == "kserve":
        extra.pop("id")
    refusal = Answer(400, [b"x" * 180 + ECHO.encode()])
    with hostile_endpoint(script(protocol, *[good(protocol, f"a dog {KEY}", **extra)] * 2, refusal)) as endpoint:
        (reply,) = ask(endpoint.url, protocol, key=Secret(KEY))
        refused = ask(endpoint.url, protocol, key=Secret(KEY), times=2)
    assert reply.text == "a dog [key]"
    assert KEY[:8] not in str(refused[1].error)
    assert KEY not in repr(reply)


@pytest.mark.parametrize("protocol", HTTP)
def test_a_lone_surrogate_becomes_a_character_that_can_be_stored(protocol: str) -> None:
    with hostile_endpoint(script(protocol, good(protocol, "a \ud800 dog \U0001f415 \x00"))) as endpoint:
        assert ask(endpoint.url, protocol)[0].text == "a � dog \U0001f415 \x00"
    assert json.dumps("\ud800") == '"\\ud800"'  # it was really sent as one
