import json
from pathlib import Path

import numpy as np
from PIL import Image

from m4i_fast.data.inspection import inspect


def data_set(folder: Path) -> Path:
    (folder / "images").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    image = Image.fromarray(noise).resize((64, 64), Image.Resampling.BICUBIC)
    image.save(folder / "images/a.png")
    image.resize((50, 40)).save(folder / "images/b.png")  # near-duplicate
    (folder / "images/c.png").write_bytes((folder / "images/a.png").read_bytes())  # identical
    (folder / "images/d.png").write_bytes(b"no image")
    rows = [
        {"id": "a", "image": "a.png", "captions": ["A cat .", "a cat and a dog"], "split": "train"},
        {"id": "b", "image": "b.png", "captions": ["the cat"], "split": "train"},
        {"id": "c", "image": "c.png", "captions": [], "split": "test", "group": "a"},
        {"id": "d", "image": "d.png", "captions": ["a dog", ""], "split": "test"},
        {"id": "e", "image": "e.png", "captions": ["cat cat"]},
    ]
    path = folder / "d.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_counts_by_hand(tmp_path: Path) -> None:
    path = data_set(tmp_path)
    found = inspect(path, show=1).to_dict()
    assert found == {
        "path": str(path),
        "format": "jsonl",
        "records": 5,
        "groups": 4,
        "captions": 5,
        "usable": 4,  # d.png is there; that it is no image shows only when it is decoded
        "without_references": 1,
        "missing_images": 1,
        "errors": {"image file not found": 1},
        "references": {"min": 0, "mean": 1.0, "max": 2},
        "caption_words": {"min": 2, "mean": 2.6, "median": 2.0, "p99": 4.9, "max": 5},
        "vocabulary": 5,
        "vocabulary_4": 2,
        "columns": {"split": {"train": 2, "test": 2, "(none)": 1}},
        "notes": {"empty captions": 1},
        "first": [
            {
                "id": "a",
                "image": str(tmp_path / "images/a.png"),
                "references": ["A cat .", "a cat and a dog"],
                "error": None,
            }
        ],
    }
    json.dumps(found, allow_nan=False)


def test_near_duplicates_are_counted_when_asked(tmp_path: Path) -> None:
    found = inspect(data_set(tmp_path), near_duplicates=True).to_dict()
    assert (found["near_duplicates"], found["identical_files"]) == (2, 1)
    assert found["usable"] == 3
    assert found["errors"] == {"not an image, or of an unknown format": 1, "image file not found": 1}


def test_pictures_only(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    found = inspect(tmp_path).to_dict()
    assert (found["format"], found["records"], found["captions"]) == ("folder", 1, 0)
    assert found["caption_words"] == {}
