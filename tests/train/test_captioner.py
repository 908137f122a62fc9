from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from m4i_fast.data.scenes import draw_scenes
from m4i_fast.errors import AuditError, ConfigError, EngineError, RunError
from m4i_fast.nets.backbones import build_backbone, weights_digest
from m4i_fast.nets.checkpoint import load_captioner, read_sample
from m4i_fast.train import captioner as module
from m4i_fast.train.captioner import CaptionerReport, train_captioner
from m4i_fast.train.settings import CaptionerSettings
from m4i_fast.types import Record

SCENES = draw_scenes(16, seed=7)
RECORDS = [Record(f"s{row}", "", captions) for row, captions in enumerate(SCENES.captions)]
SMALL = CaptionerSettings(
    backbone="small-cnn", embed=16, hidden=24, min_count=2, batch=16, epochs=3, checkpoint_every=1, precision="float32"
)


def with_(**changes: object) -> CaptionerSettings:
    return msgspec.structs.replace(SMALL, **changes)


def train(out: Path, settings: CaptionerSettings = SMALL, records: list[Record] = RECORDS) -> CaptionerReport:
    return train_captioner(records, out, settings, pixels=SCENES.pixels[: len(records)])


def weights(folder: Path) -> dict[str, npt.NDArray[np.float32]]:
    return {key: value.numpy() for key, value in load_file(folder / "model.safetensors").items()}


def same(one: Path, other: Path) -> bool:
    left, right = weights(one), weights(other)
    return left.keys() == right.keys() and all(np.array_equal(left[key], right[key]) for key in left)


def frozen_weights(folder: Path) -> str:
    torch.manual_seed(3)
    path = folder / "cnn.safetensors"
    save_file(build_backbone("small-cnn").network.state_dict(), path)
    return str(path)


def test_it_learns_its_captions_by_heart(tmp_path: Path) -> None:
    records = [Record(str(row), "", (SCENES.captions[row][0],)) for row in range(6)]
    settings = with_(epochs=100, hidden=64, embed=32, min_count=1, learning_rate=5e-3, checkpoint_every=1000)
    report = train(tmp_path / "c", settings, records)
    assert report.losses[0] > 2
    assert report.losses[-1] < 0.05
    loaded = load_captioner(tmp_path / "c")
    decoded = loaded.model.greedy(torch.from_numpy(SCENES.pixels[:6]))
    told = loaded.vocabulary.decode(decoded.tokens.numpy(), decoded.lengths.numpy())
    wanted = loaded.vocabulary.encode([record.references[0] for record in records], 20)
    assert told == loaded.vocabulary.decode(wanted, (wanted != 0).sum(axis=1).astype(np.int32))


def test_the_report_and_the_card_say_what_was_done(tmp_path: Path) -> None:
    report = train(tmp_path)
    assert (report.images, report.captions, report.unreadable, report.epochs) == (16, 80, 0, 3)
    assert len(report.losses) == 3
    assert report.losses[2] < report.losses[0]
    assert not report.kept
    card = load_captioner(tmp_path).card
    assert card.vocabulary[:4] == ["<pad>", "<start>", "<end>", "<unk>"]
    assert len(card.vocabulary) == report.vocabulary
    assert card.backbone.source == "trained"
    assert card.backbone.weights_sha256 == weights_digest(load_captioner(tmp_path).model.backbone)
    assert card.losses == list(report.losses)
    sample = read_sample(tmp_path)
    assert sample is not None
    assert np.array_equal(sample.numpy(), SCENES.pixels)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path: Path) -> None:
    train(tmp_path / "a", with_(dropout=0.3))
    torch.manual_seed(99)  # the caller's generator must not matter
    train(tmp_path / "b", with_(dropout=0.3))
    train(tmp_path / "c", with_(dropout=0.3, seed=1))
    assert same(tmp_path / "a", tmp_path / "b")
    assert not same(tmp_path / "a", tmp_path / "c")


