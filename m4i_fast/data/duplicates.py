"""Near-duplicate images: a member and its copy among the non-members would make an audit call a leak no leak.

How two pictures are compared, in two steps:

1. A 64-bit perceptual hash (pHash): luma at 32 x 32, DCT-II, the 8 x 8 lowest frequencies, each bit 'above their
   median' (the constant term takes no part in the median). Pictures within ``distance`` bits are candidates.
2. A candidate is confirmed on 16 x 16 thumbnails: the luma, each thumbnail brought to mean 0 and deviation 1, differs
   by at most 0.30 RMS (correlation 0.955), and the colours by at most 40 of 255 levels on average. Flat pictures,
   which have no structure to hash, all get hash 0, and are confirmed only by their colour.

Why these, as measured. Found of 400 altered photos of Flickr8k (RSICD, aerial): JPEG quality 75 and 30, resized by
half, double or to another shape, contrast - 20 %, brightness + 15 %, grey: 99.5-100 % (99.5-100 %); cropped by 1.25 % a
side 100 % (75 %), by 2.5 % 70 % (5 %), by 5 % 8 % (1 %). The hash moved by at most 8 (12) bits for all but the larger
crops, where dHash moved by up to 14. Different photos come as near as 8 bits (dHash: 6), so a hash alone does not do:
among 8,091 photos of Flickr8k 26 pairs lie within 10 bits, and the thumbnails leave 1, the data set's known duplicate
(the next pair differs by 0.78 RMS); among 10,921 of RSICD 21 pairs, of which 3 are left, all seen to be copies (RMS
0.00, 0.01, 0.20; the next, 0.33, are different places). With 12 bits the result is the same.

Not found: larger crops, mirrored copies, and other photos of one scene, such as the frames of a burst.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from m4i_fast.data.bytes import ImageReader
from m4i_fast.data.files import open_regular
from m4i_fast.data.images import AT_A_TIME, decode_small
from m4i_fast.data.locators import is_local_file

__all__ = [
    "DISTANCE",
    "Signatures",
    "confirmed",
    "duplicate_groups",
    "identical_files",
    "image_groups",
    "near_duplicates",
    "signatures",
    "signatures_of_pixels",
]

IntArray = npt.NDArray[np.int64]

DISTANCE = 10
"""Bits of 64 in which two hashes may differ."""
DIFFERENCE = 0.30
"""RMS difference of standardised luma thumbnails."""
COLOUR = 40.0
"""Mean absolute difference of two thumbnails, levels of 255."""
FLAT = 2.0
"""Standard deviation of the luma, in levels, below which a picture has no structure."""
FLAT_COLOUR = 8.0
"""Mean absolute difference below which two flat pictures are the same."""

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as in JPEG
BLOCK = 2048  # hashes a side of a comparison: 32 MiB of differences
CHUNK = 4096  # pictures decoded at a time: 12 MiB of pixels


@dataclass(frozen=True, slots=True)
class Signatures:
    """What pictures are compared by.

    Attributes:
        hashes: uint64 [N], 0 for flat and unreadable pictures.
        thumbnails: uint8 [N, 16, 16, 3].
        errors: N reasons why a picture could not be read, or None.
    """

    hashes: npt.NDArray[np.uint64]
    thumbnails: npt.NDArray[np.uint8]
    errors: tuple[str | None, ...]


def signatures(paths: Sequence[str], *, threads: int = 1, advance: Callable[[], object] | None = None) -> Signatures:
    """Signatures of N pictures.

    Args:
        paths: their files, or locators.
        threads: decoders at work.
        advance: called once a picture, for a progress bar.
    """
    hashes = np.zeros(len(paths), np.uint64)
    thumbnails = np.zeros((len(paths), 16, 16, 3), np.uint8)
    errors: list[str | None] = []
    with ImageReader() as reader:
        for start in range(0, len(paths), CHUNK):
            part = slice(start, start + CHUNK)
            pixels, reasons = decode_small(paths[part], 32, threads=threads, advance=advance, reader=reader)
            hashes[part], thumbnails[part] = signatures_of_pixels(pixels)
            errors += reasons
    return Signatures(hashes, thumbnails, tuple(errors))


def signatures_of_pixels(
    pixels: npt.NDArray[np.uint8],
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8]]:
    """Hashes uint64 [N] and thumbnails uint8 [N, 16, 16, 3] of pictures uint8 [N, 32, 32, 3]."""
    from scipy.fft import dctn

    if not len(pixels):
        return np.zeros(0, np.uint64), np.zeros((0, 16, 16, 3), np.uint8)
    luma = pixels @ LUMA
    frequencies = dctn(luma, axes=(1, 2), norm="ortho")[:, :8, :8].reshape(-1, 64)
    bits = frequencies > np.median(frequencies[:, 1:], axis=1, keepdims=True)
    hashes = np.packbits(bits, axis=1).view(">u8").ravel().astype(np.uint64)
    hashes[luma.std(axis=(1, 2)) < FLAT] = 0  # their frequencies are rounding noise
    quarters = pixels.reshape(-1, 16, 2, 16, 2, 3).mean(axis=(2, 4))
    return hashes, np.rint(quarters).astype(np.uint8)


def near_duplicates(hashes: npt.NDArray[np.uint64], *, distance: int = DISTANCE) -> IntArray:
    """Pairs of hashes that differ in at most ``distance`` bits.

    Exact: all N (N - 1) / 2 pairs are looked at, a block of 2,048 x 2,048 at a time, about 10 ns a pair.

    Args:
        hashes: uint64 [N].
        distance: bits, 0 to 64.

    Returns:
        int64 [P, 2], first < second, sorted.
    """
    found = list(_candidates(hashes, distance))
    return _sorted_pairs(np.concatenate(found)) if found else np.zeros((0, 2), np.int64)


def confirmed(pairs: IntArray, thumbnails: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Which candidate pairs look the same on their thumbnails.

    Args:
        pairs: int64 [P, 2] rows of ``thumbnails``.
        thumbnails: uint8 [N, 16, 16, 3].

    Returns:
        bool [P].
    """
    same = np.zeros(len(pairs), np.bool_)
    for start in range(0, len(pairs), BLOCK):
        part = pairs[start : start + BLOCK]
        first, second = (thumbnails[part[:, side]].astype(np.float64) for side in (0, 1))
        colour = np.abs(first - second).mean(axis=(1, 2, 3))
        first_luma, second_luma = ((each @ LUMA).reshape(len(part), -1) for each in (first, second))
        first_flat, second_flat = (each.std(axis=1) < FLAT for each in (first_luma, second_luma))
        difference = np.sqrt(((_standardised(first_luma) - _standardised(second_luma)) ** 2).mean(axis=1))
        structured = ~first_flat & ~second_flat & (difference <= DIFFERENCE) & (colour <= COLOUR)
        same[start : start + BLOCK] = structured | (first_flat & second_flat & (colour <= FLAT_COLOUR))
    return same


