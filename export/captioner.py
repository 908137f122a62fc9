"""A captioner as one ONNX graph: uint8 pixels in; token ids, lengths and log-probabilities out; the loop inside."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch._higher_order_ops import while_loop

from m4i_fast.engines import open_captioner
from m4i_fast.engines.metadata import EngineMetadata
from m4i_fast.export.graph import write_graph
from m4i_fast.export.parity import ExportReport, check_captions, image_batch, sample_pictures
from m4i_fast.nets.backbones import weights_digest
from m4i_fast.nets.captioner import Captioner
from m4i_fast.nets.checkpoint import load_captioner
from m4i_fast.runs import atomic_path, sha256_of
from m4i_fast.text.vocabulary import END, PAD, START

__all__ = ["CaptionGraph", "export_captioner"]

State = tuple[
    torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor
]  # step, word [N], h [N, H], c [N, H], tokens [N, T], log_probs [N, T], alive [N]


class CaptionGraph(nn.Module):
    """Greedy decoding in the form that exports.

    ONNX's Loop carries values of fixed shape, so the tokens lie in a [N, T] buffer that each step writes one column of.

    Args:
        captioner: in evaluation mode.
        unrolled: T copies of the step instead of a loop, for runtimes without control flow; never stops early.
    """

    def __init__(self, captioner: Captioner, *, unrolled: bool = False) -> None:
        super().__init__()
        self.captioner, self.unrolled = captioner, unrolled
        self.register_buffer("columns", torch.arange(captioner.max_tokens), persistent=False)

    columns: torch.Tensor

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Pixels uint8 [N, S, S, 3] -> tokens int32 [N, T], lengths int32 [N], log_probs float32 [N, T]."""
        h, c = self.captioner.begin(pixels)
        # Made from h, so that the exporter sees where their first axis comes from.
        zero = h[:, :1] * 0.0
        log_probs = zero.expand(-1, self.captioner.max_tokens).clone()
        tokens = log_probs.to(torch.int64)
        word = zero[:, 0].to(torch.int64) + START
        state: State = (torch.zeros((), dtype=torch.int64), word, h, c, tokens, log_probs, word > PAD)
        if self.unrolled:
            for step in range(self.captioner.max_tokens):
                state = self._step(torch.tensor(step), *state[1:])
        else:
            state = while_loop(self._goes_on, self._step, state)  # type: ignore[no-untyped-call]  # torch ships none
        tokens = state[4].to(torch.int32)
        lengths = (tokens != PAD).to(torch.int32).sum(dim=1).to(torch.int32)
        return tokens, lengths, state[5]

    def _goes_on(
        self,
        step: torch.Tensor,
        word: torch.Tensor,  # noqa: ARG002 - the loop hands over its whole state
        h: torch.Tensor,  # noqa: ARG002 - as word
        c: torch.Tensor,  # noqa: ARG002 - as word
        tokens: torch.Tensor,  # noqa: ARG002 - as word
        log_probs: torch.Tensor,  # noqa: ARG002 - as word
        alive: torch.Tensor,
    ) -> torch.Tensor:
        return (step < self.captioner.max_tokens) & alive.any()

    def _step(
        self,
        step: torch.Tensor,
        word: torch.Tensor,
        h: torch.Tensor,
        c: torch.Tensor,
        tokens: torch.Tensor,
        log_probs: torch.Tensor,
        alive: torch.Tensor,
    ) -> State:
        word, best, h, c = self.captioner.next_word(word, h, c)
        alive = alive & (word != END)
        here = (self.columns == step)[None, :] & alive[:, None]
        tokens = torch.where(here, word[:, None], tokens)
        log_probs = torch.where(here, best[:, None], log_probs)
        return step + 1, word, h, c, tokens, log_probs, alive


def export_captioner(
    checkpoint: Path,
    out: Path,
    *,
    pixels: npt.NDArray[np.uint8] | None = None,
    sample: int = 16,
    unrolled: bool = False,
) -> ExportReport:
    """Export a trained captioner; the file appears under its name only after it agreed with PyTorch.

    Args:
        checkpoint: folder of ``train captioner``.
        out: the ``.onnx`` file.
        pixels: uint8 [n, S, S, 3] to compare on; None: ``sample`` pictures of the training and drawn ones.
        sample: how many pictures to compare on.
        unrolled: write the decoding loop out (CUDA graphs take no control flow).

    Raises:
        EngineError: the checkpoint cannot be used.
        RunFailed: export failed, or a token differs, or a log-probability by more than 1e-3.
    """
    started = time.perf_counter()
    loaded = load_captioner(checkpoint)
    card, model = loaded.card, loaded.model
    size = card.backbone.image_size
    pictures = sample_pictures(checkpoint, size, sample, pixels)
    wanted = model.greedy(torch.from_numpy(pictures))
    metadata = EngineMetadata(
        kind="captioner",
        name=f"{card.backbone.name}-lstm",
        image_size=size,
        vocabulary=list(loaded.vocabulary.words),
        max_tokens=card.max_tokens,
        decoding={"kind": "greedy", "max_tokens": card.max_tokens},
        weights_sha256=weights_digest(model),
        about={
            "architecture": f"Show and Tell, {card.backbone.name}, LSTM {card.hidden}",
            "epochs": str(card.epochs_done),
            "training_images": str(card.images),
            "loop": "unrolled" if unrolled else "inside",
        },
    )
    with atomic_path(out) as temporary:
        write_graph(
            CaptionGraph(model, unrolled=unrolled).eval(),
            torch.from_numpy(np.concatenate([pictures, pictures])[:2]),
            temporary,
            input_name="pixels",
            outputs=[
                ("tokens", ("batch", card.max_tokens)),
                ("lengths", ("batch",)),
                ("log_probs", ("batch", card.max_tokens)),
            ],
            metadata=metadata,
        )
        with open_captioner(temporary) as engine:
            difference = check_captions(engine.generate(image_batch(pictures)), wanted, out)
    return ExportReport(
        out, sha256_of(out), out.stat().st_size, len(pictures), difference, time.perf_counter() - started
    )
