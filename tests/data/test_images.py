import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from m4i_fast.data import images
from m4i_fast.data.images import check_image, decode, decode_small
from m4i_fast.errors import ConfigError

RED, GREEN, WHITE = [255, 0, 0], [0, 255, 0], [255, 255, 255]


def one(path: Path, size: int = 2) -> list[list[list[int]]]:
    pixels, errors = decode([str(path)], size)
    assert errors == (None,)
    assert pixels.dtype == np.uint8
    return pixels[0].tolist()


def corners(path: Path) -> list[list[int]]:
    """Top left, top right, bottom left, bottom right of an 8 x 8 picture, unresized."""
    picture = one(path, 8)
    return [picture[0][0], picture[0][7], picture[7][0], picture[7][7]]


def reason(path: Path | str) -> str | None:
    pixels, errors = decode([str(path)], 2)
    assert not pixels.any()
    assert check_image(str(path)) == errors[0]
    return errors[0]


def left_red_right_green(width: int = 8, height: int = 8) -> Image.Image:
    image = Image.new("RGB", (width, height), tuple(RED))
    image.paste(tuple(GREEN), (width // 2, 0, width, height))
    return image


def png_with_size(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 10)) + chunk(b"IEND", b"")
    )


def test_pixels_are_rgb_in_rows_from_the_top(tmp_path: Path) -> None:
    image = Image.new("RGB", (2, 2))
    image.putdata([(1, 2, 3), (4, 5, 6), (7, 8, 9), (10, 11, 12)])
    image.save(tmp_path / "a.png")
    assert one(tmp_path / "a.png") == [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12]]]


def test_resize_is_pillows_lanczos_without_regard_to_shape(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (31, 47, 3), np.uint8))
    image.save(tmp_path / "a.png")
    wanted = np.asarray(image.resize((16, 16), Image.Resampling.LANCZOS))
    assert np.array_equal(decode([str(tmp_path / "a.png")], 16).pixels[0], wanted)
    # A soft filter would not do: the published code's choice is part of the number.
    assert not np.array_equal(np.asarray(image.resize((16, 16), Image.Resampling.BILINEAR)), wanted)


def test_many_files_and_threads_keep_their_rows(tmp_path: Path) -> None:
    paths = []
    for value in range(20):
        path = tmp_path / f"{value}.png"
        Image.new("RGB", (3, 3), (value, value, value)).save(path)
        paths.append(str(path))
    paths[7] = str(tmp_path / "absent.png")
    ticks = []
    pixels, errors = decode(paths, 4, threads=3, advance=lambda: ticks.append(1))
    wanted = list(range(20))
    wanted[7] = 0
    assert pixels[:, 0, 0, 0].tolist() == wanted
    assert [index for index, error in enumerate(errors) if error] == [7]
    assert errors[7] == "image file not found"
    assert len(ticks) == 20


def test_no_files() -> None:
    assert decode([], 4).pixels.shape == (0, 4, 4, 3)


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise: left becomes top
    left_red_right_green().save(tmp_path / "a.png", exif=exif)
    assert corners(tmp_path / "a.png") == [RED, RED, GREEN, GREEN]


def test_broken_exif_leaves_the_picture(tmp_path: Path) -> None:
    left_red_right_green().save(tmp_path / "a.png", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff garbage")
    assert corners(tmp_path / "a.png") == [RED, GREEN, RED, GREEN]


@pytest.mark.parametrize(
    ("mode", "colour", "suffix", "wanted"),
    [
        ("L", 77, "png", [77, 77, 77]),
        ("1", 1, "png", WHITE),
        ("CMYK", (0, 255, 255, 0), "tiff", RED),
        ("I;16", 65535, "png", WHITE),
        ("I;16", 257 * 100, "png", [100, 100, 100]),
        ("I;16", 257 * 100, "tiff", [100, 100, 100]),
        ("F", 0.5, "tiff", [128, 128, 128]),
        ("F", 200.0, "tiff", [200, 200, 200]),
        ("F", float("nan"), "tiff", [0, 0, 0]),
        ("RGBA", (255, 0, 0, 0), "png", WHITE),
        ("RGBA", (255, 0, 0, 255), "png", RED),
        ("LA", (0, 0), "png", WHITE),
        ("LA", (9, 255), "png", [9, 9, 9]),
    ],
)
def test_modes(tmp_path: Path, mode: str, colour: Any, suffix: str, wanted: list[int]) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.new(mode, (4, 4), colour).save(path)
    assert one(path, 1) == [[wanted]]


def test_half_transparent_is_laid_over_white(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (0, 0, 0, 51)).save(tmp_path / "a.png")  # 20 % black
    assert one(tmp_path / "a.png", 1) == [[[204, 204, 204]]]


@pytest.mark.parametrize("transparency", [1, bytes([255, 0])])
def test_palette_with_a_transparent_entry(tmp_path: Path, transparency: int | bytes) -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([*RED, *GREEN])
    image.paste(1, (4, 0, 8, 8))
    image.save(tmp_path / "a.png", transparency=transparency)
    assert corners(tmp_path / "a.png") == [RED, WHITE, RED, WHITE]


def test_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), tuple(colour)) for colour in (RED, GREEN)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert one(tmp_path / "a.gif", 1) == [[RED]]


