"""Show and Tell (Vinyals et al., 2015, arXiv 1411.4555) as M4I's published code builds it.

Image network -> Linear 256 -> BatchNorm1d(256, momentum 0.01) -> first input of an LSTM(256 -> 512); then ``<start>``
and the words, by embeddings of 256. Decoding is greedy, at most 20 words, and stops at ``<end>``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import nn
from torch.nn import functional as F

from m4i_fast.nets.backbones import Backbone
from m4i_fast.text.vocabulary import END, PAD, START

__all__ = ["Captioner", "Decoded"]

_NEVER = -1e4  # a finite "minus infinity": it survives half precision, and exp of it is 0


@dataclass(frozen=True, slots=True)
class Decoded:
    """Captions as token ids.

    Attributes:
        tokens: int32 [N, T], 0 from the end on (``<end>`` itself is not kept).
        lengths: int32 [N], words before ``<end>``.
        log_probs: float32 [N, T], natural log-probability of each token, 0 from the end on.
    """

    tokens: torch.Tensor
    lengths: torch.Tensor
    log_probs: torch.Tensor


class Captioner(nn.Module):
    """The captioner.

    Args:
        backbone: gives features [N, D].
        vocabulary_size: number V of token ids, the four specials included.
        embed: length of the image feature and of a word vector.
        hidden: length of the LSTM's state.
        max_tokens: words that decoding gives at most.
        dropout: share of the LSTM's inputs and outputs dropped in training.
    """

    barred: torch.Tensor

    def __init__(
        self,
        backbone: Backbone,
        vocabulary_size: int,
        *,
        embed: int = 256,
        hidden: int = 512,
        max_tokens: int = 20,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.project = nn.Linear(backbone.dim, embed)
        self.norm = nn.BatchNorm1d(embed, momentum=0.01)
        self.words = nn.Embedding(vocabulary_size, embed)
        self.lstm = nn.LSTM(embed, hidden, batch_first=True)
        self.head = nn.Linear(hidden, vocabulary_size)
        self.dropout = nn.Dropout(dropout)
        self.hidden, self.max_tokens = hidden, max_tokens
        barred = torch.zeros(vocabulary_size)
        barred[[PAD, START]] = _NEVER  # never a target in training, so never an answer
        self.register_buffer("barred", barred, persistent=False)

    def image_feature(self, features: torch.Tensor) -> torch.Tensor:
        """The LSTM's first input float32 [N, E] from backbone features float32 [N, D]."""
        return cast("torch.Tensor", self.norm(self.project(features)))

    def states(self, feature: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """States that predict each word, teacher-forced.

        Args:
            feature: float32 [N, E] of ``image_feature``.
            tokens: int64 [N, T], the words without specials.

        Returns:
            float32 [N, T + 1, H]: state t predicts word t, the last one predicts ``<end>``.
        """
        inputs = torch.cat([torch.full_like(tokens[:, :1], START), tokens], dim=1)
        sequence = torch.cat([feature[:, None], self.words(inputs)], dim=1)
        outputs, _ = self.lstm(self.dropout(sequence))
        return cast("torch.Tensor", self.dropout(outputs[:, 1:]))  # the image's own step predicts nothing

    def loss(self, feature: torch.Tensor, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy (nats a token, ``<end>`` included) of captions int64 [N, T] with lengths int64 [N]."""
        states = self.states(feature, tokens)
        at = torch.arange(tokens.shape[1] + 1)
        targets = F.pad(tokens, (0, 1))
        targets = torch.where(at == lengths[:, None], END, targets)
        # Only real positions reach the vocabulary layer, which is the dearest of all.
        real = at <= lengths[:, None]
        return F.cross_entropy(self.head(states[real]).float(), targets[real])

    def cell(self, inputs: torch.Tensor, h: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """One LSTM step by hand: inputs [N, E], state h and c [N, H] -> the next h and c."""
        from_input, from_state, input_bias, state_bias = self.lstm.all_weights[0]
        gates = F.linear(inputs, from_input, input_bias) + F.linear(h, from_state, state_bias)
        enter, keep, fresh, show = gates.chunk(4, dim=1)
        c = torch.sigmoid(keep) * c + torch.sigmoid(enter) * torch.tanh(fresh)
        return torch.sigmoid(show) * torch.tanh(c), c

    def begin(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The LSTM's state h, c [N, H] after it has seen the pictures uint8 [N, S, S, 3]."""
        return self.begin_from(self.backbone(pixels))

    def begin_from(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The same from backbone features float32 [N, D]."""
        feature = self.image_feature(features)
        nothing = torch.zeros_like(feature[:, :1]).expand(-1, self.hidden)
        return self.cell(feature, nothing, nothing)

    def next_word(
        self, word: torch.Tensor, h: torch.Tensor, c: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Greedy step: last word int64 [N] and state -> next word int64 [N], its log-probability [N], h, c."""
        h, c = self.cell(self.words(word), h, c)
        log_probs = torch.log_softmax(self.head(h) + self.barred, dim=1)
        best, chosen = log_probs.max(dim=1)
        return chosen, best, h, c

    def greedy(self, pixels: torch.Tensor) -> Decoded:
        """Captions of pictures uint8 [N, S, S, 3]: the most likely word at each step."""
        return self.greedy_from(self.backbone(pixels))

    @torch.no_grad()
    def greedy_from(self, features: torch.Tensor) -> Decoded:
        """Captions of backbone features float32 [N, D]."""
        h, c = self.begin_from(features)
        rows = len(features)
        word = torch.full((rows,), START, dtype=torch.int64)
        alive = torch.ones(rows, dtype=torch.bool)
        tokens = torch.zeros(rows, self.max_tokens, dtype=torch.int32)
        log_probs = torch.zeros(rows, self.max_tokens)
        for step in range(self.max_tokens):
            word, best, h, c = self.next_word(word, h, c)
            alive = alive & (word != END)
            if not bool(alive.any()):
                break
            tokens[:, step] = torch.where(alive, word, 0).to(torch.int32)
            log_probs[:, step] = torch.where(alive, best, 0.0)
        return Decoded(tokens, (tokens != PAD).sum(dim=1).to(torch.int32), log_probs)