class KilledError(Exception):
    pass


@pytest.mark.parametrize(
    ("frozen", "where", "call"),
    [(False, "write_progress", 1), (False, "save_model", 2), (True, "write_progress", 2), (True, "save_model", 1)],
)
def test_a_killed_training_ends_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frozen: bool, where: str, call: int
) -> None:
    settings = with_(dropout=0.2, captions_per_image=2, weights=frozen_weights(tmp_path) if frozen else None)
    train(tmp_path / "whole", settings)
    room = module if where == "save_model" else module.loop
    real = getattr(room, where)
    calls = 0

    def dies(*args: object, **kwargs: object) -> object:
        nonlocal calls
        calls += 1
        if calls == call + 1:
            raise KilledError
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(room, where, dies)
        with pytest.raises(KilledError):
            train(tmp_path / "cut", settings)
    report = train(tmp_path / "cut", settings)
    assert report.epochs == 3
    assert same(tmp_path / "whole", tmp_path / "cut")
    assert load_captioner(tmp_path / "cut").card.losses == load_captioner(tmp_path / "whole").card.losses


def test_more_epochs_later_are_the_same_as_at_once(tmp_path: Path) -> None:
    train(tmp_path / "once")
    train(tmp_path / "later", with_(epochs=1))
    train(tmp_path / "later")
    assert same(tmp_path / "once", tmp_path / "later")


def test_checkpoints_do_not_change_the_training(tmp_path: Path) -> None:
    train(tmp_path / "often")
    train(tmp_path / "seldom", with_(checkpoint_every=50))
    assert same(tmp_path / "often", tmp_path / "seldom")


def test_a_finished_training_is_kept(tmp_path: Path) -> None:
    first = train(tmp_path)
    stamp = (tmp_path / "model.safetensors").stat().st_mtime_ns
    again = train(tmp_path)
    assert again.kept
    assert again.losses == first.losses
    assert (tmp_path / "model.safetensors").stat().st_mtime_ns == stamp
    fresh = train_captioner(RECORDS, tmp_path, SMALL, pixels=SCENES.pixels, again=True)
    assert not fresh.kept
    assert fresh.losses == first.losses


def test_other_settings_or_records_are_refused(tmp_path: Path) -> None:
    train(tmp_path, with_(epochs=2))
    with pytest.raises(RunError, match=r"other settings \(dropout, hidden\)"):
        train(tmp_path, with_(hidden=8, dropout=0.5))
    with pytest.raises(RunError, match="other records"):
        train(tmp_path, records=RECORDS[:12])
    with pytest.raises(RunError, match="a training of 2 epochs, and 1 were asked for"):
        train(tmp_path, with_(epochs=1))
    (tmp_path / "state.safetensors").write_bytes(b"torn")
    with pytest.raises(RunError, match="state of the earlier training cannot be read"):
        train(tmp_path)


def test_a_frozen_network_stays_as_it_was_and_is_kept_beside_the_weights(tmp_path: Path) -> None:
    path = frozen_weights(tmp_path)
    train(tmp_path / "c", with_(weights=path))
    assert not any("backbone" in key for key in weights(tmp_path / "c"))
    loaded = load_captioner(tmp_path / "c")
    torch.manual_seed(3)
    assert weights_digest(loaded.model.backbone) == weights_digest(build_backbone("small-cnn"))
    Path(path).unlink()  # the checkpoint stands by itself
    load_captioner(tmp_path / "c")
    assert list((tmp_path / "c" / "features").rglob("part-*.safetensors"))


def test_the_statistics_of_the_norms_are_those_of_the_training_pictures(tmp_path: Path) -> None:
    train(tmp_path / "c", with_(weights=frozen_weights(tmp_path), epochs=1))
    model = load_captioner(tmp_path / "c").model
    with torch.no_grad():
        projected = model.project(model.backbone(torch.from_numpy(SCENES.pixels)))
    assert model.norm.running_mean is not None
    torch.testing.assert_close(model.norm.running_mean, projected.mean(dim=0), rtol=1e-3, atol=1e-4)


