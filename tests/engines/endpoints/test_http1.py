"""The client itself: what each connection does with what comes, and which connections are kept."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hostile_endpoint import Answer, hostile_endpoint

from m4i_fast.engines.endpoints import event_loop
from m4i_fast.engines.endpoints.addresses import Resolver, place_of
from m4i_fast.engines.endpoints.http1 import HEAD_LIMIT, BrokenOff, HttpClient, NoConnection, NotHttp, Response, TooLong

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def client(url: str, **settings: Any) -> HttpClient:
    given = {"headers": {}, "connections": 2, "timeout_s": 5.0, "connect_s": 5.0, "keep_s": 5.0, "body_limit": 1000}
    resolver = Resolver(private=True, only_loopback=False)
    return HttpClient(place_of(url), resolver=resolver, tls=None, **(given | settings))


def run(url: str, work: Callable[[HttpClient], Awaitable[Any]], loop: Any = event_loop, **settings: Any) -> Any:
    async def whole() -> Any:
        http = client(url, **settings)
        try:
            return await work(http)
        finally:
            await http.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(whole())


async def get(http: HttpClient) -> Response:
    return await http.ask("GET", "/", None, {})


def said(*pieces: Any, **settings: Any) -> Response:
    with hostile_endpoint([Answer(pieces=pieces, raw=True)]) as endpoint:
        answer: Response = run(endpoint.url, get, **settings)
        return answer


@pytest.mark.parametrize("loop", [event_loop, asyncio.new_event_loop])
@pytest.mark.parametrize(
    ("pieces", "body"),
    [
        ([OK], b"ok"),
        ([bytes([byte]) for byte in OK], b"ok"),
        ([b"HTTP/1.1 100 Continue\r\n\r\n" + OK], b"ok"),
        ([b"HTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\n\r\n", 0.02, OK], b"ok"),
        ([b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\nAge: 1\r\n\r\n"], b"ok"),
        ([b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\no", 0.02, b"k"], b"ok"),
        ([b"HTTP/1.0 200 OK\r\n\r\nok"], b"ok"),
        ([b"HTTP/1.1 200 OK\r\n\r\n"], b""),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], b""),
        ([b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"], b"ok"),
        ([OK + OK], b"ok"),
    ],
)
def test_whole_answers(loop: Any, pieces: list[Any], body: bytes) -> None:
    answer = said(*pieces, loop=loop)
    assert answer.body == body
    assert answer.status in {200, 204}
    assert "age" not in answer.headers


def test_headers_have_lower_case_names_and_the_first_of_each_counts() -> None:
    headers = b"X-Empty:\r\nRETRY-After:  7 \r\nretry-after: 9\r\nX-Odd: \xff\xc3\xa9\r\nContent-Length: 0\r\n\r\n"
    answer = said(b"HTTP/1.1 429 No\r\n" + headers)
    assert answer == Response(
        429, {"x-empty": "", "retry-after": "7", "x-odd": "\ufffd\u00e9", "content-length": "0"}, b""
    )


@pytest.mark.parametrize(
    ("raw", "fault", "says"),
    [
        (b"", BrokenOff, ""),
        (b"HTTP/1.1 200 OK\r\nContent-Le", BrokenOff, ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", BrokenOff, ""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", BrokenOff, ""),
        (b"SSH-2.0-OpenSSH_9.2\r\n", NotHttp, "HttpParser"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", NotHttp, "Upgrade"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", NotHttp, "HttpParser"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * HEAD_LIMIT, NotHttp, "headers are too long"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * HEAD_LIMIT, NotHttp, "headers are too long"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 3000 + b"\r\n", NotHttp, "headers are too long"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", TooLong, "1001 bytes, more than 1000"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"y" * 1001, TooLong, "more than 1000 bytes"),
    ],
)
def test_what_is_no_whole_answer(raw: bytes, fault: type[Exception], says: str) -> None:
    with pytest.raises(fault, match=says or None):
        said(raw)


def test_a_body_of_exactly_the_limit_is_read() -> None:
    assert said(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"y" * 1000).body == b"y" * 1000


def test_a_request_is_sent_word_for_word() -> None:
    async def post(http: HttpClient) -> Response:
        return await http.ask("POST", "/a?b=c", b"\x00body", {"X-Own": "1"})

    with hostile_endpoint([Answer()]) as endpoint:
        run(endpoint.url, post, headers={"User-Agent": "tests"})
        (asked,) = endpoint.log
    assert (asked.method, asked.target, asked.body) == ("POST", "/a?b=c", b"\x00body")
    host = endpoint.url.removeprefix("http://")
    assert asked.headers == {"host": host, "user-agent": "tests", "x-own": "1", "content-length": "5"}


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb"])
def test_no_header_can_bring_another(value: str) -> None:
    with hostile_endpoint([Answer()]) as endpoint:
        with pytest.raises(ValueError, match="end of line"):
            run(endpoint.url, lambda http: http.ask("GET", "/", None, {"X-Request-ID": value}))
        assert endpoint.log == []


async def several(http: HttpClient) -> list[Response]:
    found = []
    for _ in range(3):
        found.append(await get(http))
        await asyncio.sleep(0.05)  # what is late comes between two requests
    return found


@pytest.mark.parametrize(
    ("answer", "connections"),
    [
        (Answer(200, [b"ok"]), 1),
        (Answer(429, [b"ok"]), 1),
        (Answer(500, [b"ok"]), 3),
        (Answer(200, [b"ok"], [("Connection", "close")]), 3),
        # What stands behind an answer is nobody's, and would be taken for the next one.
        (Answer(200, [b"ok" + OK.replace(b"ok", b"no")], length=2), 3),
        (Answer(200, [b"ok", 0.02, OK.replace(b"ok", b"no")], length=2), 3),
        (Answer(200, [b"okgarbage"], length=2), 3),
    ],
)
def test_a_connection_is_kept_where_it_may_be(answer: Answer, connections: int) -> None:
    with hostile_endpoint([answer]) as endpoint:
        assert [each.body for each in run(endpoint.url, several)] == [b"ok"] * 3
        assert endpoint.connections == connections


def test_an_idle_connection_is_given_up_after_a_while() -> None:
    async def slowly(http: HttpClient) -> None:
        await get(http)
        await asyncio.sleep(0.1)
        await get(http)

    with hostile_endpoint([Answer(200, [b"ok"])]) as endpoint:
        run(endpoint.url, slowly, keep_s=0.05)
        assert endpoint.connections == 2


def test_no_more_connections_than_allowed() -> None:
    async def many(http: HttpClient) -> None:
        await asyncio.gather(*[get(http) for _ in range(12)])

    with hostile_endpoint([Answer(200, [0.02, b"ok"])]) as endpoint:
        run(endpoint.url, many, connections=3)
        assert (endpoint.connections, len(endpoint.log)) == (3, 12)


def test_whoever_stops_waiting_takes_the_connection_along() -> None:
    async def cancelled(http: HttpClient) -> Response:
        task = asyncio.create_task(get(http))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return await get(http)

    answers = [Answer(200, [0.3, b"late"]), Answer(200, [b"ok"])]
    with hostile_endpoint(answers) as endpoint:
        assert run(endpoint.url, cancelled).body == b"ok"
        assert endpoint.connections == 2


def test_time_is_counted_to_the_last_byte() -> None:
    with pytest.raises(TimeoutError):
        said(*[piece for byte in OK for piece in (bytes([byte]), 0.05)], timeout_s=0.3)


def test_nobody_there() -> None:
    with hostile_endpoint([Answer()]) as endpoint:
        pass
    with pytest.raises(NoConnection):
        run(endpoint.url, get)
