"""Real servers on loopback, each in a virtual environment of its own that is made once.

python tests/servers/environments.py make FOLDER               makes all the environments
python tests/servers/environments.py serve FOLDER NAME ...     starts one, prints its address as JSON, and ends it
                                                               at Ctrl-C; what follows NAME goes to its serve.py
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

from filelock import FileLock

HERE = Path(__file__).parent
READY = {
    "triton": "/v2/models/captioner-jpeg/ready",  # bound last
    "mlserver": "/v2/models/captioner-jpeg/ready",
    "openai": "/health",
    "s3": "/moto-api/data.json",
    "gcs": "/storage/v1/b",
}
"""What each server answers with 200 once it is ready."""

GRPC = frozenset({"triton", "mlserver"})
INSTALL_S, START_S, STOP_S = 900.0, 120.0, 40.0
POLL_S = 0.2

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Never through a proxy: the servers are on this machine."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs. ``grpc``: host:port, None where it speaks none."""

    name: str
    url: str
    grpc: str | None
    pid: int


def environment(name: str, folder: Path) -> Path:
    """The Python of a server's environment in ``folder``, made where it is absent, anew where its pins have changed."""
    pins = HERE / name / "requirements.txt"
    key = hashlib.sha256(pins.read_bytes() + sys.version.encode()).hexdigest()[:12]
    place = folder.resolve() / f"{name}-{key}"
    python = place / "bin/python"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock", timeout=INSTALL_S):
        if not (place / "made").exists():
            _run([sys.executable, "-m", "venv", "--clear", place])
            _run([python, "-m", "pip", "install", "-q", "--no-compile", "-r", pins])
            (place / "made").touch()
    return python


@contextlib.contextmanager
def running(name: str, folder: Path, *arguments: object, ports: tuple[int, int] | None = None) -> Iterator[Server]:
    """Start a server on 127.0.0.1 and wait until it is ready; it ends with the block, or may have been killed in it.

    Args:
        name: a key of ``READY``.
        folder: where the environments are.
        arguments: of the server's ``serve.py``, beside the ports.
        ports: for HTTP and gRPC; None: free ones.

    Raises:
        RuntimeError: it ended, or was not ready in time; the end of its log is in the message.
    """
    python = environment(name, folder)
    http, grpc = ports or free_ports()
    command = [python, HERE / name / "serve.py", "--http-port", http, *arguments]
    if name in GRPC:
        command += ["--grpc-port", grpc]
    with TemporaryFile() as log, TemporaryDirectory(prefix="m4i-server-", ignore_cleanup_errors=True) as scratch:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_plain_environment() | {"TMPDIR": scratch},  # a killed server cleans up nothing
            start_new_session=True,
        )
        assert process.stdin is not None
        try:
            server = Server(
                name, f"http://127.0.0.1:{http}", f"127.0.0.1:{grpc}" if name in GRPC else None, process.pid
            )
            fault = _wait(server.url + READY[name], process)
            if fault is not None:
                log.seek(0)
                raise RuntimeError(f"{name} {fault}:\n{log.read().decode(errors='replace')[-3000:]}")
            yield server
        finally:
            process.stdin.close()  # its lifeline: it ends itself
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait(url: str, process: subprocess.Popen[bytes]) -> str | None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if process.poll() is not None:
            return f"ended with {process.returncode} before it was ready"
        with contextlib.suppress(OSError), DIRECT.open(url, timeout=5):
            return None
        time.sleep(POLL_S)
    return f"was not ready after {START_S:.0f} s"


def free_ports() -> tuple[int, int]:
    """Two ports that nobody listens at just now."""
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def _plain_environment() -> dict[str, str]:
    # Nothing of the starter's Python, and one thread of arithmetic, so that the tests keep a core.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TRITON_", "VIRTUAL_"))}
    return kept | {"OMP_NUM_THREADS": "1", "NO_PROXY": "127.0.0.1", "PYTHONUNBUFFERED": "1"}


def _run(command: Sequence[object]) -> None:
    done = subprocess.run(
        [str(part) for part in command],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=INSTALL_S,
        env=_plain_environment(),
    )
    if done.returncode:
        raise RuntimeError(f"{command} ended with {done.returncode}:\n{done.stdout.decode(errors='replace')[-3000:]}")


def main() -> None:
    match sys.argv[1:]:
        case ["make", folder]:

            def timed(name: str) -> tuple[str, float]:
                started = time.monotonic()
                environment(name, Path(folder))
                return name, round(time.monotonic() - started, 1)

            with ThreadPoolExecutor(len(READY)) as pool:  # most of an installation waits for the network
                print(json.dumps({"seconds": dict(pool.map(timed, READY))}))
        case ["serve", folder, name, *arguments] if name in READY:
            started = time.monotonic()
            with running(name, Path(folder), *arguments) as server, contextlib.suppress(KeyboardInterrupt):
                print(json.dumps(asdict(server) | {"start_s": round(time.monotonic() - started, 1)}), flush=True)
                signal.pause()
        case _:
            sys.exit(str(__doc__))


if __name__ == "__main__":
    main()
