import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageFilter

from m4i_fast.data import duplicates
from m4i_fast.data.duplicates import (
    Signatures,
    confirmed,
    duplicate_groups,
    identical_files,
    image_groups,
    near_duplicates,
    signatures,
    signatures_of_pixels,
)

KNOWN = {"2851198725_37b6027625", "3050606344_af711c726c"}
"""The one photo that Flickr8k holds twice."""


def photo(seed: int, size: int = 96) -> Image.Image:
    """Something with the broad shapes of a photo: smooth noise in colour."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (7, 7, 3), np.uint8))
    return coarse.resize((size, size), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(1))


def signed(*images: Image.Image) -> Signatures:
    pixels = np.stack([np.asarray(image.convert("RGB").resize((32, 32), Image.Resampling.LANCZOS)) for image in images])
    hashes, thumbnails = signatures_of_pixels(pixels)
    return Signatures(hashes, thumbnails, (None,) * len(images))


def recompressed(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue()))


def test_pairs_by_hand() -> None:
    hashes = np.array([0b0000, 0b0001, 0b0111, 0b1111], np.uint64)
    assert near_duplicates(hashes, distance=0).tolist() == []
    assert near_duplicates(hashes, distance=1).tolist() == [[0, 1], [2, 3]]
    assert near_duplicates(hashes, distance=2).tolist() == [[0, 1], [1, 2], [2, 3]]
    assert near_duplicates(hashes[:0]).tolist() == []


def test_the_highest_bit_counts() -> None:
    assert near_duplicates(np.array([0, 2**63], np.uint64), distance=1).tolist() == [[0, 1]]
    assert near_duplicates(np.array([0, 2**64 - 1], np.uint64), distance=63).tolist() == []


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 15), max_size=30), st.integers(0, 64), st.integers(1, 9))
def test_blocks_find_what_a_double_loop_finds(values: list[int], distance: int, block: int) -> None:
    wanted = [
        [i, j]
        for i in range(len(values))
        for j in range(i + 1, len(values))
        if (values[i] ^ values[j]).bit_count() <= distance
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "BLOCK", block)
        assert near_duplicates(np.array(values, np.uint64), distance=distance).tolist() == wanted


def test_a_hash_by_hand() -> None:
    """Left half dark, right half bright: only frequencies of the first row are not zero."""
    pixels = np.zeros((1, 32, 32, 3), np.uint8)
    pixels[:, :, 16:] = 200
    hashes, thumbnails = signatures_of_pixels(pixels)
    # Row 0 of the DCT of a rising step: constant +, then the odd ones -, +, -, + and the even ones 0; 0 is the median.
    assert f"{int(hashes[0]):064b}"[:8] == "10010001"
    assert thumbnails[0, 0, :, 0].tolist() == [0] * 8 + [200] * 8


@pytest.mark.parametrize("seed", range(6))
def test_altered_copies_are_found(seed: int) -> None:
    image = photo(seed)
    copies = [
        recompressed(image, 30),
        image.resize((48, 48), Image.Resampling.BILINEAR),
        image.resize((200, 140), Image.Resampling.LANCZOS),
        ImageEnhance.Brightness(image).enhance(1.1),
        ImageEnhance.Contrast(image).enhance(0.8),
    ]
    assert duplicate_groups(signed(image, *copies)).tolist() == [0] * 6


def test_different_pictures_are_not() -> None:
    found = signed(*[photo(seed) for seed in range(300)])
    assert duplicate_groups(found).tolist() == list(range(300))


def test_mirrored_and_turned_pictures_are_others() -> None:
    image = photo(0)
    turned = [image.transpose(each) for each in (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_90)]
    assert duplicate_groups(signed(image, *turned)).tolist() == [0, 1, 2]


def test_flat_pictures_match_by_colour_alone() -> None:
    colours = [(0, 0, 0), (255, 255, 255), (2, 2, 2), (255, 0, 0), (0, 130, 0)]
    found = signed(*[Image.new("RGB", (20, 20), colour) for colour in colours])
    assert found.hashes.tolist() == [0] * 5
    assert duplicate_groups(found).tolist() == [0, 1, 0, 3, 4]


def test_a_flat_picture_is_not_one_with_structure() -> None:
    faint = np.full((16, 16, 3), 100, np.uint8)
    strong = faint.copy()
    strong[:, 8:] = 108
    pair = np.array([[0, 1]])
    assert confirmed(pair, np.stack([faint, strong])).tolist() == [False]
    assert confirmed(pair, np.stack([faint, faint])).tolist() == [True]


def test_structure_alone_is_not_enough() -> None:
    """The same brightness pattern in quite another colour: another picture."""
    pattern = np.asarray(photo(3).convert("L").resize((16, 16))).astype(float)
    luma = np.array([0.299, 0.587, 0.114])
    red = np.zeros((16, 16, 3))
    red[..., 0] = (pattern / 255 * 60) / luma[0]
    blue = np.zeros((16, 16, 3))
    blue[..., 1] = (pattern / 255 * 60) / luma[1]
    blue[..., 2] = 120
    thumbnails = np.stack([red, blue]).clip(0, 255).astype(np.uint8)
    assert np.corrcoef((thumbnails @ luma).reshape(2, -1))[0, 1] > 0.99
    assert confirmed(np.array([[0, 1]]), thumbnails).tolist() == [False]


def test_groups_are_chains_named_by_their_first() -> None:
    image = photo(5)
    steps = [image, photo(6), ImageEnhance.Brightness(image).enhance(1.1), recompressed(image, 40), photo(7)]
    assert duplicate_groups(signed(*steps)).tolist() == [0, 1, 0, 0, 4]


def test_a_thousand_blank_pictures_are_one_group_and_no_explosion(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 3000
    found = Signatures(np.zeros(rows, np.uint64), np.full((rows, 16, 16, 3), 255, np.uint8), (None,) * rows)
    seen = []
    monkeypatch.setattr(duplicates, "confirmed", lambda pairs, _: seen.append(len(pairs)) or np.ones(len(pairs), bool))
    assert duplicate_groups(found).tolist() == [0] * rows
    assert sum(seen) == 0  # all are one row before any pair is made


def test_unreadable_pictures_are_no_copies_of_each_other(tmp_path: Path) -> None:
    paths = []
    for name in ("a.png", "b.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
        paths.append(str(tmp_path / name))
    (tmp_path / "broken.png").write_bytes(b"x")
    paths += [str(tmp_path / "broken.png"), str(tmp_path / "absent.png")]
    assert image_groups(paths).tolist() == [0, 0, 2, 3]
    assert image_groups(paths[2:]).tolist() == [0, 1]
    assert image_groups([]).tolist() == []


def test_chunks_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = []
    for seed in range(5):
        photo(seed).save(tmp_path / f"{seed}.png")
        paths.append(str(tmp_path / f"{seed}.png"))
    paths.append(str(tmp_path / "absent.png"))
    whole = signatures(paths)
    monkeypatch.setattr(duplicates, "CHUNK", 2)
    parts = signatures(paths, threads=2)
    assert parts.hashes.tolist() == whole.hashes.tolist()
    assert np.array_equal(parts.thumbnails, whole.thumbnails)
    assert parts.errors == whole.errors == (None,) * 5 + ("image file not found",)


def test_identical_files(tmp_path: Path) -> None:
    contents = {"a": b"xx", "b": b"xy", "c": b"xx", "d": b"x", "e": b"", "f": b"", "g": b"xy"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    os.mkfifo(tmp_path / "h")
    os.mkfifo(tmp_path / "i")
    paths = [str(tmp_path / name) for name in [*contents, "h", "i", "absent"]] + ["a\0b"]
    assert identical_files(paths) == [(0, 2), (1, 6)]


@pytest.mark.data
def test_flickr8k_has_one_duplicate(tmp_path: Path) -> None:
    import tarfile

    folder = os.environ.get("M4I_FAST_DATA")
    if not folder or not (Path(folder) / "flickr8k-160.tar").is_file():
        pytest.skip("set M4I_FAST_DATA to the folder that holds flickr8k-160.tar")
    with tarfile.open(Path(folder) / "flickr8k-160.tar") as archive:
        by_size: dict[int, list[tarfile.TarInfo]] = {}
        for each in archive:
            if each.name.endswith(".jpg"):
                by_size.setdefault(each.size, []).append(each)
        # Only files of one length can be equal; 1,200 of them keep this short, the known pair is put among them.
        alike = [each for group in by_size.values() if len(group) > 1 for each in group]
        known = [each for each in alike if Path(each.name).stem in KNOWN]
        archive.extractall(tmp_path, known + [each for each in alike if each not in known][:1200], filter="data")
    paths = sorted(str(path) for path in tmp_path.rglob("*.jpg"))
    names = [{Path(paths[index]).stem for index in pair} for pair in identical_files(paths)]
    groups = image_groups(paths, threads=2)
    copies = [index for index, group in enumerate(groups) if group != index]
    assert names == [KNOWN]
    assert [{Path(paths[index]).stem, Path(paths[groups[index]]).stem} for index in copies] == [KNOWN]