def test_progressive_jpeg_and_wrong_suffix(tmp_path: Path) -> None:
    left_red_right_green(64, 64).save(tmp_path / "a.png", format="JPEG", progressive=True, quality=95)
    assert np.abs(np.array(corners(tmp_path / "a.png")) - np.array([RED, GREEN, RED, GREEN])).max() < 20


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1)])
def test_thin_pictures(tmp_path: Path, shape: tuple[int, int]) -> None:
    Image.new("RGB", shape, (5, 6, 7)).save(tmp_path / "a.png")
    assert one(tmp_path / "a.png", 3) == [[[5, 6, 7]] * 3] * 3


def test_thumbnails_of_large_jpegs_are_nearly_the_same(tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.arange(0, 256, dtype=np.uint8)[None, :, None], (256, 256, 3))
    Image.fromarray(np.ascontiguousarray(ramp)).save(tmp_path / "a.jpg", quality=95)
    full = decode([str(tmp_path / "a.jpg")], 16).pixels.astype(int)
    small = decode_small([str(tmp_path / "a.jpg")], 16).pixels.astype(int)
    assert np.abs(full - small).max() <= 4


def test_absent_empty_and_garbage(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("hello")
    assert reason(tmp_path / "absent.jpg") == "image file not found"
    assert reason(tmp_path / "text.jpg" / "below.jpg") == "image file not found"
    assert reason(tmp_path / "empty.jpg") == "image file is empty"
    assert reason(tmp_path / "text.jpg") == "not an image, or of an unknown format"
    assert reason("") == "image file not found"


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tiff", "webp"])
def test_truncated(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(1)
    buffer = io.BytesIO()
    name = {"jpg": "JPEG"}.get(suffix, suffix.upper())
    Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(buffer, name)
    (tmp_path / f"a.{suffix}").write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    assert reason(tmp_path / f"a.{suffix}") is not None


def test_truncated_jpeg_says_so(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8)).save(buffer, "JPEG")
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue()[:-400])
    assert reason(tmp_path / "a.jpg") == "image file is truncated"


@pytest.mark.parametrize("side", [9_500, 14_000, 60_000])
def test_bombs_are_refused_by_their_header(tmp_path: Path, side: int) -> None:
    # Above the limit, above twice the limit (where Pillow itself raises), and absurd.
    (tmp_path / "bomb.png").write_bytes(png_with_size(side, side))
    assert reason(tmp_path / "bomb.png") == "image is too large: more than 89,478,485 pixels"


def test_the_largest_size_is_the_tools_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (10, 10)).save(tmp_path / "a.png")
    monkeypatch.setattr(images, "MAX_PIXELS", 99)
    assert reason(tmp_path / "a.png") == "image is too large: more than 99 pixels"


def test_postscript_is_never_run(tmp_path: Path) -> None:
    (tmp_path / "a.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n")
    assert reason(tmp_path / "a.eps") == "not an image, or of an unknown format"


def test_things_that_are_no_files_do_not_make_it_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "a.jpg").symlink_to(tmp_path / "b.jpg")
    (tmp_path / "b.jpg").symlink_to(tmp_path / "a.jpg")
    (tmp_path / "folder.jpg").mkdir()
    assert reason(tmp_path / "fifo.jpg") == "image path is a FIFO, not a file"
    assert reason(tmp_path / "a.jpg") == "image path is a loop of links"
    assert reason(tmp_path / "folder.jpg") == "image path is a folder, not a file"
    assert reason("/dev/zero") == "image path is a device, not a file"
    assert reason("a\0b.jpg") == "image path is not a valid file name (it holds a NUL)"
    assert reason("x" * 5000).startswith("image file cannot be opened")


def test_files_are_closed(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no")
    before = len(list(Path("/proc/self/fd").iterdir()))
    decode([str(tmp_path / "a.png"), str(tmp_path / "b.png"), str(tmp_path)] * 20, 2)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


@pytest.mark.parametrize(("size", "threads"), [(0, 1), (2, 0)])
def test_senseless_settings(size: int, threads: int) -> None:
    with pytest.raises(ConfigError, match="must be at least 1"):
        decode([], size, threads=threads)


@pytest.mark.parametrize("value", [65_536, -1])
def test_integers_whose_white_nobody_knows_are_refused(tmp_path: Path, value: int) -> None:
    path = tmp_path / "a.tiff"
    Image.fromarray(np.full((4, 4), value, np.int32)).save(path)
    pixels, (error,) = decode([str(path)], 4)
    assert error == (
        "image cannot be decoded (grey of 32-bit integers beyond 16 bits: nothing says which value is white)"
    )
    assert not pixels.any()
