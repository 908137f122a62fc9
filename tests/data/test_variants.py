import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from m4i_fast.data.variants import VARIANTS, varied


def picture(values: object) -> Image.Image:
    return Image.fromarray(np.array(values, np.uint8))


def red(image: Image.Image) -> list[list[int]]:
    return np.asarray(image)[:, :, 0].tolist()  # type: ignore[no-any-return]


def numbered(width: int, height: int) -> Image.Image:
    """Red says the column, green the row."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, :, 0] = np.arange(width)
    pixels[:, :, 1] = np.arange(height)[:, None]
    return Image.fromarray(pixels)


def test_the_plain_picture_is_itself() -> None:
    image = numbered(3, 2)
    assert varied(image, "", key="k", sample=0) is image


def test_flip_swaps_left_and_right() -> None:
    image = picture([[[1, 2, 3], [4, 5, 6], [7, 8, 9]]])
    flipped = varied(image, "flip", key="k", sample=0)
    assert np.asarray(flipped).tolist() == [[[7, 8, 9], [4, 5, 6], [1, 2, 3]]]
    assert red(varied(numbered(2, 2), "flip", key="k", sample=1)) == [[1, 0], [1, 0]]


@given(width=st.integers(1, 40), height=st.integers(1, 40), key=st.text(max_size=4), sample=st.integers(0, 5))
def test_a_crop_is_four_fifths_of_each_side_and_stays_inside(width: int, height: int, key: str, sample: int) -> None:
    cropped = np.asarray(varied(numbered(width, height), "crop", key=key, sample=sample))
    wide, high = max(1, round(0.8 * width)), max(1, round(0.8 * height))
    assert cropped.shape == (high, wide, 3)
    left, top = cropped[0, 0, :2].tolist()
    assert cropped[0, :, 0].tolist() == list(range(left, left + wide))
    assert cropped[:, 0, 1].tolist() == list(range(top, top + high))
    assert left + wide <= width
    assert top + high <= height


def test_crops_reach_every_place() -> None:
    corners = {
        tuple(np.asarray(varied(numbered(10, 10), "crop", key=str(key), sample=0))[0, 0, :2].tolist())
        for key in range(300)
    }
    assert corners == {(left, top) for left in range(3) for top in range(3)}


def test_blur_spreads_an_edge_and_keeps_what_is_plain() -> None:
    edge = np.zeros((200, 200, 3), np.uint8)
    edge[:, 100:] = 200
    row = red(varied(Image.fromarray(edge), "blur", key="k", sample=0))[100]
    assert row[:90] == [0] * 90
    assert row[110:] == [200] * 90
    # A Gaussian of 2 pixels (1 % of 200): half-way at the edge, 16 % and 84 % one deviation from it.
    assert row[99] + row[100] == pytest.approx(200, abs=2)
    assert row[97] == pytest.approx(200 * 0.106, abs=8)  # its middle is 2.5 pixels from the edge
    assert row[102] == pytest.approx(200 * 0.894, abs=8)
    assert row == sorted(row)


def test_noise_is_gaussian_of_sixteen_levels_each_colour_by_itself() -> None:
    grey = np.full((300, 300, 3), 128, np.uint8)
    noise = np.asarray(varied(Image.fromarray(grey), "noise", key="k", sample=0)).astype(float) - 128
    assert abs(noise.mean()) < 0.2
    assert noise.std() == pytest.approx(16, rel=0.01)
    assert (np.abs(noise) < 16).mean() == pytest.approx(0.67, abs=0.02)
    assert np.abs(np.corrcoef(noise.reshape(-1, 3).T) - np.eye(3)).max() < 0.02
    assert abs(np.corrcoef(noise[:, :-1, 0].ravel(), noise[:, 1:, 0].ravel())[0, 1]) < 0.02


def test_noise_stays_within_black_and_white() -> None:
    black = np.asarray(varied(picture(np.zeros((100, 100, 3))), "noise", key="k", sample=0))
    white = np.asarray(varied(picture(np.full((100, 100, 3), 255)), "noise", key="k", sample=0))
    assert 0.4 < (black == 0).mean() < 0.6, "half would be below, and none comes round to white"
    assert black.max() < 128 < white.min()


@pytest.mark.parametrize("variant", VARIANTS)
def test_one_key_gives_one_picture_and_a_sample_another(variant: str) -> None:
    rng = np.random.default_rng(3)
    image = Image.fromarray(rng.integers(0, 256, (50, 60, 3), np.uint8))

    def seen(key: str, sample: int) -> bytes:
        return varied(image, variant, key=key, sample=sample).tobytes()

    before = image.tobytes()
    assert seen("k", 0) == seen("k", 0)
    by_chance = variant in {"crop", "noise"}
    assert len({seen("k", sample) for sample in range(4)}) == (4 if by_chance else 1)
    assert len({seen(key, 0) for key in ("a", "b", "c", "d")}) == (4 if by_chance else 1)
    assert image.tobytes() == before


def test_what_a_key_gives_stays_the_same_from_version_to_version() -> None:
    """Answers that stand in a run belong to these very pictures."""
    image = numbered(60, 50)
    assert np.asarray(varied(image, "crop", key="k", sample=1))[0, 0].tolist() == [0, 10, 0]
    noise = np.asarray(varied(image, "noise", key="k", sample=1))
    assert hashlib.sha256(noise.tobytes()).hexdigest() == (
        "e370fbe337ed37c60a132a3feeef2361a3d2dc4bd71809037c862ab337f25aae"
    )


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (2, 2)])
def test_thin_pictures(variant: str, size: tuple[int, int]) -> None:
    changed = varied(numbered(*size), variant, key="k", sample=0)
    assert changed.mode == "RGB"
    assert min(changed.size) >= 1


def test_an_unknown_variant() -> None:
    with pytest.raises(ValueError, match="unknown variant 'turn'"):
        varied(numbered(2, 2), "turn", key="k", sample=0)