def test_the_published_schedule_runs(tmp_path: Path) -> None:
    settings = with_(optimizer="sgd", pretrain_epochs=2, epochs=2)
    report = train(tmp_path, settings)
    assert report.losses[1] < report.losses[0]
    train(tmp_path / "plain", with_(optimizer="sgd", epochs=2))
    assert not same(tmp_path, tmp_path / "plain")


def test_weight_decay_makes_small_weights(tmp_path: Path) -> None:
    train(tmp_path / "free")
    train(tmp_path / "held", with_(weight_decay=0.5))
    free, held = weights(tmp_path / "free"), weights(tmp_path / "held")
    assert np.abs(held["head.weight"]).mean() < 0.9 * np.abs(free["head.weight"]).mean()


def test_low_precision_learns_as_well(tmp_path: Path) -> None:
    exact = train(tmp_path / "exact")
    rough = train(tmp_path / "rough", with_(precision="bfloat16"))
    assert rough.precision == "bfloat16"
    assert rough.losses == pytest.approx(exact.losses, rel=0.03)
    assert all(value.dtype.name in {"float32", "int64"} for value in weights(tmp_path / "rough").values())


def test_unreadable_pictures_are_left_out_and_counted(tmp_path: Path) -> None:
    records = []
    for row in range(8):
        path = tmp_path / f"{row}.png"
        Image.fromarray(SCENES.pixels[row]).save(path)
        records.append(Record(f"r{row}", str(path), SCENES.captions[row]))
    Path(records[2].image).write_bytes(b"broken")
    records[5] = Record("r5", records[5].image, records[5].references, error="bad row")
    records[6] = Record("r6", records[6].image, ())
    report = train_captioner(records, tmp_path / "c", with_(min_count=1, epochs=1))
    assert (report.images, report.captions, report.unreadable) == (5, 25, 2)
    with pytest.raises(AuditError, match=r"1 of 2 records .* two are needed \(the first reason: "):
        train_captioner(records[1:3], tmp_path / "d", SMALL)
    assert not (tmp_path / "d" / "captioner.json").exists()


def test_captions_without_words_or_without_frequent_words_are_handled(tmp_path: Path) -> None:
    records = [Record("a", "", ("!!!", "one dog", " ")), Record("b", "", ("one cat",))]
    report = train(tmp_path / "c", with_(min_count=1, epochs=1), records)
    assert report.captions == 2
    with pytest.raises(AuditError, match=r"no word occurs 9 times in the 3 captions\. Lower min_count"):
        train(tmp_path / "d", with_(min_count=9), records)


def test_a_network_that_needs_weights_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="resnet18 needs weights"):
        train(tmp_path, with_(backbone="resnet18"))
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="a file, not a checkpoint folder"):
        train(tmp_path / "file")


def test_a_checkpoint_whose_parts_do_not_belong_together_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"no trained captioner here: 'captioner.json' is missing"):
        load_captioner(tmp_path)
    train(tmp_path / "a", with_(epochs=1))
    train(tmp_path / "b", with_(epochs=1, seed=1))
    (tmp_path / "a" / "model.safetensors").write_bytes((tmp_path / "b" / "model.safetensors").read_bytes())
    with pytest.raises(RunError, match="of different moments"):
        load_captioner(tmp_path / "a")
    (tmp_path / "a" / "model.safetensors").unlink()
    with pytest.raises(EngineError, match=r"'model.safetensors' is missing"):
        load_captioner(tmp_path / "a")
    card = tmp_path / "b" / "captioner.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"schema": 2}))
    with pytest.raises(EngineError, match="not a card of this version"):
        load_captioner(tmp_path / "b")
    card.write_text("{")
    with pytest.raises(RunError, match="not valid JSON"):
        load_captioner(tmp_path / "b")