def duplicate_groups(found: Signatures, *, distance: int = DISTANCE) -> IntArray:
    """Which pictures show the same, as int64 [N]: each one's group is named by the group's first picture.

    Groups are connected components: where A is like B and B like C, all three are one group. An unreadable picture is
    a group of its own.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(found.hashes)
    groups = np.arange(count, dtype=np.int64)
    readable = np.flatnonzero([error is None for error in found.errors])
    if not len(readable):
        return groups
    # Equal thumbnails first: a thousand blank pictures would make half a million pairs, and this way make one row.
    flat = np.ascontiguousarray(found.thumbnails[readable]).reshape(len(readable), -1)
    keys = flat.view(np.dtype((np.void, flat.shape[1]))).ravel()
    _, first, same_as = np.unique(keys, return_index=True, return_inverse=True)
    representatives = readable[first]
    hashes, thumbnails = found.hashes[representatives], found.thumbnails[representatives]
    edges = [pairs[confirmed(pairs, thumbnails)] for pairs in _candidates(hashes, distance)]
    links = np.concatenate([np.zeros((0, 2), np.int64), *edges])
    shape = (len(representatives), len(representatives))
    graph = coo_array((np.ones(len(links), np.bool_), (links[:, 0], links[:, 1])), shape=shape)
    _, component = connected_components(graph, directed=False)
    label = component[same_as]
    smallest = np.full(component.max() + 1, count, np.int64)
    np.minimum.at(smallest, label, readable)
    groups[readable] = smallest[label]
    return groups


def image_groups(
    paths: Sequence[str],
    *,
    distance: int = DISTANCE,
    threads: int = 1,
    advance: Callable[[], object] | None = None,
) -> IntArray:
    """``duplicate_groups`` of N image files, read here."""
    return duplicate_groups(signatures(paths, threads=threads, advance=advance), distance=distance)


def identical_files(paths: Sequence[str]) -> list[tuple[int, ...]]:
    """Groups (of two or more) of files equal byte for byte, by SHA-256; only files of equal length are read.

    Unreadable files and empty ones take no part. What is no file of its own (``m4i_fast.data.locators``) is all read.
    """
    lengths: defaultdict[int, list[int]] = defaultdict(list)
    apart = [index for index, path in enumerate(paths) if not is_local_file(path)]
    for index, path in enumerate(paths):
        try:
            length = os.stat(path).st_size  # noqa: PTH116 - a Path for each of 10^5 costs seconds
        except (OSError, ValueError):
            continue  # among them all that are no files of their own
        if length:
            lengths[length].append(index)
    digests: defaultdict[bytes, list[int]] = defaultdict(list)
    with ImageReader() as reader:
        for start in range(0, len(apart), AT_A_TIME):
            rows = apart[start : start + AT_A_TIME]
            for index, content in zip(rows, reader.read([paths[row] for row in rows]), strict=True):
                if isinstance(content, bytes):
                    digests[hashlib.sha256(content).digest()].append(index)
    for candidates in lengths.values():
        if len(candidates) > 1 or (candidates and apart):
            for index in candidates:
                digest = _digest(paths[index])
                if digest is not None:
                    digests[digest].append(index)
    return sorted(tuple(sorted(group)) for group in digests.values() if len(group) > 1)


def _digest(path: str) -> bytes | None:
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return None


def _candidates(hashes: npt.NDArray[np.uint64], distance: int) -> Iterator[IntArray]:
    for top in range(0, len(hashes), BLOCK):
        rows = hashes[top : top + BLOCK, None]
        for left in range(top, len(hashes), BLOCK):
            bits = np.bitwise_count(rows ^ hashes[None, left : left + BLOCK])
            first, second = np.nonzero(bits <= distance)
            pairs = np.stack([first + top, second + left], axis=1)
            pairs = pairs[pairs[:, 0] < pairs[:, 1]]
            if len(pairs):
                yield pairs.astype(np.int64)


def _sorted_pairs(pairs: IntArray) -> IntArray:
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def _standardised(luma: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    centred = luma - luma.mean(axis=1, keepdims=True)
    # At least FLAT: flat pictures are judged by colour, and must not divide by zero on the way.
    return np.asarray(centred / np.maximum(centred.std(axis=1, keepdims=True), FLAT))
