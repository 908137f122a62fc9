from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from m4i_fast.data.scenes import draw_scenes
from m4i_fast.errors import EngineError, RunError
from m4i_fast.nets.checkpoint import load_towers
from m4i_fast.train import encoders as module
from m4i_fast.train.encoders import EncodersReport, train_encoders
from m4i_fast.train.settings import TowerSettings
from m4i_fast.types import Record

SCENES = draw_scenes(16, seed=8)
RECORDS = [Record(f"s{row}", "", captions) for row, captions in enumerate(SCENES.captions)]
SMALL = TowerSettings(
    backbone="small-cnn", dim=16, text_hidden=32, min_count=2, batch=12, epochs=3, checkpoint_every=1, max_tokens=20
)


def train(out: Path, **changes: object) -> EncodersReport:
    return train_encoders(RECORDS, out, msgspec.structs.replace(SMALL, **changes), pixels=SCENES.pixels)


def same(one: Path, other: Path) -> bool:
    left, right = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


def test_contrastive_towers_find_the_picture_of_a_caption(tmp_path: Path) -> None:
    report = train(tmp_path, epochs=12)
    assert report.losses[-1] < 0.5 * report.losses[0]
    assert (report.objective, report.images, report.captions) == ("contrastive", 16, 80)
    towers = load_towers(tmp_path)
    with torch.no_grad():
        images = towers.image(torch.from_numpy(SCENES.pixels))
        first = [captions[0] for captions in SCENES.captions]
        texts = towers.text(torch.from_numpy(towers.vocabulary.encode(first, 20)))
    assert images.norm(dim=1).numpy() == pytest.approx(np.ones(16), abs=1e-5)
    found = (texts @ images.t()).argmax(dim=1)
    assert int((found == torch.arange(16)).sum()) >= 8  # chance: 1


def test_the_published_objective_brings_the_vectors_together(tmp_path: Path) -> None:
    report = train(tmp_path, objective="mse", epochs=6)
    assert report.losses[-1] < 0.5 * report.losses[0]
    towers = load_towers(tmp_path)
    assert not towers.card.unit
    with torch.no_grad():
        lengths = towers.image(torch.from_numpy(SCENES.pixels)).norm(dim=1)
    assert float(lengths.std()) > 1e-3  # left as they are


def test_each_pass_of_the_published_objective_updates_one_tower(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(SMALL, objective="mse", epochs=1)
    seen: list[tuple[str, ...]] = []
    real = module._Training._pass

    def spy(self: module._Training, number: int, part: int, plan: object, objective: object, updated: object) -> float:
        before = {key: value.clone() for key, value in self.towers.named_parameters()}
        loss = real(self, number, part, plan, objective, updated)  # type: ignore[arg-type]
        changed = {key.split(".")[0] for key, value in self.towers.named_parameters() if not value.equal(before[key])}
        seen.append(tuple(changed))
        return loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module._Training, "_pass", spy)
        train_encoders(RECORDS, tmp_path, settings, pixels=SCENES.pixels)
    assert seen == [("image",), ("text",)]


def test_a_batch_never_holds_two_captions_of_one_picture(tmp_path: Path) -> None:
    plans: list[list[np.ndarray]] = []
    real = module._Training._distinct

    def spy(self: module._Training, rng: np.random.Generator) -> list[np.ndarray]:
        plan = real(self, rng)
        owner = self.material.captions.owner.numpy()
        assert all(len(set(owner[part].tolist())) == len(part) for part in plan)
        plans.append(plan)
        return plan

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module._Training, "_distinct", spy)
        train(tmp_path, epochs=1)
    assert sorted(np.concatenate(plans[0]).tolist()) == list(range(80))


class KilledError(Exception):
    pass


@pytest.mark.parametrize(("objective", "where"), [("contrastive", "write_progress"), ("mse", "save_model")])
def test_a_killed_training_ends_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, objective: str, where: str
) -> None:
    train(tmp_path / "whole", objective=objective, dropout=0.1)
    room = module if where == "save_model" else module.loop
    real = getattr(room, where)
    calls = 0

    def dies(*args: object, **kwargs: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KilledError
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(room, where, dies)
        with pytest.raises(KilledError):
            train(tmp_path / "cut", objective=objective, dropout=0.1)
    train(tmp_path / "cut", objective=objective, dropout=0.1)
    assert same(tmp_path / "whole", tmp_path / "cut")


def test_a_finished_training_is_kept_and_another_one_refused(tmp_path: Path) -> None:
    first = train(tmp_path)
    again = train(tmp_path)
    assert again.kept
    assert again.losses == first.losses
    with pytest.raises(RunError, match=r"other settings \(objective\)"):
        train(tmp_path, objective="mse")


def test_a_folder_without_towers_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"no trained encoders here.*m4i-fast train encoders"):
        load_towers(tmp_path)
