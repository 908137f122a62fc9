"""What goes to an endpoint of a picture: its file as it is, where the endpoint takes such files and it looks whole."""

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image

from m4i_fast.data import images
from m4i_fast.data.bytes import ImageReader
from m4i_fast.engines.endpoints import ModelIdentity, Picture, Reply
from m4i_fast.query import sending
from m4i_fast.query.asks import PLAIN, Ask
from m4i_fast.query.pictures import Wanted
from m4i_fast.query.sending import Sendable, sendable
from m4i_fast.types import Record

FORMATS = {"JPEG": "image/jpeg", "PNG": "image/png", "GIF": "image/gif", "WEBP": "image/webp", "BMP": "image/bmp"}


@dataclass
class Wants:
    """An endpoint as far as it is looked at here."""

    media_types: frozenset[str] = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif"})
    wants: Literal["file", "pixels"] = "file"
    image_size: int | None = None
    rows: int = 1
    alone: int = 0
    identity: ModelIdentity = ModelIdentity("hf", "http://h", "m")  # noqa: RUF009 - frozen

    async def ask(self, pictures: Any, *, request_id: str) -> list[Reply]:
        raise NotImplementedError


def _make(path: Path, kind: str, size: tuple[int, int] = (20, 12), **how: Any) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(path, kind, **how)
    return path.read_bytes()


def _sent(path: Path, wants: Wants, ask: Ask = PLAIN, error: str | None = None) -> Sendable:
    with ImageReader() as reader, ThreadPoolExecutor(2) as pool:
        (made,) = sendable([Wanted(0, Record("r", str(path), error=error), ask)], wants, reader, pool, 2)
    return made


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_a_file_goes_as_it_is(kind: str, tmp_path: Path) -> None:
    content = _make(tmp_path / "picture.wrong", kind)
    made = _sent(tmp_path / "picture.wrong", Wants())
    assert made.picture == Picture(content, FORMATS[kind])
    assert made.sha256 == hashlib.sha256(content).digest()
    assert made.error is None


def test_one_that_the_endpoint_does_not_take_is_made_anew(tmp_path: Path) -> None:
    content = _make(tmp_path / "a.bmp", "BMP")
    made = _sent(tmp_path / "a.bmp", Wants())
    assert made.picture is not None
    assert made.picture.media_type == "image/jpeg"
    assert made.sha256 == hashlib.sha256(content).digest(), "of the record's own file"
    with Image.open(tmp_path / "a.bmp") as old, Image.open(io.BytesIO(made.picture.content)) as new:
        assert np.abs(np.asarray(old, int) - np.asarray(new, int)).mean() < 4
    made = _sent(tmp_path / "a.bmp", Wants(frozenset({"image/png"})))
    assert made.picture is not None
    assert made.picture.media_type == "image/png"
    with Image.open(tmp_path / "a.bmp") as old, Image.open(io.BytesIO(made.picture.content)) as new:
        assert np.array_equal(np.asarray(old), np.asarray(new))


def test_a_variant_is_made_anew_and_is_the_same_each_time(tmp_path: Path) -> None:
    content = _make(tmp_path / "a.png", "PNG")
    wants = Wants(frozenset({"image/png"}))
    flipped = _sent(tmp_path / "a.png", wants, Ask("flip", 3))
    assert flipped.picture is not None
    assert (flipped.picture.sample, flipped.sha256) == (3, hashlib.sha256(content).digest())
    with Image.open(tmp_path / "a.png") as old, Image.open(io.BytesIO(flipped.picture.content)) as new:
        assert np.array_equal(np.asarray(old)[:, ::-1], np.asarray(new))
    noisy = [_sent(tmp_path / "a.png", wants, Ask("noise", sample)).picture for sample in (0, 0, 1)]
    assert noisy[0] == noisy[1]
    assert noisy[0] != noisy[2]


