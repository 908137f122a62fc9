"""A file tells how it was made."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from m4i_fast.data.traits import TRAITS, file_traits


def saved(folder: Path, name: str, image: Image.Image, **how: object) -> str:
    image.save(folder / name, **how)
    return str(folder / name)


def test_by_hand(tmp_path: Path) -> None:
    picture = Image.effect_noise((40, 20), 50).convert("RGB")
    exif = Image.Exif()
    exif[0x010E] = "a picture"
    files = [
        saved(tmp_path, "a.jpg", picture, quality=95),
        saved(tmp_path, "b.jpg", picture, quality=30, progressive=True, dpi=(72, 72), exif=exif),
        saved(tmp_path, "c.png", picture.convert("P")),
        saved(tmp_path, "d.webp", picture),
        saved(tmp_path, "e.jpg", picture.convert("L")),
    ]
    found = file_traits(files)
    assert found.shape == (5, len(TRAITS))
    column = dict(zip(TRAITS, found.T, strict=True))
    sizes = [Path(each).stat().st_size for each in files]
    assert np.allclose(column["log_bytes"], np.log(sizes))
    assert column["width"].tolist() == [40] * 5
    assert column["height"].tolist() == [20] * 5
    assert np.allclose(column["log_aspect"], np.log(2))
    assert np.allclose(column["bits_per_pixel"], np.array(sizes) / 100)
    assert column["jpeg"].tolist() == [1, 1, 0, 0, 1]
    assert column["png"].tolist() == [0, 0, 1, 0, 0]
    assert column["webp"].tolist() == [0, 0, 0, 1, 0]
    assert column["bands"].tolist() == [3, 3, 1, 3, 1]
    assert column["palette"].tolist() == [0, 0, 1, 0, 0]
    assert column["luma_table"][1] > 5 * column["luma_table"][0] > 0
    assert column["chroma_table"][1] > 5 * column["chroma_table"][0] > 0
    assert column["luma_table"][2:4].tolist() == [0, 0]
    assert column["chroma_table"][4] == 0
    assert column["progressive"].tolist() == [0, 1, 0, 0, 0]
    assert column["dpi"].tolist()[:2] == [0, 1]
    assert (column["exif_bytes"] > 0).tolist() == [False, True, False, False, False]


def test_what_is_no_picture_is_nan(tmp_path: Path) -> None:
    (tmp_path / "none.jpg").write_bytes(b"no picture")
    (tmp_path / "empty.jpg").write_bytes(b"")
    whole = io.BytesIO()
    Image.new("RGB", (9, 9)).save(whole, "PNG")
    (tmp_path / "cut.png").write_bytes(whole.getvalue()[:20])
    good = saved(tmp_path, "good.png", Image.new("RGB", (9, 9)))
    files = [str(tmp_path / name) for name in ("none.jpg", "empty.jpg", "cut.png", "absent.jpg")]
    assert np.isnan(file_traits([*files, good])).all(axis=1).tolist() == [True] * 4 + [False]
    assert file_traits([]).shape == (0, len(TRAITS))
