from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from m4i_fast.nets.backbones import build_backbone
from m4i_fast.nets.towers import ImageTower, TextTower, contrastive_loss


@given(rows=st.lists(st.lists(st.integers(1, 9), max_size=6), min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_the_text_tower_reads_word_counts(rows: list[list[int]]) -> None:
    torch.manual_seed(1)
    tower = TextTower(10, 4, hidden=8).eval()
    tokens = torch.tensor([row + [0] * (6 - len(row)) for row in rows], dtype=torch.int32)
    counts = torch.tensor([[float(row.count(word)) for word in range(10)] for row in rows])
    with torch.no_grad():
        wanted = tower.norm(tower.project(torch.relu(tower.counts(counts))))
        torch.testing.assert_close(tower(tokens), wanted, rtol=1e-5, atol=1e-6)


def test_word_order_and_padding_do_not_matter() -> None:
    tower = TextTower(10, 4, hidden=8, unit=True).eval()
    with torch.no_grad():
        one = tower(torch.tensor([[5, 7, 5]]))
        other = tower(torch.tensor([[7, 5, 5, 0, 0]]))
        torch.testing.assert_close(one, other)
        assert one.norm().item() == pytest.approx(1.0)
        assert not torch.allclose(one, tower(torch.tensor([[7, 5]])))


def test_the_towers_have_the_published_layers() -> None:
    image, text = ImageTower(build_backbone("small-cnn")), TextTower(100)
    assert (image.project.in_features, image.project.out_features) == (2048, 256)
    assert (text.counts.in_features, text.counts.out_features) == (100, 512)
    assert (text.project.in_features, text.project.out_features) == (512, 256)
    assert image.norm.momentum == text.norm.momentum == 0.01
    assert image(torch.zeros(2, 64, 64, 3, dtype=torch.uint8)).shape == (2, 256)


def test_unit_image_vectors_have_length_one() -> None:
    tower = ImageTower(build_backbone("small-cnn"), 8, unit=True).eval()
    with torch.no_grad():
        vectors = tower(torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8))
    assert vectors.norm(dim=1).tolist() == pytest.approx([1.0, 1.0, 1.0], abs=1e-5)


def test_the_contrastive_loss_by_hand() -> None:
    same = torch.eye(2)
    # each row: similarity 1 / 0.5 = 2 with its own, 0 with the other
    assert contrastive_loss(same, same, temperature=0.5).item() == pytest.approx(math.log(1 + math.exp(-2)), abs=1e-6)
    crossed = contrastive_loss(same, same.flip(0), temperature=0.5)
    assert crossed.item() == pytest.approx(2 + math.log(1 + math.exp(-2)), abs=1e-6)
