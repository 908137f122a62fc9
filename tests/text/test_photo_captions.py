"""Every recipe against its package, to the last bit, on the captions of Flickr8k and RSICD.

The C++ core on every instruction set has all of them; of the slow backends rapidfuzz has one row in 4, the others (the
reference, Triton's interpreter) one in 40.
"""

from __future__ import annotations

import json
import os
import tarfile
from functools import cache
from pathlib import Path

import pytest

from m4i_fast.kernels.backend import CORES, built_backends
from tests.text.oracles import ORACLES, agrees

FOLDER = Path(os.environ.get("M4I_FAST_DATA", ""))
SETS = {"flickr8k-160": 8091, "rsicd-128": 10921}
"""Archives of ``M4I_FAST_DATA``, and how many images each has captions for."""
FAST = tuple(name for name in built_backends() if name in CORES)


@cache
def captions(name: str) -> tuple[list[str], list[list[str]]]:
    """For each image its references; the hypothesis is the first caption of the next image."""
    path = FOLDER / f"{name}.tar"
    if not os.environ.get("M4I_FAST_DATA") or not path.is_file():
        pytest.skip(f"set M4I_FAST_DATA to the folder that holds {name}.tar")
    with tarfile.open(path) as archive:
        member = next(each for each in archive if Path(each.name).name == "captions.json")
        file = archive.extractfile(member)
        assert file is not None
        notes = json.load(file)["annotations"]
    by_image: dict[int, list[str]] = {}
    for note in notes:
        by_image.setdefault(note["image_id"], []).append(note["caption"])
    rows = list(by_image.values())
    return [row[0] for row in [*rows[1:], rows[0]]], rows


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("recipe", ORACLES)
def test_as_the_package_on_every_caption(recipe: str, name: str) -> None:
    hypotheses, references = captions(name)
    assert len(hypotheses) == SETS[name]
    said = ORACLES[recipe].scored(hypotheses, references)
    for backend in built_backends():
        step = 1 if backend in FAST else 4 if backend == "rapidfuzz" else 40  # as the docstring above says
        agrees(recipe, hypotheses[::step], references[::step], backends=[backend], said=said[::step])