def test_pixels_are_made_where_they_are_wanted(tmp_path: Path) -> None:
    _make(tmp_path / "a.png", "PNG")
    made = _sent(tmp_path / "a.png", Wants(frozenset(), "pixels", 8))
    assert made.picture is not None
    assert made.picture.content == b""
    assert made.picture.pixels is not None
    assert (made.picture.pixels.shape, made.picture.pixels.dtype) == ((8, 8, 3), np.uint8)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
@pytest.mark.parametrize("missing", [2, 200])
def test_a_file_that_breaks_off_is_not_sent(kind: str, missing: int, tmp_path: Path) -> None:
    content = _make(tmp_path / "a", kind)
    (tmp_path / "a").write_bytes(content[:-missing])
    made = _sent(tmp_path / "a", Wants())
    if missing == 2 and made.picture is not None:  # its pixels are all there, as its decoding tells
        assert kind != "WEBP"
        return
    assert made.picture is None
    assert made.error
    assert made.sha256 is not None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_what_stands_behind_a_picture_goes_with_it(kind: str, tmp_path: Path) -> None:
    content = _make(tmp_path / "a", kind) + b"\0\0and more, as some cameras write it"
    (tmp_path / "a").write_bytes(content)
    made = _sent(tmp_path / "a", Wants())
    assert made.picture is not None
    assert made.picture.content == content


@pytest.mark.parametrize("content", [b"", b"no picture", b"<svg/>"])
def test_what_is_no_picture_is_not_sent(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    made = _sent(tmp_path / "a", Wants())
    assert made.picture is None
    assert made.error
    assert _sent(tmp_path / "gone", Wants()).error
    assert _sent(tmp_path, Wants()).error
    given = _sent(tmp_path / "a", Wants(), error="no image is named")
    assert (given.error, given.picture, given.sha256) == ("no image is named", None, None)


@pytest.mark.parametrize(("count", "threads"), [(1, 4), (7, 2), (64, 3)])
def test_questions_keep_their_order(count: int, threads: int, tmp_path: Path) -> None:
    contents = [_make(tmp_path / f"{row}.png", "PNG", (row + 1, 2)) for row in range(count)]
    questions = [Wanted(row, Record(f"r{row}", str(tmp_path / f"{row}.png")), PLAIN) for row in range(count)]
    with ImageReader() as reader, ThreadPoolExecutor(threads) as pool:
        made = sendable(questions, Wants(), reader, pool, threads)
    assert [each.wanted.question for each in made] == list(range(count))
    assert [each.picture.content for each in made if each.picture is not None] == contents


@pytest.mark.parametrize("kind", ["PNG", "GIF", "JPEG", "WEBP"])
def test_a_picture_of_too_many_pixels_is_not_sent(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 400 * 400)
    monkeypatch.setattr(sending, "LEAST_BOMB", 1000)
    for size, error in (((400, 400), None), ((400, 401), "image is too large")):
        _make(tmp_path / f"a.{kind}", kind, size)
        made = _sent(tmp_path / f"a.{kind}", Wants())
        assert (made.picture is None) == (error is not None)
        assert (made.error or "").startswith(error or "")


def test_a_jpeg_is_looked_at_only_where_it_could_hold_so_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for how in ({"optimize": True}, {"optimize": True, "progressive": True}):
        blank = io.BytesIO()  # nothing is smaller for its pixels
        Image.new("L", (2048, 2048)).save(blank, "JPEG", quality=1, **how)
        assert len(blank.getvalue()) * images.MAX_PIXELS / 2048**2 > 2 * sending.LEAST_BOMB
    looked: list[int] = []
    monkeypatch.setattr(sending, "need_size", lambda content: looked.append(len(content)))
    _make(tmp_path / "small.jpg", "JPEG", (100, 100))
    _make(tmp_path / "large.jpg", "JPEG", (600, 600), quality=100)
    for name in ("small.jpg", "large.jpg"):
        assert _sent(tmp_path / name, Wants()).picture is not None
    assert looked == [(tmp_path / "large.jpg").stat().st_size]
