from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from m4i_fast.nets.backbones import NAMES
from m4i_fast.train.settings import BACKBONES, CaptionerSettings, TowerSettings


def test_the_names_of_the_networks_are_those_of_nets() -> None:
    assert BACKBONES == NAMES


def test_importing_the_settings_imports_no_torch() -> None:
    code = "import sys, m4i_fast.train.settings; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_defaults_are_the_published_ones_where_there_are_any() -> None:
    captioner = CaptionerSettings()
    assert (captioner.embed, captioner.hidden, captioner.max_tokens, captioner.min_count) == (256, 512, 20, 4)
    assert captioner.batch == 128
    towers = TowerSettings()
    assert (towers.dim, towers.text_hidden, towers.min_count) == (256, 512, 4)
    assert (towers.batch, towers.learning_rate, towers.epochs) == (128, 1e-3, 20)


@pytest.mark.parametrize("kind", [CaptionerSettings, TowerSettings])
@pytest.mark.parametrize(
    "values",
    [
        {"no_such_setting": 1},
        {"backbone": "alexnet"},
        {"epochs": 0},
        {"batch": 1},
        {"dropout": 1.0},
        {"dropout": -0.1},
        {"weight_decay": -1.0},
        {"max_tokens": 0},
        {"image_size": 8},
        {"learning_rate": 0.0},
        {"seed": -1},
    ],
)
def test_settings_out_of_range_are_refused(kind: type[CaptionerSettings | TowerSettings], values: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(values, kind)
