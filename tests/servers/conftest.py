"""The real servers, one start each a process of tests, and what they must say, worked out without them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from m4i_fast.data.images import decode
from m4i_fast.data.scenes import draw_scenes
from m4i_fast.types import ImageBatch, Record
from tests.servers.asking import ask
from tests.servers.environments import HERE, Server, environment, running

PROMPT = "Describe the image in one sentence."
MAX_TOKENS = 12
"""Some of the random model's captions end before this, some are cut."""

ANY_KEY = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1"}


@dataclass(frozen=True, slots=True)
class Served:
    """A captioner behind a server.

    Attributes:
        server: its addresses.
        pixels: the model that takes uint8 [N, S, S, 3], empty where there is none.
        files: the model that takes image files.
        engine: the .onnx, None where it is a model of another kind.
        size: S in pixels, 0 where the server takes files only.
        expected: image files to the texts that the server must give, greedy, from the engine or library itself.
    """

    server: Server
    pixels: str
    files: str
    engine: Path | None
    size: int
    expected: Callable[[Sequence[Path]], list[str]]

    @property
    def url(self) -> str:
        return self.server.url


@dataclass(frozen=True, slots=True)
class Store:
    """An object store. ``environment``: what s3fs (botocore) needs to find and enter it."""

    server: Server
    environment: Mapping[str, str]

    @property
    def url(self) -> str:
        return self.server.url

    def put(self, path: str, content: bytes = b"") -> None:
        """``bucket`` makes a bucket, ``bucket/key`` an object."""
        ask(f"{self.url}/{path}", content, _signed(), method="PUT")

    def get(self, path: str) -> bytes:
        return ask(f"{self.url}/{path}", headers=_signed())[0]


def _signed() -> dict[str, str]:
    # The store wants a signature to be there, and checks none.
    claim = "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
    return {"Authorization": claim, "Content-Type": "application/octet-stream"}


@pytest.fixture(scope="session")
def environments() -> Path:
    folder = os.environ.get("M4I_FAST_SERVERS")
    if not folder:
        pytest.skip("set M4I_FAST_SERVERS to a folder for the servers' environments")
    return Path(folder)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Twelve JPEGs of scenes, of several sizes, one of them turned by its EXIF."""
    folder = tmp_path_factory.mktemp("pictures")
    files = []
    for row, pixels in enumerate(draw_scenes(12, seed=9).pixels):
        image = Image.fromarray(pixels).resize((64 + 8 * (row % 4), 64 + 12 * (row % 3)))
        exif = Image.Exif()
        if row == 5:
            exif[0x0112] = 6  # shown turned a quarter clockwise
        files.append(folder / f"{row:02d}.jpg")
        image.save(files[-1], quality=92, exif=exif)
    return files


@pytest.fixture(scope="session")
def engine(environments: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A captioner that has learned twenty scenes by heart, so that its captions tell pictures apart."""
    import torch

    from m4i_fast.export import export_captioner
    from m4i_fast.train.captioner import train_captioner
    from m4i_fast.train.settings import CaptionerSettings

    scenes = draw_scenes(20, seed=9)
    records = [
        Record(f"s{row}", "", (" ".join(texts[0].split()[: 1 + row % 7]),)) for row, texts in enumerate(scenes.captions)
    ]
    folder = tmp_path_factory.mktemp("served")
    settings = CaptionerSettings(
        backbone="small-cnn",
        embed=32,
        hidden=64,
        min_count=1,
        batch=20,
        epochs=60,
        checkpoint_every=99,
        learning_rate=5e-3,
        max_tokens=8,
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more only wait for each other where the cores are shared
    train_captioner(records, folder / "model", settings, pixels=scenes.pixels)
    export_captioner(folder / "model", folder / "captioner.onnx", sample=4)
    torch.set_num_threads(threads)
    return folder / "captioner.onnx"


def served_engine(server: Server, engine: Path) -> Served:
    """What a server of an exported captioner must say."""
    from m4i_fast.engines import open_captioner

    def expected(files: Sequence[Path]) -> list[str]:
        with open_captioner(engine) as captioner:
            names = [str(file) for file in files]
            pixels, errors = decode(names, captioner.image_size)
            found = captioner.generate(ImageBatch(tuple(names), pixels, errors))
        assert found.errors == (None,) * len(files)
        return list(found.texts)

    with open_captioner(engine) as captioner:
        size = captioner.image_size
    return Served(server, "captioner", "captioner-jpeg", engine, size, expected)


@pytest.fixture(scope="session")
def triton_server(environments: Path, engine: Path) -> Iterator[Served]:
    with running("triton", environments, "--engine", engine) as server:
        yield served_engine(server, engine)


@pytest.fixture(scope="session")
def mlserver_server(environments: Path, engine: Path) -> Iterator[Served]:
    with running("mlserver", environments, "--engine", engine) as server:
        yield served_engine(server, engine)


@pytest.fixture(scope="session")
def openai_server(
    environments: Path, pictures: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    model = tmp_path_factory.mktemp("models") / "tiny-llava"

    def directly(files: tuple[str, ...]) -> list[str]:
        command = [environment("openai", environments), HERE / "openai/model.py", "--out", model]
        command += ["--prompt", PROMPT, "--max-tokens", str(MAX_TOKENS), *files]
        done = subprocess.run(
            [str(part) for part in command], check=True, capture_output=True, env=os.environ | {"HF_HUB_OFFLINE": "1"}
        )
        texts: list[str] = json.loads(done.stdout)
        return texts

    once = cache(directly)
    once(tuple(map(str, pictures)))  # makes the model, too: torch takes its time to start
    with running("openai", environments, "--model", model) as server:
        yield Served(server, "", model.name, None, 0, lambda files: once(tuple(map(str, files))))


@pytest.fixture(scope="session")
def s3_server(environments: Path) -> Iterator[Store]:
    with running("s3", environments) as server:
        yield Store(server, {"AWS_ENDPOINT_URL": server.url, **ANY_KEY})


@pytest.fixture(scope="session")
def square(pictures: list[Path]) -> Callable[[int], np.ndarray]:
    """``square(S)``: the pictures as the tool decodes them, uint8 [12, S, S, 3]."""
    return lambda size: decode([str(file) for file in pictures], size).pixels
