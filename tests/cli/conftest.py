"""The command line as its users meet it, and engines that its own commands made on drawn scenes."""

import contextlib
import io
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from m4i_fast.cli.main import main
from m4i_fast.data.scenes import write_scenes

SCENES, SIZE = 230, 64
SIDES = {"target-member": 40, "target-nonmember": 40, "shadow-member": 40, "shadow-nonmember": 40, "encoder": 60}
TRAINING = [
    *("--backbone", "small-cnn", "--epochs", "2", "--quiet"),
    *("--set", f"image_size={SIZE}", "--set", "min_count=2", "--set", "checkpoint_every=1"),
]


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


def m4i(*arguments: object) -> Done:
    """Run ``m4i-fast`` in this process, as its installed script does."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(each) for each in arguments])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return Done(code, out.getvalue(), err.getvalue())


def m4i_command(*arguments: object) -> list[str]:
    """The same as a process of its own."""
    return [sys.executable, "-m", "m4i_fast", *(str(each) for each in arguments)]


@dataclass(frozen=True, slots=True)
class House:
    """What the stage commands made: ``scenes`` in COCO's layout, ``split``, ``models``, ``engines``."""

    root: Path

    def __getattr__(self, name: str) -> Path:
        return self.root / name

    @property
    def data(self) -> Path:
        return self.root / "scenes/captions.json"


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Built once, also where several processes run the tests; nobody may write into it."""
    root = tmp_path_factory.getbasetemp()
    root = (root.parent if root.name.startswith("popen-") else root) / "house"
    with FileLock(f"{root}.lock"):
        if not (root / "built").exists():
            shutil.rmtree(root, ignore_errors=True)
            _build(House(root))
            (root / "built").touch()
    return House(root)


def _build(house: House) -> None:
    write_scenes(house.root / "scenes", count=SCENES, seed=3, size=SIZE)
    sizes = [each for side, count in SIDES.items() for each in (f"--{side}", count)]
    assert m4i("data", "split", house.data, "--out", house.split, *sizes, "--json").code == 0
    for side in ("target", "shadow"):
        labels = house.split / side / "membership.parquet"
        records = house.split / side / "records.parquet"
        done = m4i(
            *("train", "captioner", records, "--membership", labels, "--out", house.models / side, *TRAINING),
            *("--set", "embed=32", "--set", "hidden=48"),
        )
        assert done.code == 0, done.err
        done = m4i("export", house.models / side, "--out", house.engines / f"{side}.onnx", "--json")
        assert done.json["rows"] == 16
    records = house.split / "encoder/records.parquet"
    assert m4i("train", "encoders", records, "--out", house.models / "encoders", *TRAINING).code == 0
    assert m4i("export", house.models / "encoders", "--out", house.engines / "encoders", "--json").code == 0
