from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from m4i_fast.train.loop import batches, by_length, low_precision, seeded, settle_norms


def test_a_small_rest_joins_the_last_batch() -> None:
    assert [len(part) for part in batches(np.arange(10), 4)] == [4, 4, 2]
    assert [len(part) for part in batches(np.arange(9), 4)] == [4, 5]
    assert [len(part) for part in batches(np.arange(4), 4)] == [4]
    assert [len(part) for part in batches(np.arange(1), 4)] == [1]


@given(count=st.integers(2, 200), size=st.integers(2, 20))
def test_batches_hold_everything_once_and_never_a_single_row(count: int, size: int) -> None:
    found = batches(np.arange(count), size)
    assert np.array_equal(np.concatenate(found), np.arange(count))
    assert all(2 <= len(part) < 1.5 * size + 1 for part in found)


@given(count=st.integers(2, 300), size=st.integers(2, 20), seed=st.integers(0, 99))
def test_batches_by_length_hold_everything_once(count: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    order = rng.permutation(count)
    lengths = rng.integers(1, 20, count)
    found = by_length(order, lengths, size, rng)
    assert sorted(np.concatenate(found).tolist()) == list(range(count))


def test_batches_by_length_pad_little() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 21, 1600)
    found = by_length(rng.permutation(1600), lengths, 100, rng)
    padded = sum(int(lengths[part].max()) * len(part) for part in found)
    assert padded < 1.06 * lengths.sum()
    firsts = [int(lengths[part].max()) for part in found]
    assert firsts != sorted(firsts)


def test_a_seed_fixes_both_generators_and_leaves_the_callers_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    with seeded(1, 2) as rng:
        first = (rng.random(), torch.rand(1).item())
    assert torch.equal(torch.get_rng_state(), before)
    with seeded(1, 2) as rng:
        assert (rng.random(), torch.rand(1).item()) == first
    with seeded(1, 3) as rng:
        assert rng.random() != first[0]


def test_settled_norms_hold_the_statistics_of_what_they_saw() -> None:
    norm = torch.nn.BatchNorm1d(1, momentum=0.01)
    values = torch.tensor([[1.0], [3.0], [5.0], [7.0]])
    drop = torch.nn.Dropout(0.9)

    def feed() -> None:
        norm(drop(values))

    settle_norms([norm, drop], feed)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.running_mean.item() == pytest.approx(4.0)
    assert norm.running_var.item() == pytest.approx(20 / 3)
    assert norm.momentum == 0.01
    assert drop.training


def test_frozen_norms_are_left_alone() -> None:
    norm = torch.nn.BatchNorm1d(1).eval()

    def feed() -> None:
        norm(torch.ones(4, 1))

    settle_norms([norm], feed)
    assert norm.running_mean is not None
    assert norm.running_mean.item() == 0.0


def test_precision_is_what_was_asked_for() -> None:
    assert not low_precision("float32")
    assert low_precision("bfloat16")
