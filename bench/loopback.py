"""An endpoint in a process of its own that does nothing but wait, and a client that asks it: who is the slower?

As a program (``python -m m4i_fast.bench.loopback``) it is one of the two. The server speaks as much HTTP and OpenAI as
``query_endpoint`` needs, on bare sockets, so that it is never what is waited for. Both keep to a core.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, cast

__all__ = ["Asked", "asked", "serving"]

LATENCY_S: Final = 0.05
AT_ONCE: Final = 200
START_S: Final = 30.0

_CAPTION: Final = "a brown dog runs along a wide beach with a red ball"
_ANSWER: Final = json.dumps(
    {
        "id": "bench",
        "object": "chat.completion",
        "model": "waiting",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": _CAPTION}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 300, "completion_tokens": 12, "total_tokens": 312},
    }
).encode()
_MODELS: Final = json.dumps({"object": "list", "data": [{"id": "waiting", "object": "model"}]}).encode()


def _message(status: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
    return head + body


_OK: Final = _message(b"200 OK", _ANSWER)
_LIST: Final = _message(b"200 OK", _MODELS)
_BUSY: Final = _message(b"429 Too Many Requests", b'{"error":{"message":"too many at once"}}')


class _Server(asyncio.Protocol):
    """One connection; requests on it come one after the other, as HTTP without pipelining has them."""

    under_way = 0  # of all connections
    refused = 0
    most = 0

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._left = 0  # bytes of the body that are still to come
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._left:
            self._left -= len(data)
            if self._left <= 0:
                self._asked()
            return
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            return
        head, rest = self._head[:end], len(self._head) - end - 4
        self._head = b""
        if head.startswith(b"GET"):
            self._say(_LIST)
            return
        at = head.lower().find(b"content-length:")
        self._left = int(head[at + 15 :].split(b"\r\n", 1)[0]) - rest
        if self._left <= 0:
            self._asked()

    def _asked(self) -> None:
        self._left = 0
        kind = _Server
        if kind.under_way >= AT_ONCE:
            kind.refused += 1
            self._say(_BUSY)
            return
        kind.under_way += 1
        kind.most = max(kind.most, kind.under_way)
        asyncio.get_running_loop().call_later(LATENCY_S, self._answer)

    def _answer(self) -> None:
        _Server.under_way -= 1
        self._say(_OK)

    def _say(self, message: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(message)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Server, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Until whoever started it goes away.
    await loop.run_in_executor(None, sys.stdin.read)
    print(json.dumps({"refused": _Server.refused, "most": _Server.most, "cpu_s": time.process_time()}), flush=True)
    server.close()


@contextmanager
def serving(cores: Sequence[int]) -> Iterator[int]:
    """The endpoint's port, while inside."""
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "m4i_fast.bench.loopback", "serve", _joined(cores)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        try:
            process.wait(START_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


class Asked(dict[str, float]):
    """``wall_s``, ``cpu_s`` (of the client) and ``queries`` of one run."""


def asked(port: int, folder: Path, cores: Sequence[int]) -> Asked:
    """Ask about the ``records.parquet`` in a run folder by ``query_endpoint``, in a process of its own."""
    done = subprocess.run(  # noqa: S603 - as above
        [sys.executable, "-m", "m4i_fast.bench.loopback", "ask", _joined(cores), str(port), str(folder)],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return Asked(json.loads(done.stdout.splitlines()[-1]))


def _ask(port: str, folder: str) -> None:
    from m4i_fast.progress import hush
    from m4i_fast.query.endpoint import Address, query_endpoint
    from m4i_fast.query.records import FiledRecords
    from m4i_fast.query.remote import Manners
    from m4i_fast.runs import open_run

    hush()
    with open_run(Path(folder)) as run:
        records = FiledRecords(run.path("records.parquet"))
        cpu, begun = time.process_time(), time.perf_counter()
        report = query_endpoint(
            run,
            records,
            Address(f"http://127.0.0.1:{port}/v1", "openai", private=True),
            manners=Manners(qps=None, concurrency=AT_ONCE),
        )
        wall_s = time.perf_counter() - begun
    faults = report.spent.faults if report.spent is not None else 0
    told = {"wall_s": wall_s, "cpu_s": time.process_time() - cpu, "queries": report.asked, "faults": faults}
    print(json.dumps(told | {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000}))


def _joined(cores: Sequence[int]) -> str:
    return ",".join(str(core) for core in cores)


def main(what: str, cores: str, *given: str) -> None:
    """``serve CORES``, or ``ask CORES PORT FOLDER``."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [int(core) for core in cores.split(",")])
    if what == "serve":
        from m4i_fast.engines.endpoints import event_loop

        with asyncio.Runner(loop_factory=event_loop) as runner:
            runner.run(_serve())
    else:
        _ask(*given)


if __name__ == "__main__":
    main(*sys.argv[1:])
