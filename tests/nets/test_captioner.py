from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from m4i_fast.nets.backbones import build_backbone
from m4i_fast.nets.captioner import Captioner
from m4i_fast.text.vocabulary import END, PAD, START


def tiny(words: int = 9, *, max_tokens: int = 5, seed: int = 0) -> Captioner:
    torch.manual_seed(seed)
    model = Captioner(build_backbone("small-cnn"), words, embed=6, hidden=7, max_tokens=max_tokens)
    torch.nn.init.normal_(model.head.weight, std=2.0)
    return model.eval()


def slow_log_probs(model: Captioner, feature: torch.Tensor, words: list[int]) -> torch.Tensor:
    """Log-probabilities of the word after ``words``, the whole sequence through torch's own LSTM."""
    inputs = [feature, *(model.words.weight[word] for word in [START, *words])]
    states, _ = model.lstm(torch.stack(inputs)[None])
    return torch.log_softmax(model.head(states[0, -1]) + model.barred, dim=0)


def test_the_published_sizes_are_the_defaults() -> None:
    model = Captioner(build_backbone("small-cnn"), 100)
    assert model.project.out_features == 256
    assert model.norm.momentum == 0.01
    assert model.words.embedding_dim == 256
    assert (model.lstm.input_size, model.lstm.hidden_size, model.lstm.num_layers) == (256, 512, 1)
    assert model.max_tokens == 20


def test_one_step_by_hand_is_a_step_of_the_lstm() -> None:
    model = tiny()
    x, h, c = torch.randn(3, 6), torch.randn(3, 7), torch.randn(3, 7)
    _, (wanted_h, wanted_c) = model.lstm(x[:, None], (h[None], c[None]))
    found_h, found_c = model.cell(x, h, c)
    torch.testing.assert_close(found_h, wanted_h[0])
    torch.testing.assert_close(found_c, wanted_c[0])


@given(seed=st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_the_loss_is_the_mean_over_real_tokens(seed: int) -> None:
    model = tiny()
    rng = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 5, (4,), generator=rng)
    tokens = torch.randint(3, 9, (4, 4), generator=rng)
    tokens[torch.arange(4) >= lengths[:, None]] = PAD
    feature = torch.randn(4, 6, generator=rng)
    with torch.no_grad():
        found = model.loss(feature, tokens, lengths)
        total, count = 0.0, 0
        for row in range(4):
            words = tokens[row, : lengths[row]].tolist()
            for place, target in enumerate([*words, END]):
                inputs = [feature[row], *(model.words.weight[word] for word in [START, *words[:place]])]
                states, _ = model.lstm(torch.stack(inputs)[None])
                total -= float(torch.log_softmax(model.head(states[0, -1]), dim=0)[target])
                count += 1
    assert float(found) == pytest.approx(total / count, rel=1e-4)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_greedy_takes_the_likeliest_word_at_each_step(seed: int) -> None:
    model = tiny(seed=seed)
    features = torch.randn(3, 2048)
    with torch.no_grad():
        decoded = model.greedy_from(features)
        for row, feature in enumerate(model.image_feature(features)):
            words: list[int] = []
            likely: list[float] = []
            while len(words) < 5:
                log_probs = slow_log_probs(model, feature, words)
                best = int(log_probs.argmax())
                if best == END:
                    break
                words.append(best)
                likely.append(float(log_probs[best]))
            assert decoded.lengths[row] == len(words)
            assert decoded.tokens[row].tolist() == words + [0] * (5 - len(words))
            assert decoded.log_probs[row].tolist() == pytest.approx(likely + [0.0] * (5 - len(words)), abs=1e-4)


def test_a_model_that_only_says_end_gives_empty_captions() -> None:
    model = tiny()
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.zeros_(model.head.bias)
    model.head.bias.data[END] = 5.0
    decoded = model.greedy(torch.zeros(2, 64, 64, 3, dtype=torch.uint8))
    assert decoded.lengths.tolist() == [0, 0]
    assert not decoded.tokens.any()
    assert not decoded.log_probs.any()


def test_padding_and_start_are_never_said_and_twenty_words_are_the_end() -> None:
    model = tiny(max_tokens=20)
    torch.nn.init.zeros_(model.head.weight)
    model.head.bias.data = torch.tensor([9.0, 9.0, -9.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    decoded = model.greedy(torch.zeros(1, 64, 64, 3, dtype=torch.uint8))
    assert decoded.tokens.tolist() == [[4] * 20]
    assert decoded.lengths.tolist() == [20]
    wanted = 1 - math.log(math.e + 5 + math.exp(-9))
    assert decoded.log_probs[0, 0].item() == pytest.approx(wanted, abs=1e-5)
    assert decoded.tokens.dtype == decoded.lengths.dtype == torch.int32
