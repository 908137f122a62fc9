"""As much of Hugging Face's hub as its client asks for to read a data set's files, on loopback, out of a folder."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

NAME = "some/shelf"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
_REVISION = rf"(?:main|{COMMIT})"


def _entry(root: Path, file: Path) -> dict[str, Any]:
    path = file.relative_to(root).as_posix()
    oid = hashlib.sha1(path.encode(), usedforsecurity=False).hexdigest()
    if file.is_dir():
        return {"type": "directory", "path": path, "oid": oid, "size": 0}
    return {"type": "file", "path": path, "oid": oid, "size": file.stat().st_size}


class _Hub(BaseHTTPRequestHandler):
    root: Path
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        url = urlsplit(self.path)
        path = unquote(url.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if re.fullmatch(rf"/api/datasets/{NAME}(/revision/{_REVISION})?", path):
            self._say({"id": NAME, "sha": COMMIT, "private": False, "siblings": []})
        elif found := re.fullmatch(rf"/api/datasets/{NAME}/tree/{_REVISION}/?(.*)", path):
            deep = parse_qs(url.query).get("recursive", ["false"])[0].lower() == "true"
            folder = self.root / found[1]
            if folder.is_dir():
                self._say([_entry(self.root, each) for each in sorted(folder.rglob("*") if deep else folder.iterdir())])
            else:
                self._say({"error": "Entry not found"}, 404, "EntryNotFound")
        elif re.fullmatch(rf"/api/datasets/{NAME}/paths-info/{_REVISION}", path):
            kind = self.headers.get("Content-Type", "")
            paths = json.loads(body)["paths"] if "json" in kind else parse_qs(body.decode())["paths"]
            named = [self.root / each for each in paths]
            self._say([_entry(self.root, each) for each in named if each.exists()])
        elif found := re.fullmatch(rf"/datasets/{NAME}/resolve/{_REVISION}/(.+)", path):
            self._give(self.root / found[1])
        else:
            self._say({"error": "Repository not found"}, 404, "RepoNotFound")

    def _give(self, file: Path) -> None:
        if not file.is_file():
            self._say({"error": "Entry not found"}, 404, "EntryNotFound")
            return
        content = file.read_bytes()
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if asked is None:
            self._send(200, content, {})
            return
        start, stop = int(asked[1]), min(int(asked[2]) + 1, len(content))
        place = f"bytes {start}-{stop - 1}/{len(content)}"
        self._send(206, content[start:stop], {"Content-Range": place})

    def _say(self, found: object, status: int = 200, code: str | None = None) -> None:
        self._send(status, json.dumps(found).encode(), {} if code is None else {"X-Error-Code": code})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        tag = f'"{hashlib.sha256(content).hexdigest()}"'
        known = {"Content-Length": str(len(content)), "X-Repo-Commit": COMMIT, "ETag": tag, "Accept-Ranges": "bytes"}
        for name, value in (known | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@contextmanager
def serving_hub(root: Path) -> Iterator[str]:
    """The address of a hub that holds the data set ``NAME``: the files below ``root``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Hub", (_Hub,), {"root": root}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
