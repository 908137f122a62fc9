"""A real object store on loopback: moto's server for ``s3://``, through s3fs and the command line."""

import importlib.util
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from m4i_fast.data.bytes import EMPTY, ImageReader
from m4i_fast.data.readers import iter_records

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("moto", "flask", "s3fs")),
        reason="needs moto[server] and s3fs: pip install 'moto[server]' s3fs",
    ),
]

SERVE = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""
SETTINGS = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The store's address; it ends with this module."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            address = f"http://127.0.0.1:{int(server.stdout.readline())}"
            for _ in range(50):
                try:
                    urllib.request.urlopen(address, timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield address
        finally:
            server.stdin.close()
            server.wait(20)


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty bucket ``box`` of the store, as a file system."""
    import s3fs

    for name, value in (SETTINGS | {"AWS_ENDPOINT_URL": endpoint}).items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    files = s3fs.S3FileSystem()
    files.mkdir("box")
    yield files
    files.rm("box", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()


def shards(folder: Path, count: int) -> None:
    import io
    import tarfile

    for shard in range(2):
        with tarfile.open(folder / f"s-{shard}.tar", "w") as tar:
            for number in range(shard * count, (shard + 1) * count):
                buffer = io.BytesIO()
                Image.new("RGB", (4, 4), (number % 256, 0, 0)).save(buffer, "PNG")
                for ending, content in (("png", buffer.getvalue()), ("txt", f"caption {number}".encode())):
                    info = tarfile.TarInfo(f"{number:05d}.{ending}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))


def test_objects_and_members(tmp_path: Path, bucket: Any) -> None:
    shards(tmp_path, 20)
    bucket.put(str(tmp_path / "s-0.tar"), "box/d/s-0.tar")
    bucket.put(str(tmp_path / "s-1.tar"), "box/d/s-1.tar")
    for number in range(5):
        bucket.pipe_file(f"box/p/{number}#%.jpg", f"picture {number}".encode())
    bucket.pipe_file("box/p/sub/x.jpg", b"below")
    bucket.pipe_file("box/p/9.jpg", b"")
    local = list(iter_records(f"{tmp_path}/s-*.tar"))
    remote = list(iter_records("s3://box/d/s-*.tar"))
    assert [(each.id, each.references) for each in remote] == [(each.id, each.references) for each in local]
    folder = list(iter_records("s3://box/p"))
    assert [each.id for each in folder] == [*(f"{number}#%.jpg" for number in range(5)), "9.jpg", "sub/x.jpg"]
    with ImageReader() as reader:
        assert reader.read([each.image for each in remote]) == reader.read([each.image for each in local])
        assert reader.read([each.image for each in folder]) == [
            *(f"picture {number}".encode() for number in range(5)),
            EMPTY,
            b"below",
        ]
        assert reader.read(["s3://box/none.jpg", "s3://nobox/a.jpg"]) == ["image file not found"] * 2
        assert reader.read([remote[0].image.replace("+", "+9999")]) == [
            "the tar ends before this image does (truncated or replaced)"
        ]
        (beyond,) = reader.read(["tar:s3://box/d/s-0.tar#x.png@99999999+5"])
        assert isinstance(beyond, str)
        assert beyond.startswith("image file cannot be read")


def test_command_line(tmp_path: Path, bucket: Any) -> None:
    shards(tmp_path, 3)
    for shard in range(2):
        bucket.put(str(tmp_path / f"s-{shard}.tar"), f"box/d/s-{shard}.tar")
    done = subprocess.run(
        [sys.executable, "-m", "m4i_fast", "data", "inspect", "s3://box/d", "--near-duplicates", "--json"],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ.copy(),
    )
    found = json.loads(done.stdout)
    assert (found["format"], found["records"], found["usable"], found["captions"]) == ("webdataset", 6, 6, 6)


def test_a_store_that_is_gone(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import s3fs

    from m4i_fast.data import bytes as room
    from m4i_fast.errors import DataError

    monkeypatch.setattr(room, "PAUSE_S", 0.01)
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        with ImageReader() as reader:
            (reason,) = reader.read(["s3://box/a.jpg"])
        assert isinstance(reason, str)
        assert reason.startswith("image file could not be fetched")
        with pytest.raises(DataError, match=r"s3://box/d\.json"):
            iter_records("s3://box/d.json")
    finally:
        s3fs.S3FileSystem.clear_instance_cache()
        monkeypatch.undo()
