"""The core's Lanczos is Pillow's, byte for byte, on every instruction set and in either order of the passes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from m4i_fast.data.images import resized
from m4i_fast.kernels import backend
from m4i_fast.kernels.pixels import resample

MACHINES = [name for name in backend.built_backends() if name in backend.CORES]
SIDES = [1, 2, 3, 4, 5, 15, 16, 17, 33, 64, 90]
# Pillow goes down first where that takes off more than twice as much: on both sides of this edge.
EDGES = [(101, 60, 20), (100, 60, 20), (61, 40, 20), (60, 40, 20), (23, 21, 20), (22, 21, 20), (500, 333, 224)]


def _noise(height: int, width: int, seed: int) -> npt.NDArray[np.uint8]:
    # Black and white: overshoots are clipped on both sides.
    return np.random.default_rng(seed).integers(0, 2, (height, width, 3), dtype=np.uint8) * np.uint8(255)


def _pillow(pixels: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.LANCZOS))


@pytest.mark.parametrize("machine", MACHINES)
def test_the_bytes_are_pillows(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(backend.VARIABLE, machine)
    rng = np.random.default_rng(1)
    shapes = [(int(rng.choice(SIDES)), int(rng.choice(SIDES)), int(rng.choice(SIDES))) for _ in range(150)]
    for height, width, size in [*shapes, *EDGES]:
        pixels = _noise(height, width, height)
        found = resample(pixels, size)
        assert found is not None
        np.testing.assert_array_equal(found, _pillow(pixels, size), err_msg=f"{height} x {width} to {size}")
        padded = np.dstack([pixels, np.full((height, width), 99, np.uint8)])
        np.testing.assert_array_equal(resample(padded, size), found)


@pytest.mark.parametrize("forced", [*MACHINES, "reference"])
def test_pictures_are_resized_alike_with_and_without_the_core(forced: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(backend.VARIABLE, forced)
    pixels = np.random.default_rng(3).integers(0, 256, (75, 100, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resized(Image.fromarray(pixels), 48), _pillow(pixels, 48))
    assert (resample(pixels, 48) is None) == (forced == "reference")


def test_a_picture_in_several_pieces_of_memory() -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (2100, 2100, 3), dtype=np.uint8)  # above 16 MiB
    np.testing.assert_array_equal(resized(Image.fromarray(pixels), 20), _pillow(pixels, 20))


@pytest.mark.skipif(not MACHINES, reason="the C++ core is not built")
def test_what_is_no_picture_is_refused() -> None:
    from m4i_fast.kernels import _core

    out = np.zeros((4, 4, 3), np.uint8)
    for pixels, machine in (
        (np.zeros((0, 4, 3), np.uint8), MACHINES[0]),
        (np.zeros((4, 4, 2), np.uint8), MACHINES[0]),
        (np.zeros((4, 4, 3), np.uint8), "abacus"),
    ):
        with pytest.raises(ValueError, match=r"side|channels|machine"):
            _core.resample(pixels, out, machine)
