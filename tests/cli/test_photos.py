"""An audit of real photographs, in small: the full one is docs/results/flickr8k.md."""

import os
import tarfile
from pathlib import Path

import pytest

from tests.cli.conftest import m4i

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("M4I_FAST_DATA", ""))


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("M4I_FAST_DATA") or not (FOLDER / "flickr8k-160.tar").is_file(),
    reason="set M4I_FAST_DATA to the folder that holds flickr8k-160.tar",
)
def test_a_captioner_of_flickr8k_that_memorises_leaks(tmp_path: Path) -> None:
    with tarfile.open(FOLDER / "flickr8k-160.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    data = next(tmp_path.rglob("captions.json"))
    small = {
        "target_member": 200,
        "target_nonmember": 200,
        "shadow_member": 150,
        "shadow_nonmember": 150,
        "encoder": 200,
    }
    settings = [f"data.path={data}", *(f"split.{role}={count}" for role, count in small.items())]
    settings += [f"{side}.train.epochs=15" for side in ("target", "shadow")] + ["encoders.train.epochs=5"]
    flags = [each for setting in settings for each in ("--set", setting)]
    result = m4i("audit", ROOT / "docs/results/flickr8k.toml", *flags, "--out", tmp_path / "run", "--json").json
    assert result["counts"]["members"] == 200
    assert result["attacks"]["mb_threshold"]["auc"]["low"] > 0.65
    assert result["verdict"]["kind"] == "leak"
    for each in result["blind"].values():
        assert each["auc"]["low"] < 0.55
